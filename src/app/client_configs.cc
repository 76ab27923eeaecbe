// The shapes differ by client: Cursor wants no "type", VS Code calls its member "servers".

#include "app/client_configs.h"

#include <fmt/format.h>

#include "base/json.h"

namespace state_engine {
namespace {

json::Object http_server(const std::string& url, bool typed, const std::string& token) {
  json::Object server;
  if (typed) server["type"] = "http";
  server["url"] = url;
  if (!token.empty()) server["headers"] = json::Object{{"Authorization", "Bearer " + token}};
  return server;
}

json::Object stdio_server(const std::string& program, const std::string& data_dir, bool typed) {
  json::Object server;
  if (typed) server["type"] = "stdio";
  server["command"] = program;
  server["args"] = json::Array{"mcp", "--data-dir", data_dir};
  return server;
}

std::string file(std::string_view member, json::Object server) {
  json::Object servers;
  servers["state"] = std::move(server);
  json::Object root;
  root[member] = std::move(servers);
  return json::write(root);
}

}  // namespace

std::string client_configs(const std::string& url, const std::string& program,
                           const std::string& data_dir, bool needs_token) {
  const std::string mcp = url + "/mcp";
  const std::string header =
      needs_token ? " --header \"Authorization: Bearer $STATE_ENGINE_TOKEN\"" : "";
  const std::string token = needs_token ? "${STATE_ENGINE_TOKEN}" : "";
  std::string out;
  out += fmt::format("Claude Code   claude mcp add --transport http state {}{}\n", mcp, header);
  out += fmt::format("              claude mcp add state -- {} mcp --data-dir {}\n", program,
                     data_dir);
  out += fmt::format("Cursor        .cursor/mcp.json\n  {}\n  {}\n",
                     file("mcpServers", http_server(mcp, false, token)),
                     file("mcpServers", stdio_server(program, data_dir, false)));
  out += fmt::format("VS Code       .vscode/mcp.json\n  {}\n  {}\n",
                     file("servers", http_server(mcp, true, token)),
                     file("servers", stdio_server(program, data_dir, true)));
  return out;
}

}  // namespace state_engine
