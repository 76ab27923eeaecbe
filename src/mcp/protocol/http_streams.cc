// Event streams of the HTTP endpoint: listens, calls with progress, the GET stream of a legacy
// session, and the older SSE transport (GET /sse with POST /message).
//
// No stream has a queue of updates: each takes what changed since it last wrote, so a slow reader
// only gets fewer, later updates.

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "mcp/protocol/http_endpoint_state.h"
#include "net/wake_signal.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;
using net::HttpResponse;

// What a client of the older SSE transport may leave unread on its stream.
constexpr std::size_t kSseCallsMax = 64;
constexpr std::size_t kSseOutboxBytesMax = 4 * 1024 * 1024;

void append_event(std::string& out, std::string_view text) {
  out.append("event: message\ndata: ").append(text).append("\n\n");
}

// Wakes `wake` when the stream has to end, whoever ends it.
struct EndWatch {
  EndWatch(const net::SseWriter& writer, const net::WakeSignal& wake)
      : gone(writer.disconnected().on_cancel([wake] { wake.notify(); })),
        stopping(writer.shutting_down().on_cancel([wake] { wake.notify(); })) {}

  net::CancelRegistration gone;
  net::CancelRegistration stopping;
};

class Counted {
 public:
  explicit Counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

}  // namespace

// ---- subscriptions/listen ---------------------------------------------------------------------

// Given back also when the client left before its stream began.
struct HttpEndpoint::State::ListenLease {
  ListenLease(std::shared_ptr<State> lease_state, std::string lease_principal)
      : state(std::move(lease_state)), principal(std::move(lease_principal)) {}
  ~ListenLease() { state->listens_.give_back(principal); }
  ListenLease(const ListenLease&) = delete;
  ListenLease& operator=(const ListenLease&) = delete;

  const std::shared_ptr<State> state;
  const std::string principal;
};

HttpResponse HttpEndpoint::State::listen(const std::shared_ptr<HttpCall>& call) {
  auto parsed = parse_listen(server_, call->message);
  if (const auto* error = std::get_if<RpcError>(&parsed)) {
    return rpc_failure(200, call->message.id, *error);
  }
  const std::string& principal = call->peer.caller.principal;
  if (!listens_.take(principal)) {
    HttpResponse busy =
        rpc_failure(429, call->message.id,
                    {rpc::kInvalidRequest,
                     "too many listens are open for this client; end one first", nullptr});
    busy.headers.add("Retry-After", "5");
    return busy;
  }
  HttpResponse response;
  response.stream = [lease = std::make_shared<ListenLease>(shared_from_this(), principal),
                     self = shared_from_this(), id = call->message.id, peer = call->peer,
                     filter = std::get<ListenFilter>(std::move(parsed))](net::SseWriter& writer) {
    return self->run_listen(id, filter, peer, writer);
  };
  return response;
}

asio::awaitable<void> HttpEndpoint::State::run_listen(std::string id, ListenFilter filter,
                                                      Peer peer, net::SseWriter& writer) {
  const Counted counted(listeners_);
  const net::WakeSignal wake(co_await asio::this_coro::executor);
  const EndWatch watch(writer, wake);
  ScopedListener updates(server_.subscriptions());
  updates.attach(wake);
  AccessWatch access(access_, wake, options_.keep_alive);
  for (const std::string& uri : filter.uris) {
    SE_ASSERT(updates.add(uri, filter.uris.size()));
  }
  bool open = co_await writer.send(acknowledged_text(id, filter), "message");
  while (open && !writer.closed()) {
    if (writer.shutting_down().cancelled()) {
      co_await writer.send(listen_result_text(id), "message");
      break;
    }
    if (access.due() && !still_allowed(peer)) break;
    std::string events;
    for (const std::string& uri : updates.take()) {
      append_event(events, listen_update_text(id, uri));
    }
    open = co_await writer.send_raw(events);
    if (open && !co_await wake.wait(options_.keep_alive)) open = co_await writer.keep_alive();
  }
}

// ---- A call that says more than its result ----------------------------------------------------

// Shared by the handler, the writer of the stream, and nobody else: all on one strand.
struct HttpEndpoint::State::StreamedCall {
  StreamedCall(std::shared_ptr<HttpCall> streamed_call, const boost::asio::any_io_executor& strand)
      : call(std::move(streamed_call)), wake(strand) {
    outbox->attach(wake);
  }

  const std::shared_ptr<HttpCall> call;
  const net::WakeSignal wake;
  const std::shared_ptr<Outbox> outbox = std::make_shared<Outbox>();
  bool done = false;
  int http_status = 200;
};

// Opens the stream with the first message, so that a call that has only its result to say is
// answered with the status it deserves.
HttpEndpoint::State::Response HttpEndpoint::State::answer_as_stream(std::shared_ptr<HttpCall> call,
                                                                    bool takes_json) {
  RequestContext& context = call->context;
  const auto strand = co_await asio::this_coro::executor;
  const auto streamed = std::make_shared<StreamedCall>(call, strand);
  const auto token = progress_token(call->message);
  if (!token.empty()) {
    context.progress_sink = [outbox = streamed->outbox, token](double progress,
                                                               std::optional<double> total,
                                                               std::string_view message) {
      outbox->push_progress(progress_text(token, progress, total, message));
    };
  }
  context.message_sink = [outbox = streamed->outbox](std::string message) {
    outbox->push(std::move(message));
  };
  if (call->session) context.cancel = call->session->in_flight.add(call->message.id);
  auto run = [self = shared_from_this(), streamed] { return self->run_streamed_call(streamed); };
  calls_.spawn(strand, std::move(run));
  while (!streamed->done && streamed->outbox->size() == 0) {
    if (!co_await streamed->wake.wait(options_.keep_alive)) break;
  }
  if (streamed->done && streamed->outbox->size() == 1 &&
      (takes_json || streamed->http_status != 200)) {
    co_return HttpResponse::json(streamed->http_status, std::move(streamed->outbox->take()[0]));
  }
  HttpResponse response;
  response.stream = [self = shared_from_this(), streamed](net::SseWriter& writer) {
    return self->write_streamed_call(streamed, writer);
  };
  co_return response;
}

asio::awaitable<void> HttpEndpoint::State::run_streamed_call(
    std::shared_ptr<StreamedCall> streamed) {
  HttpCall& call = *streamed->call;
  Reply reply = co_await server_.handle(call.message, call.context);
  if (call.session) call.session->in_flight.remove(call.message.id);
  streamed->http_status = reply.http_status;
  streamed->done = true;
  streamed->outbox->push(std::move(reply.text));
}

asio::awaitable<void> HttpEndpoint::State::write_streamed_call(
    std::shared_ptr<StreamedCall> streamed, net::SseWriter& writer) {
  const auto gone = writer.disconnected().on_cancel([wake = streamed->wake] { wake.notify(); });
  while (!writer.closed()) {
    const bool last = streamed->done;
    std::string events;
    for (const std::string& text : streamed->outbox->take()) append_event(events, text);
    if (!co_await writer.send_raw(events) || last) break;
    if (!streamed->done && !co_await streamed->wake.wait(options_.keep_alive)) {
      co_await writer.keep_alive();
    }
  }
  streamed->outbox->attach(std::nullopt);
}

// ---- The stream of a legacy session -----------------------------------------------------------

// Gives the session's one stream back, also when the client left before it began.
struct HttpEndpoint::State::StreamLease {
  StreamLease(std::shared_ptr<State> lease_state, std::shared_ptr<Session> lease_session, bool last)
      : state(std::move(lease_state)), session(std::move(lease_session)), ends_session(last) {}
  ~StreamLease() {
    session->updates.attach(std::nullopt);
    session->outbox.attach(std::nullopt);
    state->sessions_.close_stream(*session);
    if (!ends_session) return;
    session->in_flight.cancel_all();
    state->sessions_.end(session);
  }
  StreamLease(const StreamLease&) = delete;
  StreamLease& operator=(const StreamLease&) = delete;

  const std::shared_ptr<State> state;
  const std::shared_ptr<Session> session;
  const bool ends_session;  // the older transport has no way to come back to a session
};

HttpResponse HttpEndpoint::State::session_stream(std::shared_ptr<Session> session, Peer peer,
                                                 std::string first_event) {
  HttpResponse response;
  if (first_event.empty()) response.headers.add("Mcp-Session-Id", session->id);
  auto lease =
      std::make_shared<StreamLease>(shared_from_this(), std::move(session), !first_event.empty());
  response.stream = [lease, peer = std::move(peer),
                     first = std::move(first_event)](net::SseWriter& writer) {
    return lease->state->run_session_stream(lease->session, peer, first, writer);
  };
  return response;
}

asio::awaitable<void> HttpEndpoint::State::run_session_stream(std::shared_ptr<Session> session,
                                                              Peer peer, std::string first_event,
                                                              net::SseWriter& writer) {
  const Counted counted(listeners_);
  const net::WakeSignal wake(co_await asio::this_coro::executor);
  const EndWatch watch(writer, wake);
  const auto ended = session->ended.token().on_cancel([wake] { wake.notify(); });
  session->updates.attach(wake);
  session->outbox.attach(wake);
  AccessWatch access(access_, wake, options_.keep_alive);
  // A comment at once, so that clients and proxies see the stream open.
  if (first_event.empty()) first_event = ": open\n\n";
  bool open = co_await writer.send_raw(first_event);
  while (open && !writer.closed() && !writer.shutting_down().cancelled() &&
         !session->ended.cancelled()) {
    if (access.due() && !still_allowed(peer)) break;
    std::string events;
    for (const std::string& text : session->outbox.take()) append_event(events, text);
    for (const std::string& uri : session->updates.take()) {
      append_event(events, legacy_update_text(uri));
    }
    open = co_await writer.send_raw(events);
    if (open && !co_await wake.wait(options_.keep_alive)) open = co_await writer.keep_alive();
  }
}

// ---- GET /sse and POST /message ---------------------------------------------------------------

HttpEndpoint::State::Response HttpEndpoint::State::serve_sse(net::HttpRequest request,
                                                             net::HttpExchange&) {
  if (!net::origin_allowed(options_.origins, request.headers)) {
    co_return HttpResponse::text(403, "this Host or Origin is not allowed\n");
  }
  if (request.method != "GET") {
    HttpResponse response = HttpResponse::text(405, "use GET\n");
    response.headers.add("Allow", "GET");
    co_return response;
  }
  Peer peer;
  if (auto refused = authenticate(request, TransportKind::kLegacySse, peer)) {
    co_return std::move(*refused);
  }
  auto session = sessions_.create(peer.caller, peer.credentials, server_.subscriptions());
  if (!session) co_return HttpResponse::text(503, "too many sessions are open; try later\n");
  session->protocol_version = std::string{kLatestLegacyVersion};
  const bool first_stream = sessions_.open_stream(*session);
  SE_ASSERT(first_stream);
  std::string hello = "event: endpoint\ndata: /message?sessionId=" + session->id + "\n\n";
  co_return session_stream(std::move(session), std::move(peer), std::move(hello));
}

HttpEndpoint::State::Response HttpEndpoint::State::serve_message(net::HttpRequest request,
                                                                 net::HttpExchange& exchange) {
  if (!net::origin_allowed(options_.origins, request.headers)) {
    co_return HttpResponse::text(403, "this Host or Origin is not allowed\n");
  }
  if (request.method != "POST") {
    HttpResponse response = HttpResponse::text(405, "use POST\n");
    response.headers.add("Allow", "POST");
    co_return response;
  }
  auto call = std::make_shared<HttpCall>();
  RequestContext& context = call->context;
  if (auto refused = authenticate(request, TransportKind::kLegacySse, call->peer)) {
    co_return std::move(*refused);
  }
  context.caller = call->peer.caller;
  const std::string session_id = request.query_value("sessionId");
  if (session_id.empty()) co_return HttpResponse::text(400, "sessionId is missing\n");
  call->session = sessions_.find(session_id, context.caller);
  if (!call->session) co_return HttpResponse::text(404, "Session not found\n");
  auto parsed = parse_message(request.body);
  if (const auto* fault = std::get_if<MessageFault>(&parsed)) {
    co_return rpc_failure(400, fault->id, fault->error);
  }
  call->message = std::get<Message>(std::move(parsed));
  context.era = Era::kLegacy;
  context.transport = TransportKind::kLegacySse;
  context.protocol_version = call->session->protocol_version;
  context.session_id = call->session->id;
  context.client_requests = call->session->requests;
  context.session_log_level = call->session->log_level;
  context.message_sink = [session = call->session](std::string text) {
    session->outbox.push(std::move(text));
  };
  context.executor = exchange.executor();
  fill_context(call->message, context);
  if (call->message.kind != Message::Kind::kRequest) {
    take_notification(call->message, call->session.get());
  } else if (call->session->in_flight.size() >= kSseCallsMax ||
             call->session->outbox.bytes() >= kSseOutboxBytesMax) {
    HttpResponse busy = HttpResponse::text(503, "too many answers wait on the stream; read it\n");
    busy.headers.add("Retry-After", "1");
    co_return busy;
  } else {
    auto run = [self = shared_from_this(), call] { return self->run_message(call); };
    calls_.spawn(exchange.executor(), std::move(run));
  }
  co_return HttpResponse::text(202, "Accepted");
}

asio::awaitable<void> HttpEndpoint::State::run_message(std::shared_ptr<HttpCall> call) {
  // On this transport answers have no status of their own; of tools the server itself says it.
  const auto missing = server_.missing_scope(call->message, call->context);
  if (missing && !call->message.is("tools/call")) {
    const RpcError error = scope_error(*missing, call->message, call->context);
    call->session->outbox.push(error_text(call->message.id, error));
    co_return;
  }
  if (auto reply = session_method(*call)) {
    call->session->outbox.push(std::move(reply->text));
    co_return;
  }
  const auto token = progress_token(call->message);
  if (!token.empty()) {
    call->context.progress_sink = [session = call->session, token](double progress,
                                                                   std::optional<double> total,
                                                                   std::string_view message) {
      session->outbox.push_progress(progress_text(token, progress, total, message));
    };
  }
  call->context.cancel = call->session->in_flight.add(call->message.id);
  Reply reply = co_await server_.handle(call->message, call->context);
  call->session->in_flight.remove(call->message.id);
  call->session->outbox.push(std::move(reply.text));
}

}  // namespace state_engine::mcp
