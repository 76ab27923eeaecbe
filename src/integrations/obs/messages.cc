// Protocol facts: github.com/obsproject/obs-websocket, docs/generated/protocol.md, version 5.1.0.

#include "integrations/obs/messages.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hex.h"
#include "wire/base64.h"

namespace state_engine::obs {
namespace {

enum Op : std::int64_t {
  kHello = 0,
  kIdentify = 1,
  kIdentified = 2,
  kEvent = 5,
  kRequest = 6,
  kRequestResponse = 7,
  kRequestBatch = 8,
  kRequestBatchResponse = 9,
};

constexpr std::size_t kNodesMax = 200'000;

std::string text_of(const json::Object& object, std::string_view name) {
  return json::find_string(object, name).value_or("");
}

json::Object object_of(const json::Object& object, std::string_view name) {
  const json::Value* const value = json::find(object, name);
  return value != nullptr && value->is_object() ? value->get_object() : json::Object{};
}

Hello hello_of(const json::Object& data) {
  Hello hello;
  hello.version = text_of(data, "obsWebSocketVersion");
  hello.rpc_version = static_cast<int>(json::find_int(data, "rpcVersion").value_or(0));
  const json::Object authentication = object_of(data, "authentication");
  hello.wants_password = !authentication.empty();
  hello.challenge = text_of(authentication, "challenge");
  hello.salt = text_of(authentication, "salt");
  return hello;
}

Reply reply_of(const json::Object& data) {
  const json::Object status = object_of(data, "requestStatus");
  Reply reply;
  reply.code = static_cast<int>(json::find_int(status, "code").value_or(0));
  reply.comment = text_of(status, "comment");
  reply.data = object_of(data, "responseData");
  return reply;
}

Response batch_of(const json::Object& data) {
  Response response{text_of(data, "requestId"), {}};
  const json::Value* const results = json::find(data, "results");
  if (results == nullptr || !results->is_array()) return response;
  for (const json::Value& result : results->get_array()) {
    if (result.is_object()) response.replies.push_back(reply_of(result.get_object()));
  }
  return response;
}

std::string message(Op op, json::Object data) {
  json::Object out;
  out["op"] = static_cast<std::int64_t>(op);
  out["d"] = std::move(data);
  return json::write(out);
}

json::Object request_object(const Request& request) {
  json::Object out;
  out["requestType"] = request.type;
  if (!request.data.empty()) out["requestData"] = request.data;
  return out;
}

std::string base64_digest(const std::string& text) {
  const Sha256 digest = sha256(text);
  return wire::to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

Result<Incoming> decode(std::string_view text) {
  json::ParseLimits limits;
  limits.bytes_max = text.size();
  limits.nodes_max = kNodesMax;
  auto parsed = json::parse(text, limits);
  if (!parsed.ok()) return std::move(parsed).error();
  const json::Object* const root = parsed->if_object();
  const json::Value* const body = root != nullptr ? json::find(*root, "d") : nullptr;
  const auto op = root != nullptr ? json::find_int(*root, "op") : std::nullopt;
  if (!op || body == nullptr || !body->is_object()) {
    return invalid_argument("a message is not of the form {op, d}: is this obs-websocket 5?");
  }
  const json::Object& data = body->get_object();
  switch (*op) {
    case kHello:
      return Incoming(hello_of(data));
    case kIdentified:
      return Incoming(Identified{});
    case kEvent:
      return Incoming(Event{text_of(data, "eventType"), object_of(data, "eventData")});
    case kRequestResponse:
      return Incoming(Response{text_of(data, "requestId"), {reply_of(data)}});
    case kRequestBatchResponse:
      return Incoming(batch_of(data));
    default:
      return Incoming(Unknown{static_cast<int>(*op)});
  }
}

std::string encode_identify(const Hello& hello, std::string_view password) {
  json::Object data;
  data["rpcVersion"] = kRpcVersion;
  data["eventSubscriptions"] = kEventSubscriptions;
  if (hello.wants_password) {
    data["authentication"] = authentication(password, hello.salt, hello.challenge);
  }
  return message(kIdentify, std::move(data));
}

std::string encode_requests(std::string_view id, const std::vector<Request>& requests) {
  SE_ASSERT(!requests.empty());
  json::Object data;
  if (requests.size() == 1) data = request_object(requests.front());
  data["requestId"] = boost::json::string_view(id.data(), id.size());
  if (requests.size() == 1) return message(kRequest, std::move(data));
  data["haltOnFailure"] = true;
  json::Array list;
  for (const Request& request : requests) list.emplace_back(request_object(request));
  data["requests"] = std::move(list);
  return message(kRequestBatch, std::move(data));
}

std::string authentication(std::string_view password, std::string_view salt,
                           std::string_view challenge) {
  const std::string secret = base64_digest(fmt::format("{}{}", password, salt));
  return base64_digest(fmt::format("{}{}", secret, challenge));
}

}  // namespace state_engine::obs
