// The words of the tools: titles, descriptions and schemas, written for a model.

#ifndef STATE_ENGINE_MCP_STATE_TOOL_SCHEMAS_H_
#define STATE_ENGINE_MCP_STATE_TOOL_SCHEMAS_H_

#include <string_view>

#include "mcp/protocol/server.h"

namespace state_engine::mcp {

// Returns a definition with name, title, description and both schemas.
// REQUIRES: name is one of the six tools.
ToolDefinition tool_texts(std::string_view name);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_TOOL_SCHEMAS_H_
