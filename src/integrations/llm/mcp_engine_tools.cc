// The MCP client is blocking and keeps one connection; a call that failed leaves it in doubt, so
// the next one begins with a new connection. Writes are never sent again here: the caller knows
// their id.

#include "integrations/llm/mcp_engine_tools.h"

namespace state_engine::llm {
namespace {

constexpr int kPagesMax = 20;

bool reads_only(std::string_view tool) {
  return tool == "get_state" || tool == "get_state_prefix" || tool == "get_history" ||
         tool == "explain";
}

ToolSpec read_spec(const json::Object& tool) {
  ToolSpec spec;
  spec.name = json::find_string(tool, "name").value_or("");
  spec.description = json::find_string(tool, "description").value_or("");
  const json::Value* const schema = json::find(tool, "inputSchema");
  if (schema != nullptr && schema->is_object()) spec.parameters = schema->get_object();
  return spec;
}

}  // namespace

Result<mcp::Client*> McpEngineTools::client() {
  if (client_ == nullptr) {
    auto connected = mcp::Client::connect(options_);
    if (!connected.ok()) {
      observer_.on_engine(false, connected.error().message);
      return connected.error();
    }
    client_ = std::move(connected).value();
  }
  return client_.get();
}

void McpEngineTools::note(const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) return;
  client_.reset();
  observer_.on_engine(false, error.message);
}

Result<ToolAnswer> McpEngineTools::call(std::string_view tool, json::Object arguments) {
  for (int attempt = 1;; ++attempt) {
    const bool reused = client_ != nullptr;
    auto connected = client();
    if (!connected.ok()) return connected.error();
    auto reply = (*connected)->call_tool(tool, arguments);
    if (reply.ok()) {
      observer_.on_engine(true, "");
      ToolAnswer answer;
      answer.is_error = reply->is_error;
      answer.text = std::move(reply->text);
      if (reply->structured.is_object()) answer.structured = reply->structured.get_object();
      return answer;
    }
    note(reply.error());
    // The engine may have been started anew since the last call.
    const bool again =
        reused && attempt == 1 && reads_only(tool) && reply.error().code == ErrorCode::kUnavailable;
    if (!again) return reply.error();
  }
}

Result<std::vector<ToolSpec>> McpEngineTools::list() {
  std::vector<ToolSpec> out;
  std::string cursor;
  for (int page = 0; page < kPagesMax; ++page) {
    auto connected = client();
    if (!connected.ok()) return connected.error();
    json::Object params;
    if (!cursor.empty()) params["cursor"] = cursor;
    const auto result = (*connected)->request("tools/list", std::move(params));
    if (!result.ok()) {
      note(result.error());
      return result.error();
    }
    const json::Value* const tools = json::find(*result, "tools");
    if (tools == nullptr || !tools->is_array()) {
      return Error{ErrorCode::kInternal, "the engine's list of tools cannot be read"};
    }
    for (const json::Value& tool : tools->get_array()) {
      if (tool.is_object()) out.push_back(read_spec(tool.get_object()));
    }
    cursor = json::find_string(*result, "nextCursor").value_or("");
    if (cursor.empty()) break;
  }
  observer_.on_engine(true, "");
  return out;
}

}  // namespace state_engine::llm
