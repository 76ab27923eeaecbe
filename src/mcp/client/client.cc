// The client sends one request at a time and drops whatever is not its answer. It needs no
// handshake: a modern request carries its version and capabilities in _meta.

#include "mcp/client/client.h"

#include <utility>

#include "mcp/client/channel.h"

namespace state_engine::mcp {
namespace {

constexpr std::string_view kVersion = "2026-07-28";

std::string request_text(std::int64_t id, std::string_view method, json::Object params,
                         const ClientOptions& options) {
  json::Object info;
  info["name"] = options.client_name;
  info["version"] = options.client_version;
  json::Object meta;
  meta["io.modelcontextprotocol/protocolVersion"] = kVersion;
  meta["io.modelcontextprotocol/clientCapabilities"] = json::Object{};
  meta["io.modelcontextprotocol/clientInfo"] = std::move(info);
  params["_meta"] = std::move(meta);
  json::Object message;
  message["jsonrpc"] = "2.0";
  message["id"] = id;
  message["method"] = method;
  message["params"] = std::move(params);
  return json::write(message);
}

Error rpc_error(const json::Object& error) {
  const std::int64_t code = json::find_int(error, "code").value_or(0);
  std::string message = json::find_string(error, "message").value_or("the server sent an error");
  if (message.starts_with("not allowed") || message.starts_with("forbidden:")) {
    return {ErrorCode::kPermissionDenied, std::move(message)};
  }
  const bool callers_fault = code == -32600 || code == -32601 || code == -32602;
  return {callers_fault ? ErrorCode::kInvalidArgument : ErrorCode::kInternal, std::move(message)};
}

Result<json::Object> parse_incoming(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  if (!value.ok() || !value->is_object()) {
    return Error{ErrorCode::kInternal, "the server sent something that is no message"};
  }
  return std::move(value->get_object());
}

// Waits for the answer to `id`; other messages are dropped.
Result<json::Object> await_result(Channel& channel, std::int64_t id, Channel::Deadline deadline) {
  while (true) {
    auto text = channel.receive(deadline);
    if (!text.ok()) return text.error();
    auto message = parse_incoming(*text);
    if (!message.ok()) return message.error();
    const json::Value* error = message->if_contains("error");
    const bool ours = json::find_int(*message, "id") == id;
    if (error && error->is_object() && (ours || !message->contains("id"))) {
      return rpc_error(error->get_object());
    }
    const json::Value* result = message->if_contains("result");
    if (ours && result && result->is_object()) return result->get_object();
  }
}

std::string name_of(std::string_view method, const json::Object& params) {
  const bool by_uri = method == "resources/read";
  if (!by_uri && method != "tools/call" && method != "prompts/get") return {};
  return json::find_string(params, by_uri ? "uri" : "name").value_or("");
}

std::string joined_text(const json::Object& result) {
  std::string text;
  const json::Value* content = result.if_contains("content");
  if (!content || !content->is_array()) return text;
  for (const json::Value& block : content->get_array()) {
    if (!block.is_object() || json::find_string(block.get_object(), "type") != "text") continue;
    if (!text.empty()) text.push_back('\n');
    text += json::find_string(block.get_object(), "text").value_or("");
  }
  return text;
}

}  // namespace

struct Client::Impl {
  ClientOptions options;
  std::unique_ptr<Channel> channel;
  std::int64_t next_id = 1;
};

struct Listener::Impl {
  std::unique_ptr<Channel> channel;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(ClientOptions options) {
  auto channel = open_channel(options);
  if (!channel.ok()) return channel.error();
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->channel = std::move(*channel);
  return std::make_unique<Client>(std::move(impl));
}

Result<json::Object> Client::request(std::string_view method, json::Object params) {
  const std::int64_t id = impl_->next_id++;
  const auto deadline = std::chrono::steady_clock::now() + impl_->options.call_timeout;
  const std::string name = name_of(method, params);
  const std::string text = request_text(id, method, std::move(params), impl_->options);
  if (auto sent = impl_->channel->send(text, method, name, deadline); !sent.ok()) {
    return sent.error();
  }
  return await_result(*impl_->channel, id, deadline);
}

Result<ToolReply> Client::call_tool(std::string_view name, json::Object arguments) {
  json::Object params;
  params["name"] = name;
  params["arguments"] = std::move(arguments);
  auto result = request("tools/call", std::move(params));
  if (!result.ok()) return result.error();
  ToolReply reply;
  const json::Value* is_error = result->if_contains("isError");
  reply.is_error = is_error && is_error->is_bool() && is_error->get_bool();
  reply.text = joined_text(*result);
  if (json::Value* structured = result->if_contains("structuredContent")) {
    reply.structured = std::move(*structured);
  }
  return reply;
}

Result<std::unique_ptr<Listener>> Client::listen(const std::vector<std::string>& uris) {
  auto channel = open_channel(impl_->options);
  if (!channel.ok()) return channel.error();
  json::Array wanted;
  for (const std::string& uri : uris) wanted.push_back(json::Value(uri));
  json::Object filter;
  filter["resourceSubscriptions"] = std::move(wanted);
  json::Object params;
  params["notifications"] = std::move(filter);
  constexpr std::string_view kMethod = "subscriptions/listen";
  const auto deadline = std::chrono::steady_clock::now() + impl_->options.call_timeout;
  const std::string text = request_text(1, kMethod, std::move(params), impl_->options);
  if (auto sent = (*channel)->send(text, kMethod, {}, deadline); !sent.ok()) return sent.error();
  auto first = (*channel)->receive(deadline);
  if (!first.ok()) return first.error();
  auto message = parse_incoming(*first);
  if (!message.ok()) return message.error();
  const json::Value* error = message->if_contains("error");
  if (error && error->is_object()) return rpc_error(error->get_object());
  const json::Value* acknowledged = message->if_contains("params");
  const json::Value* honoured = acknowledged && acknowledged->is_object()
                                    ? acknowledged->get_object().if_contains("notifications")
                                    : nullptr;
  const json::Value* list = honoured && honoured->is_object()
                                ? honoured->get_object().if_contains("resourceSubscriptions")
                                : nullptr;
  if (!list || !list->is_array() || list->get_array().empty()) {
    return invalid_argument("the server has no such resource to watch");
  }
  auto impl = std::make_unique<Listener::Impl>();
  impl->channel = std::move(*channel);
  return std::make_unique<Listener>(std::move(impl));
}

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;

Result<std::optional<std::string>> Listener::next(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    auto text = impl_->channel->receive(deadline);
    if (!text.ok()) {
      if (text.error().code == ErrorCode::kDeadlineExceeded) {
        return std::optional<std::string>{};
      }
      return text.error();
    }
    auto message = parse_incoming(*text);
    if (!message.ok()) return message.error();
    if (message->contains("result")) {
      return Error{ErrorCode::kUnavailable, "the engine is shutting down"};
    }
    if (json::find_string(*message, "method") != "notifications/resources/updated") continue;
    const json::Value* params = message->if_contains("params");
    auto uri = params && params->is_object() ? json::find_string(params->get_object(), "uri")
                                             : std::nullopt;
    if (uri) return uri;
  }
}

}  // namespace state_engine::mcp
