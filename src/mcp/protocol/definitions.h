// What a server offers and what a tool call came to, as the JSON of MCP. Internal to this folder.

#ifndef STATE_ENGINE_MCP_PROTOCOL_DEFINITIONS_H_
#define STATE_ENGINE_MCP_PROTOCOL_DEFINITIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "mcp/protocol/era.h"
#include "mcp/protocol/server.h"

namespace state_engine::mcp {

json::Object describe(const ToolDefinition& tool);
// `uri_member` is "uri" or, for a template, "uriTemplate".
json::Object describe(const ResourceDefinition& resource, std::string_view uri_member);
json::Object describe(const PromptDefinition& prompt);

// The members of a tools/call result as text.
std::string tool_members(const ToolResult& result);
void append_tool_members(std::string& out, const ToolResult& result);

// The properties of an input schema that x-mcp-header ties to an HTTP header.
std::vector<HeaderParameter> header_parameters(const json::Object& input_schema);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_DEFINITIONS_H_
