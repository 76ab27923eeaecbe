// Pages of tools/list, resources/list, resources/templates/list and prompts/list.
//
// What is listed does not change while the server runs, so a cursor is a place in the list, good
// for any connection and at any time. Clients must treat it as opaque.

#ifndef STATE_ENGINE_MCP_PROTOCOL_LIST_PAGE_H_
#define STATE_ENGINE_MCP_PROTOCOL_LIST_PAGE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace state_engine::mcp {

struct ListPage {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string next_cursor;  // empty on the last page
};

// The page of `list` (its member in the result) that `params` asks for; nothing if the cursor was
// never given out for that list. An empty cursor means the start.
std::optional<ListPage> page_of(std::string_view list, std::size_t size, std::size_t page_max,
                                const json::Object& params);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_LIST_PAGE_H_
