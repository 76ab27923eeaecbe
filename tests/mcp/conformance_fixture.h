// What the MCP conformance suite wants to find on a server: its test_* tools, prompts, resources.

#ifndef STATE_ENGINE_TESTS_MCP_CONFORMANCE_FIXTURE_H_
#define STATE_ENGINE_TESTS_MCP_CONFORMANCE_FIXTURE_H_

#include <functional>
#include <string>
#include <string_view>

#include "mcp/protocol/server.h"

namespace state_engine::mcp {

using ToolAnswer = boost::asio::awaitable<Result<ToolResult>>;

// JSON written in a test program. REQUIRES: `text` is a JSON object.
json::Object fixture_json(std::string_view text);
// A tool of the fixture; `input_schema` is JSON text.
ToolDefinition fixture_tool(std::string name, ToolHandler handler,
                            std::string_view input_schema = R"({"type":"object"})");
ToolResult text_result(std::string text);

void register_content_tools(Server& server);  // conformance_content.cc
void register_asking_tools(Server& server);   // conformance_asking.cc
void register_fixture_resources(Server& server);
void register_fixture_prompts(Server& server);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_TESTS_MCP_CONFORMANCE_FIXTURE_H_
