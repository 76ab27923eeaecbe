// The ladder of checks of Streamable HTTP, in the order that real clients and the conformance suite
// expect: Host and Origin, method, Content-Type, credentials, JSON, era, version and headers,
// method.

#include "mcp/protocol/http_endpoint.h"

#include <algorithm>
#include <utility>

#include "mcp/protocol/http_endpoint_state.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;
using net::HttpResponse;

bool is_json(std::string_view content_type) {
  return net::equals_ignoring_case(net::trim(content_type.substr(0, content_type.find(';'))),
                                   "application/json");
}

// True if Accept is absent or names `type` or a range that holds it.
bool accepts(const net::Headers& headers, std::string_view type) {
  const std::string* accept = headers.find("Accept");
  if (!accept) return true;
  const std::string_view family = type.substr(0, type.find('/') + 1);
  const auto is_range = [family](std::string_view name) {
    return name.size() == family.size() + 1 && name.back() == '*' &&
           net::equals_ignoring_case(name.substr(0, family.size()), family);
  };
  std::string_view rest = *accept;
  while (true) {
    const auto comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const std::string_view name = net::trim(item.substr(0, item.find(';')));
    if (net::equals_ignoring_case(name, type) || is_range(name) || name == "*/*") {
      return true;
    }
    if (comma == std::string_view::npos) return false;
    rest.remove_prefix(comma + 1);
  }
}

RpcError transport_error(std::string message) {
  return {rpc::kInvalidRequest, std::move(message), nullptr};
}

HttpResponse not_allowed() {
  HttpResponse response = rpc_failure(405, {}, transport_error("Method not allowed: use POST"));
  response.headers.add("Allow", "POST");
  return response;
}

HttpResponse no_session(std::string_view id) {
  return rpc_failure(404, id,
                     {rpc::kLegacyNoSession, "Session not found: initialize again", nullptr});
}

HttpResponse accepted() { return {202, {}, {}, nullptr, false}; }

}  // namespace

HttpResponse rpc_failure(int http_status, std::string_view id, const RpcError& error) {
  return HttpResponse::json(http_status, error_text(id, error));
}

// ---- Steps 1 to 3: transport and credentials --------------------------------------------------

std::optional<HttpResponse> HttpEndpoint::State::check_post(const net::HttpRequest& request) const {
  if (!is_json(request.headers.get("Content-Type"))) {
    return rpc_failure(415, {}, transport_error("Content-Type must be application/json"));
  }
  if (!accepts(request.headers, "application/json") &&
      !accepts(request.headers, "text/event-stream")) {
    return rpc_failure(406, {},
                       transport_error("Accept must hold application/json or text/event-stream"));
  }
  return std::nullopt;
}

// No coroutine, for one frame less under every call.
HttpEndpoint::State::Response HttpEndpoint::State::serve(net::HttpRequest request,
                                                         net::HttpExchange& exchange) {
  const bool allowed = net::origin_allowed(options_.origins, request.headers);
  if (allowed && request.method == "POST") return post(std::move(request), exchange);
  return serve_other(std::move(request), allowed);
}

HttpEndpoint::State::Response HttpEndpoint::State::serve_other(net::HttpRequest request,
                                                               bool allowed) {
  if (!allowed) {
    co_return rpc_failure(403, {},
                          transport_error("Forbidden: this Host or Origin is not allowed"));
  }
  if (request.method == "GET") co_return get(request);
  if (request.method == "DELETE") co_return remove(request);
  if (request.method == "OPTIONS") {
    HttpResponse response{204, {}, {}, nullptr, false};
    response.headers.add("Allow", "GET, POST, DELETE, OPTIONS");
    co_return response;
  }
  co_return not_allowed();
}

// ---- Steps 4 to 7: the message ----------------------------------------------------------------

HttpEndpoint::State::Response HttpEndpoint::State::post(net::HttpRequest request,
                                                        net::HttpExchange& exchange) {
  if (auto refused = check_post(request)) co_return std::move(*refused);
  auto call = std::make_shared<HttpCall>();
  if (auto refused = authenticate(request, TransportKind::kStreamableHttp, call->peer)) {
    co_return std::move(*refused);
  }
  call->context.caller = call->peer.caller;
  auto parsed = parse_message(request.body);
  if (const auto* fault = std::get_if<MessageFault>(&parsed)) {
    co_return rpc_failure(400, fault->id, fault->error);
  }
  call->message = std::get<Message>(std::move(parsed));
  const EraChoice choice = choose_http_era(call->message, request.headers);
  if (choice.refusal) {
    co_return rpc_failure(choice.refusal->http_status, call->message.id, choice.refusal->error);
  }
  call->context.era = choice.era;
  call->context.transport = TransportKind::kStreamableHttp;
  call->context.executor = exchange.executor();
  call->context.traceparent =
      std::string{request.headers.get("traceparent").substr(0, limits::kTraceBytesMax)};
  fill_context(call->message, call->context);
  if (choice.era == Era::kModern) {
    call->context.cancel = exchange.disconnected();
    if (auto response = answer_modern(call, request)) co_return std::move(*response);
    co_return co_await answer(std::move(call), request);
  }
  co_return co_await post_legacy(std::move(call), request);
}

std::optional<HttpResponse> HttpEndpoint::State::answer_modern(
    const std::shared_ptr<HttpCall>& call, const net::HttpRequest& request) {
  const Message& message = call->message;
  if (message.kind == Message::Kind::kNotification) return accepted();
  if (message.kind == Message::Kind::kResponse) {
    return rpc_failure(400, {}, transport_error("this revision has no client responses"));
  }
  auto refusal = check_modern(message, request.headers.find("MCP-Protocol-Version"));
  if (!refusal) refusal = check_modern_headers(message, request.headers);
  if (!refusal) refusal = server_.check_parameter_headers(message, request.headers);
  if (refusal) return rpc_failure(refusal->http_status, message.id, refusal->error);
  if (auto refused = check_scope(request, *call)) return refused;
  if (message.is("subscriptions/listen")) return listen(call);
  return std::nullopt;
}

HttpEndpoint::State::Response HttpEndpoint::State::post_legacy(std::shared_ptr<HttpCall> call,
                                                               const net::HttpRequest& request) {
  const Message& message = call->message;
  RequestContext& context = call->context;
  context.protocol_version = std::string{net::trim(request.headers.get("MCP-Protocol-Version"))};
  const std::string* session_id = request.headers.find("Mcp-Session-Id");
  if (session_id && !message.is("initialize")) {
    call->session = sessions_.find(net::trim(*session_id), context.caller);
    if (!call->session) co_return no_session(message.id);
    context.session_id = call->session->id;
    context.protocol_version = call->session->protocol_version;
    context.client_capabilities = call->session->client_capabilities;
    context.client_requests = call->session->requests;
    context.session_log_level = call->session->log_level;
  }
  if (message.kind != Message::Kind::kRequest) {
    take_notification(message, call->session.get());
    co_return accepted();
  }
  if (auto refused = check_scope(request, *call)) co_return std::move(*refused);
  if (auto reply = session_method(*call)) {
    co_return HttpResponse::json(reply->http_status, std::move(reply->text));
  }
  if (message.is("initialize")) {
    Reply reply = co_await server_.handle(message, context);
    co_return opened(*call, std::move(reply));
  }
  co_return co_await answer(std::move(call), request);
}

HttpResponse HttpEndpoint::State::opened(HttpCall& call, Reply reply) {
  HttpResponse response = HttpResponse::json(200, std::move(reply.text));
  const auto version = json::find_string(call.message.params, "protocolVersion");
  if (!version) return response;  // The reply is an error then.
  auto session = sessions_.create(call.peer.caller, call.peer.credentials, server_.subscriptions());
  if (!session) {
    response = rpc_failure(503, call.message.id,
                           {rpc::kInternalError, "too many sessions are open; try later", nullptr});
    response.headers.add("Retry-After", "5");
    return response;
  }
  session->protocol_version =
      is_legacy_version(*version) ? *version : std::string{kLatestLegacyVersion};
  const json::Value* capabilities = call.message.params.if_contains("capabilities");
  if (capabilities && capabilities->is_object()) {
    session->client_capabilities = capabilities->get_object();
  }
  response.headers.add("Mcp-Session-Id", session->id);
  return response;
}

void HttpEndpoint::State::take_notification(const Message& message, Session* session) {
  if (!session) return;
  // An answer that nobody waits for is late: its question was given up.
  if (message.kind == Message::Kind::kResponse) session->requests->take_answer(message);
  if (!message.is("notifications/cancelled")) return;
  const json::Value* id = message.params.if_contains("requestId");
  if (id) session->in_flight.cancel(json::write(*id));
}

std::optional<Reply> HttpEndpoint::State::session_method(HttpCall& call) {
  const Message& message = call.message;
  const bool subscribe = message.is("resources/subscribe");
  if (!call.session || (!subscribe && !message.is("resources/unsubscribe"))) return std::nullopt;
  const auto fail = [&](std::string why) {
    return Reply{error_text(message.id, {rpc::kInvalidParams, std::move(why), nullptr}), 200};
  };
  const auto uri = json::find_string(message.params, "uri");
  if (!uri) return fail(message.method + " needs params.uri, a string");
  if (!subscribe) {
    call.session->updates.remove(*uri);
    return Reply{result_text(message.id, "{}"), 200};
  }
  if (!server_.is_subscribable(*uri)) return fail("Resource not found: " + uri->substr(0, 1024));
  if (!call.session->updates.add(*uri, server_.options().subscriptions_max)) {
    return fail("too many subscriptions; subscribe to a collection that ends in \"/\" instead");
  }
  return Reply{result_text(message.id, "{}"), 200};
}

HttpEndpoint::State::Response HttpEndpoint::State::answer(std::shared_ptr<HttpCall> call,
                                                          const net::HttpRequest& request) {
  const bool takes_json = accepts(request.headers, "application/json");
  const bool talks = call->context.era == Era::kLegacy || call->context.request_log_level
                         ? server_.sends_messages(call->message)
                         : false;
  const bool has_events =
      call->message.is("tools/call") && (talks || !progress_token(call->message).empty());
  if (has_events && request.headers.find("Accept") &&
      accepts(request.headers, "text/event-stream")) {
    co_return co_await answer_as_stream(std::move(call), takes_json);
  }
  if (call->session) call->context.cancel = call->session->in_flight.add(call->message.id);
  Reply reply = co_await server_.handle(call->message, call->context);
  if (call->session) call->session->in_flight.remove(call->message.id);
  if (takes_json || reply.http_status != 200) {
    co_return HttpResponse::json(reply.http_status, std::move(reply.text));
  }
  HttpResponse response;
  response.stream = [text =
                         std::move(reply.text)](net::SseWriter& writer) -> asio::awaitable<void> {
    co_await writer.send(text, "message");
  };
  co_return response;
}

// ---- GET and DELETE: legacy sessions ----------------------------------------------------------

HttpResponse HttpEndpoint::State::get(const net::HttpRequest& request) {
  const std::string* session_id = request.headers.find("Mcp-Session-Id");
  const auto version = net::trim(request.headers.get("MCP-Protocol-Version"));
  if (!session_id || is_modern_version(version)) return not_allowed();
  if (!accepts(request.headers, "text/event-stream")) {
    return rpc_failure(406, {}, transport_error("Accept must hold text/event-stream"));
  }
  Peer peer;
  if (auto refused = authenticate(request, TransportKind::kStreamableHttp, peer)) {
    return std::move(*refused);
  }
  auto session = sessions_.find(net::trim(*session_id), peer.caller);
  if (!session) return no_session({});
  if (!sessions_.open_stream(*session)) {
    return rpc_failure(409, {}, transport_error("this session has an open stream already"));
  }
  return session_stream(std::move(session), std::move(peer), {});
}

HttpResponse HttpEndpoint::State::remove(const net::HttpRequest& request) {
  const std::string* session_id = request.headers.find("Mcp-Session-Id");
  const auto version = net::trim(request.headers.get("MCP-Protocol-Version"));
  if (!session_id || is_modern_version(version)) return not_allowed();
  Peer peer;
  if (auto refused = authenticate(request, TransportKind::kStreamableHttp, peer)) {
    return std::move(*refused);
  }
  const auto session = sessions_.find(net::trim(*session_id), peer.caller);
  if (!session) return no_session({});
  session->in_flight.cancel_all();
  sessions_.end(session);
  return {204, {}, {}, nullptr, false};
}

// ---- The endpoint -----------------------------------------------------------------------------

HttpEndpoint::HttpEndpoint(Server& server, HttpEndpointOptions options, Authenticator authenticator,
                           Random& random, Log& log)
    : state_(std::make_shared<State>(server, std::move(options), std::move(authenticator), random,
                                     log)) {}

HttpEndpoint::~HttpEndpoint() = default;

void HttpEndpoint::mount(net::HttpServer& http) {
  const auto state = state_;
  http.route(state->options().path, [state](net::HttpRequest request, net::HttpExchange& exchange) {
    return state->serve(std::move(request), exchange);
  });
  if (!state->options().resource.authorization_servers.empty()) {
    const auto answer = net::sync_handler(
        [state](const net::HttpRequest& request) { return state->metadata(request); });
    http.route(std::string{kMetadataPath}, "GET, HEAD", answer);
    http.route(std::string{kMetadataPath} + state->options().path, "GET, HEAD", answer);
  }
  if (!state->options().legacy_sse) return;
  http.route("/sse", [state](net::HttpRequest request, net::HttpExchange& exchange) {
    return state->serve_sse(std::move(request), exchange);
  });
  http.route("/message", [state](net::HttpRequest request, net::HttpExchange& exchange) {
    return state->serve_message(std::move(request), exchange);
  });
}

void HttpEndpoint::recheck_access() { state_->recheck_access(); }

std::size_t HttpEndpoint::sessions() const { return state_->sessions(); }

std::size_t HttpEndpoint::listeners() const { return state_->listeners(); }

}  // namespace state_engine::mcp
