// JSON-RPC 2.0 messages of MCP: reading them, and writing answers as text.

#ifndef STATE_ENGINE_MCP_PROTOCOL_MESSAGE_H_
#define STATE_ENGINE_MCP_PROTOCOL_MESSAGE_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"

namespace state_engine::mcp {

inline constexpr std::string_view kModernVersion = "2026-07-28";
inline constexpr std::string_view kLatestLegacyVersion = "2025-11-25";
// Newest first.
inline constexpr std::string_view kLegacyVersions[] = {"2025-11-25", "2025-06-18", "2025-03-26"};

bool is_legacy_version(std::string_view version);

// The reserved keys of _meta.
inline constexpr std::string_view kMetaProtocolVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kMetaClientCapabilities =
    "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kMetaClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kMetaServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kMetaSubscriptionId = "io.modelcontextprotocol/subscriptionId";

namespace rpc {
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kLegacyBadRequest = -32000;  // transport faults of the legacy era
inline constexpr int kLegacyNoSession = -32001;
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;
}  // namespace rpc

// A JSON-RPC error; `data` is omitted when null.
struct RpcError {
  int code = rpc::kInternalError;
  std::string message;
  json::Value data;
};

struct Message {
  enum class Kind { kRequest, kNotification, kResponse };

  Kind kind = Kind::kRequest;
  std::string id;       // the id as JSON text ("7", "\"a\""); requests and responses only
  std::string method;   // empty for responses
  json::Object params;  // empty when absent
  // Responses only: one of them.
  json::Object result;
  std::optional<RpcError> error;

  // params._meta, or nullptr when absent or no object.
  const json::Object* meta() const;
  bool is(std::string_view name) const { return method == name; }
};

// Why a text is no message; `id` is the id as JSON text where it could be read, else empty.
struct MessageFault {
  std::string id;
  RpcError error;
};

// The member `name` if it is a string, where it lies.
std::optional<std::string_view> find_text(const json::Object& object, std::string_view name);

// Reads one message. An array (batch) is refused: no revision that we serve needs it.
std::variant<Message, MessageFault> parse_message(std::string_view text);

// A finished answer. `text` is empty for notifications.
struct Reply {
  std::string text;
  int http_status = 200;
};

// {"jsonrpc":"2.0","id":ID,"error":{...}}; an empty `id` is left out.
std::string error_text(std::string_view id, const RpcError& error);
// {"jsonrpc":"2.0","id":ID,"result":{ : the members of the result and "}}" follow.
std::string reply_begin(std::string_view id);
// {"jsonrpc":"2.0","id":ID,"result":RESULT}; `result` is a JSON object as text.
std::string result_text(std::string_view id, std::string_view result);
// {"jsonrpc":"2.0","method":METHOD,"params":PARAMS}
std::string notification_text(std::string_view method, const json::Object& params);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_MESSAGE_H_
