// Everything runs on the strand of the stream, so that the order of lines is the order in which
// requests start. Answers may leave in another order.

#include "mcp/protocol/stream_connection.h"

#include <utility>

#include <boost/asio/post.hpp>

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kUnsentBytesMax = 4 * 1024 * 1024;
constexpr std::string_view kHelloMember = "stateEngineHello";

}  // namespace

struct StreamConnection::Call {
  Message message;
  RequestContext context;
};

StreamConnection::StreamConnection(Server& server, const StreamEndpointOptions& options,
                                   const Authenticator& authenticator, net::TaskGroup& tasks,
                                   std::unique_ptr<net::LineStream> stream, Credentials credentials,
                                   bool may_greet)
    : server_(server),
      options_(options),
      authenticator_(authenticator),
      tasks_(tasks),
      stream_(std::move(stream)),
      credentials_(std::move(credentials)),
      may_greet_(may_greet),
      write_wake_(stream_->executor()),
      room_wake_(stream_->executor()),
      writer_ended_(stream_->executor()),
      updates_(server.subscriptions()) {
  outbox_.attach(write_wake_);
  updates_.attach(write_wake_);
}

// ---- The two loops ----------------------------------------------------------------------------

asio::awaitable<void> StreamConnection::run() {
  const auto self = shared_from_this();
  auto write = [self] { return self->write_loop(); };
  tasks_.spawn(stream_->executor(), std::move(write));
  co_await read_lines();
  input_ended_ = true;
  requests_->abandon();
  listens_.clear();
  write_wake_.notify();
  while (!writer_done_) co_await writer_ended_.wait();
  in_flight_.cancel_all();
  stream_->close();
}

asio::awaitable<void> StreamConnection::read_lines() {
  while (!broken_) {
    co_await wait_for_room();
    auto line = co_await stream_->read_line();
    if (!line) co_return;
    if (line->too_long) {
      send_error({},
                 {rpc::kInvalidRequest,
                  "a line may have at most " + std::to_string(options_.line_bytes_max) + " bytes",
                  nullptr});
    } else if (line->text.find_first_not_of(" \t") != std::string::npos) {
      take(line->text);
    }
  }
}

asio::awaitable<void> StreamConnection::wait_for_room() {
  while (!broken_ && (in_flight_.size() >= options_.requests_in_flight_max ||
                      outbox_.bytes() >= kUnsentBytesMax)) {
    co_await room_wake_.wait();
  }
}

bool StreamConnection::idle() const { return input_ended_ && in_flight_.size() == 0; }

std::string StreamConnection::collect() {
  std::string text;
  for (const std::string& message : outbox_.take()) text.append(message).append("\n");
  for (const std::string& uri : updates_.take()) {
    text.append(legacy_update_text(uri)).append("\n");
  }
  for (const auto& [id, listener] : listens_) {
    for (const std::string& uri : listener->take()) {
      text.append(listen_update_text(id, uri)).append("\n");
    }
  }
  return text;
}

asio::awaitable<void> StreamConnection::write_loop() {
  while (true) {
    std::string text = collect();
    if (text.empty()) {
      if (idle() || broken_) break;
      if (!co_await write_wake_.wait(options_.recheck_every)) end_if_refused();
      continue;
    }
    if (!co_await stream_->write(std::move(text))) {
      broken_ = true;
      stream_->stop_reading();
      break;
    }
    room_wake_.notify();
  }
  writer_done_ = true;
  room_wake_.notify();
  writer_ended_.notify();
}

void StreamConnection::drain() {
  asio::post(stream_->executor(), [self = shared_from_this()] {
    self->end_listens();
    self->stream_->stop_reading();
  });
}

void StreamConnection::abort() {
  asio::post(stream_->executor(), [self = shared_from_this()] {
    self->broken_ = true;
    self->in_flight_.cancel_all();
    self->stream_->close();
    self->room_wake_.notify();
    self->write_wake_.notify();
  });
}

// ---- Lines ------------------------------------------------------------------------------------

void StreamConnection::send_error(std::string_view id, const RpcError& error) {
  outbox_.push(error_text(id, error));
}

bool StreamConnection::take_hello(const std::string& line) {
  if (!std::exchange(first_line_, false) || !may_greet_) return false;
  if (line.find(kHelloMember) == std::string::npos) return false;
  const auto value = json::parse(line);
  if (!value.ok() || !value->is_object()) return false;
  const json::Value* hello = value->get_object().if_contains(kHelloMember);
  if (!hello || !hello->is_object()) return false;
  credentials_.hello_client = json::find_string(hello->get_object(), "client").value_or("");
  credentials_.bearer_token = json::find_string(hello->get_object(), "token").value_or("");
  return true;
}

// Answers a refusal with the id of the request, so that the client can match it.
bool StreamConnection::authenticate(std::string_view id) {
  const auto now = std::chrono::steady_clock::now();
  if (caller_ && now - checked_ < options_.recheck_every) return true;
  checked_ = now;
  AuthOutcome outcome = authenticator_(credentials_);
  if (outcome.failure) {
    listens_.clear();
    send_error(id, {rpc::kInvalidRequest, "not allowed: " + outcome.failure->message, nullptr});
    stream_->stop_reading();
    return false;
  }
  caller_ = std::move(outcome.caller);
  return true;
}

void StreamConnection::end_if_refused() {
  if (!caller_ || input_ended_) return;
  const AuthOutcome outcome = authenticator_(credentials_);
  if (!outcome.failure && outcome.caller == *caller_) return;
  listens_.clear();
  stream_->stop_reading();
}

void StreamConnection::recheck_access() {
  asio::post(stream_->executor(), [self = shared_from_this()] { self->end_if_refused(); });
}

void StreamConnection::take(const std::string& line) {
  if (take_hello(line)) return;
  auto parsed = parse_message(line);
  const auto* readable = std::get_if<Message>(&parsed);
  if (!authenticate(readable ? std::string_view{readable->id} : std::string_view{})) return;
  if (const auto* fault = std::get_if<MessageFault>(&parsed)) {
    send_error(fault->id, fault->error);
    return;
  }
  Message message = std::get<Message>(std::move(parsed));
  if (message.kind == Message::Kind::kRequest) {
    take_request(std::move(message));
  } else if (message.kind == Message::Kind::kResponse) {
    requests_->take_answer(message);  // A late one is of no use to anybody.
  } else if (message.is("notifications/cancelled")) {
    take_cancelled(message);
  }
}

void StreamConnection::take_cancelled(const Message& message) {
  const json::Value* request_id = message.params.if_contains("requestId");
  if (!request_id) return;
  const std::string id = json::write(*request_id);
  if (listens_.erase(id) > 0) return;
  // Never answered any more, whatever the handler makes of it.
  if (in_flight_.cancel(id)) silenced_.insert(id);
}

// Pins the era with the first request that fits one; returns false if the request was answered.
bool StreamConnection::settle_era(const Message& message) {
  const auto body_era = era_of_body(message);
  const bool modern = era_ ? *era_ == Era::kModern : body_era == Era::kModern;
  if (!modern) {
    era_ = Era::kLegacy;
    return true;
  }
  if (era_ && !body_era && message.is("initialize")) {
    RpcError error{rpc::kUnsupportedVersion, "Unsupported protocol version", nullptr};
    error.data = json::Object{
        {"supported", json::Array{kModernVersion}},
        {"requested", json::find_string(message.params, "protocolVersion").value_or("")}};
    send_error(message.id, error);
    return false;
  }
  if (auto refusal = check_modern(message, std::nullopt)) {
    send_error(message.id, refusal->error);
    return false;
  }
  era_ = Era::kModern;
  return true;
}

bool StreamConnection::take_local_method(const Message& message) {
  if (*era_ == Era::kModern) {
    if (!message.is("subscriptions/listen")) return false;
    start_listen(message);
    return true;
  }
  if (message.is("initialize")) {
    const auto version = json::find_string(message.params, "protocolVersion").value_or("");
    protocol_version_ = is_legacy_version(version) ? version : std::string{kLatestLegacyVersion};
    const json::Value* capabilities = message.params.if_contains("capabilities");
    if (capabilities && capabilities->is_object()) {
      client_capabilities_ = capabilities->get_object();
    }
    return false;
  }
  const bool subscribe = message.is("resources/subscribe");
  if (!subscribe && !message.is("resources/unsubscribe")) return false;
  const auto uri = json::find_string(message.params, "uri");
  if (!uri || (subscribe && !server_.is_subscribable(*uri))) {
    send_error(message.id, {rpc::kInvalidParams,
                            uri ? "Resource not found: " + uri->substr(0, 1024)
                                : message.method + " needs params.uri, a string",
                            nullptr});
    return true;
  }
  if (!subscribe) {
    updates_.remove(*uri);
  } else if (!updates_.add(*uri, server_.options().subscriptions_max)) {
    send_error(message.id, {rpc::kInvalidParams,
                            "too many subscriptions; subscribe to a collection that ends in \"/\" "
                            "instead",
                            nullptr});
    return true;
  }
  outbox_.push(result_text(message.id, "{}"));
  return true;
}

void StreamConnection::start_listen(const Message& message) {
  auto parsed = parse_listen(server_, message);
  if (auto* error = std::get_if<RpcError>(&parsed)) {
    send_error(message.id, *error);
    return;
  }
  if (listens_.size() >= options_.listens_max) {
    send_error(message.id,
               {rpc::kInvalidRequest, "too many listens on this stream; end one first", nullptr});
    return;
  }
  const auto& filter = std::get<ListenFilter>(parsed);
  auto listener = std::make_unique<ScopedListener>(server_.subscriptions());
  for (const std::string& uri : filter.uris) SE_ASSERT(listener->add(uri, filter.uris.size()));
  // The acknowledgement is queued before any update can be collected: both run on this strand.
  outbox_.push(acknowledged_text(message.id, filter));
  listener->attach(write_wake_);
  listens_[message.id] = std::move(listener);
}

void StreamConnection::end_listens() {
  for (const auto& [id, listener] : listens_) outbox_.push(listen_result_text(id));
  listens_.clear();
}

void StreamConnection::take_request(Message message) {
  if (!settle_era(message)) return;
  if (in_flight_.contains(message.id) || listens_.contains(message.id)) {
    send_error(message.id, {rpc::kInvalidRequest, "a request with this id is in flight", nullptr});
    return;
  }
  auto call = std::make_shared<Call>();
  RequestContext& context = call->context;
  context.era = *era_;
  context.transport = TransportKind::kStream;
  context.caller = *caller_;
  // Of tools the server itself says it, in a form that models read.
  const auto missing = server_.missing_scope(message, context);
  if (missing && !message.is("tools/call")) {
    send_error(message.id, scope_error(*missing, message, context));
    return;
  }
  if (take_local_method(message)) return;
  call->message = std::move(message);
  context.protocol_version = protocol_version_;
  context.client_capabilities = client_capabilities_;
  context.executor = stream_->executor();
  context.cancel = in_flight_.add(call->message.id);
  context.client_requests = requests_;
  context.session_log_level = log_level_;
  if (server_.sends_messages(call->message)) {
    context.message_sink = [self = shared_from_this()](std::string text) {
      self->outbox_.push(std::move(text));
    };
  }
  fill_context(call->message, context);
  const std::string token = progress_token(call->message);
  if (!token.empty()) {
    context.progress_sink = [self = shared_from_this(), token](double progress,
                                                               std::optional<double> total,
                                                               std::string_view text) {
      self->outbox_.push_progress(progress_text(token, progress, total, text));
    };
  }
  auto run = [self = shared_from_this(), call] { return self->run_call(call); };
  tasks_.spawn(stream_->executor(), std::move(run));
}

asio::awaitable<void> StreamConnection::run_call(std::shared_ptr<Call> call) {
  Reply reply = co_await server_.handle(call->message, call->context);
  in_flight_.remove(call->message.id);
  if (silenced_.erase(call->message.id) == 0) outbox_.push(std::move(reply.text));
  room_wake_.notify();
  write_wake_.notify();
}

}  // namespace state_engine::mcp
