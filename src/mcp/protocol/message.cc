// JSON-RPC 2.0 as MCP narrows it: no batches, ids are strings or integers. An unreadable id
// is left out of the error: null fails the 2026 schema, and a made-up one confuses clients.

#include "mcp/protocol/message.h"

#include <algorithm>

namespace state_engine::mcp {
namespace {

MessageFault invalid(std::string id, std::string why) {
  return {std::move(id), {rpc::kInvalidRequest, "Invalid Request: " + std::move(why), nullptr}};
}

// The id as JSON text, if it is one that may be echoed: a string or an integer.
std::optional<std::string> id_text(const json::Value& id) {
  constexpr std::size_t kIdBytesMax = 1024;
  if (id.is_string() && id.get_string().size() <= kIdBytesMax) return json::write(id);
  if (json::as_int64(id).has_value()) return json::write(id);
  return std::nullopt;
}

std::variant<Message, MessageFault> take_response(json::Object& object, Message message) {
  json::Value* result = object.if_contains("result");
  const json::Value* error = object.if_contains("error");
  if (result && !error && result->is_object()) {
    message.result = std::move(result->get_object());
    return message;
  }
  if (!error || result || !error->is_object()) {
    return invalid({}, "a response has a result or an error, an object");
  }
  const auto code = json::find_int(error->get_object(), "code");
  message.error = RpcError{static_cast<int>(code.value_or(rpc::kInternalError)),
                           json::find_string(error->get_object(), "message").value_or(""), nullptr};
  return message;
}

std::variant<Message, MessageFault> classify(json::Object& object) {
  Message message;
  const json::Value* id = object.if_contains("id");
  if (id) {
    auto text = id_text(*id);
    if (!text) return invalid({}, "id must be a string or an integer, never null");
    message.id = std::move(*text);
  }
  if (find_text(object, "jsonrpc") != "2.0") {
    return invalid(message.id, "jsonrpc must be \"2.0\"");
  }
  const json::Value* method = object.if_contains("method");
  if (!method) {
    if (!id || (!object.contains("result") && !object.contains("error"))) {
      return invalid(message.id, "a message has a method, or an id with a result or an error");
    }
    message.kind = Message::Kind::kResponse;
    return take_response(object, std::move(message));
  }
  if (!method->is_string()) return invalid(message.id, "method must be a string");
  message.kind = id ? Message::Kind::kRequest : Message::Kind::kNotification;
  message.method = std::string{std::string_view{method->get_string()}};
  if (json::Value* params = object.if_contains("params")) {
    if (!params->is_object()) return invalid(message.id, "params must be an object");
    message.params = std::move(params->get_object());
  }
  return message;
}

}  // namespace

bool is_legacy_version(std::string_view version) {
  return std::find(std::begin(kLegacyVersions), std::end(kLegacyVersions), version) !=
         std::end(kLegacyVersions);
}

std::optional<std::string_view> find_text(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  if (!value || !value->is_string()) return std::nullopt;
  return std::string_view{value->get_string()};
}

const json::Object* Message::meta() const {
  const json::Value* value = params.if_contains("_meta");
  return value ? value->if_object() : nullptr;
}

std::variant<Message, MessageFault> parse_message(std::string_view text) {
  auto value = json::parse(text);
  if (!value.ok()) {
    const bool over_limit = value.error().code == ErrorCode::kResourceExhausted;
    return MessageFault{
        {},
        {over_limit ? rpc::kInvalidRequest : rpc::kParseError,
         (over_limit ? "Invalid Request: " : "Parse error: ") + value.error().message, nullptr}};
  }
  if (value->is_array()) return invalid({}, "batches are not supported; send one message");
  if (!value->is_object()) return invalid({}, "a message is a JSON object");
  return classify(value->get_object());
}

std::string error_text(std::string_view id, const RpcError& error) {
  std::string out = R"({"jsonrpc":"2.0",)";
  if (!id.empty()) out.append("\"id\":").append(id).append(",");
  out.append("\"error\":{\"code\":").append(std::to_string(error.code)).append(",\"message\":");
  json::write_string_to(out, error.message);
  if (!error.data.is_null()) {
    out.append(",\"data\":");
    json::write_to(out, error.data);
  }
  out.append("}}");
  return out;
}

std::string reply_begin(std::string_view id) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id).append(R"(,"result":{)");
  return out;
}

std::string result_text(std::string_view id, std::string_view result) {
  std::string out;
  out.reserve(result.size() + id.size() + 40);
  out.append(R"({"jsonrpc":"2.0","id":)").append(id).append(",\"result\":").append(result);
  out.push_back('}');
  return out;
}

std::string notification_text(std::string_view method, const json::Object& params) {
  std::string out = R"({"jsonrpc":"2.0","method":)";
  json::write_string_to(out, method);
  out.append(",\"params\":");
  json::write_to(out, params);
  out.push_back('}');
  return out;
}

}  // namespace state_engine::mcp
