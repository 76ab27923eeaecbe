// The messages of subscriptions/listen (2026-07-28) and of resource updates in both eras.

#ifndef STATE_ENGINE_MCP_PROTOCOL_LISTEN_H_
#define STATE_ENGINE_MCP_PROTOCOL_LISTEN_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mcp/protocol/message.h"
#include "mcp/protocol/server.h"

namespace state_engine::mcp {

// What a listen request asks for and we honour: resource updates only, since our lists are static.
struct ListenFilter {
  bool asked_for_resources = false;
  std::vector<std::string> uris;  // those that may exist, without duplicates
};

std::variant<ListenFilter, RpcError> parse_listen(const Server& server, const Message& message);

// `id` is the id of the listen request as JSON text; it tags every message of the stream.
std::string acknowledged_text(std::string_view id, const ListenFilter& filter);
std::string listen_update_text(std::string_view id, std::string_view uri);
std::string listen_result_text(std::string_view id);

// The untagged form of the legacy era.
std::string legacy_update_text(std::string_view uri);

// A progress notification; `token` is the client's token as JSON text.
std::string progress_text(std::string_view token, double progress, std::optional<double> total,
                          std::string_view message);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_LISTEN_H_
