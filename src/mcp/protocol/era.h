// Which era a request belongs to, and the rules of revision 2026-07-28 for _meta and headers.

#ifndef STATE_ENGINE_MCP_PROTOCOL_ERA_H_
#define STATE_ENGINE_MCP_PROTOCOL_ERA_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/protocol/context.h"
#include "mcp/protocol/message.h"
#include "net/http_types.h"

namespace state_engine::mcp {

// The era that the body names through _meta, or nullopt if it names none. A version nobody knows is
// modern: it is later refused with the list of what is supported.
std::optional<Era> era_of_body(const Message& message);

// True if `version` looks like a date of 2026-07-28 or later.
bool is_modern_version(std::string_view version);

// A refusal and the HTTP status that goes with it.
struct Refusal {
  RpcError error;
  int http_status = 400;
};

// Decides the era of an HTTP message from its body, then its headers (mcp digest 3.1, step 5).
struct EraChoice {
  Era era = Era::kLegacy;
  std::optional<Refusal> refusal;
};
EraChoice choose_http_era(const Message& message, const net::Headers& headers);

// Checks _meta of a modern request: version, capabilities, client info. `header_version` is the
// MCP-Protocol-Version header (nullptr when absent), or nullopt on transports without headers.
std::optional<Refusal> check_modern(const Message& message,
                                    std::optional<const std::string*> header_version);

// Checks that Mcp-Method and Mcp-Name agree with the body.
std::optional<Refusal> check_modern_headers(const Message& message, const net::Headers& headers);

// One argument of a tool that an HTTP header repeats.
struct HeaderParameter {
  std::string property;
  std::string header;  // "Mcp-Param-Region"
};
std::optional<Refusal> check_parameter_headers(const Message& message, const net::Headers& headers,
                                               const std::vector<HeaderParameter>& parameters);

// Fills what the context takes from the message: _meta, capabilities, version, traceparent.
void fill_context(const Message& message, RequestContext& context);

// The progress token as JSON text, or empty.
std::string progress_token(const Message& message);

// Decodes the "=?base64?...?=" form of a header value; nullopt if it is malformed.
std::optional<std::string> decode_header_value(std::string_view value);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_ERA_H_
