// The gateway reads a `scopes` list beside the usual members of a tool.

#include "app/bit_tools.h"

#include <functional>
#include <string>
#include <utility>

#include "app/version.h"

namespace state_engine {
namespace {

using Answer = std::function<json::Object()>;

json::Object schema(std::string_view text) {
  auto parsed = json::parse(text);
  SE_ASSERT(parsed.ok());
  return std::move(parsed->get_object());
}

mcp::ToolDefinition bit_tool(std::string name, std::string title, std::string description,
                             std::string_view output_schema, Answer answer) {
  mcp::ToolDefinition tool;
  tool.name = std::move(name);
  tool.title = std::move(title);
  tool.description = std::move(description);
  tool.input_schema = schema(R"({"type":"object","properties":{},"additionalProperties":false})");
  tool.output_schema = schema(output_schema);
  tool.annotations = {
      .read_only = true, .destructive = false, .idempotent = true, .open_world = false};
  tool.required_scope = "state:read";
  tool.extra = json::Object{{"scopes", json::Array{"state:read"}}};
  tool.transports = {mcp::TransportKind::kLegacySse};
  tool.handler = [answer = std::move(answer)](
                     json::Object arguments,
                     mcp::RequestContext&) -> boost::asio::awaitable<Result<mcp::ToolResult>> {
    if (!arguments.empty()) {
      co_return mcp::ToolResult::error(
          "invalid_argument: this tool takes no arguments; call it with {}");
    }
    co_return mcp::ToolResult::object(answer());
  };
  return tool;
}

}  // namespace

void add_bit_tools(mcp::Server& server, const Health& health) {
  server.add_tool(bit_tool(
      "bit.info", "Service information", "Tells the name and version of this service.",
      R"({"type":"object","properties":{"service":{"type":"string"},"version":{"type":"string"}},
          "required":["service","version"]})",
      [&health] {
        return json::Object{{"service", health.service()}, {"version", kVersion}};
      }));
  server.add_tool(bit_tool(
      "bit.health", "Service health",
      "Tells the state of this service and of its parts: ok, degraded or starting.",
      R"({"type":"object","properties":{"status":{"type":"string"},"service":{"type":"string"}},
          "required":["status","service"]})",
      [&health] { return health.report(); }));
  server.add_tool(bit_tool(
      "bit.readiness", "Service readiness", "Tells whether this service takes work now.",
      R"({"type":"object","properties":{"ready":{"type":"boolean"},"service":{"type":"string"}},
          "required":["ready","service"]})",
      [&health] {
        return json::Object{{"ready", health.ready()}, {"service", health.service()}};
      }));
}

}  // namespace state_engine
