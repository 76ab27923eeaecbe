// McpEngineTools: the engine over MCP, by its URL or its socket. Connects when first needed and
// again after a failure.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_MCP_ENGINE_TOOLS_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_MCP_ENGINE_TOOLS_H_

#include <memory>

#include "integrations/llm/bot_observer.h"
#include "integrations/llm/engine_tools.h"
#include "mcp/client/client.h"

namespace state_engine::llm {

class McpEngineTools final : public EngineTools {
 public:
  // The observer hears whether the engine can be reached; it outlives this object.
  McpEngineTools(mcp::ClientOptions options, BotObserver& observer)
      : options_(std::move(options)), observer_(observer) {}

  Result<ToolAnswer> call(std::string_view tool, json::Object arguments) override;
  Result<std::vector<ToolSpec>> list() override;

 private:
  Result<mcp::Client*> client();
  // Forgets a connection on which an answer may still come.
  void note(const Error& error);

  mcp::ClientOptions options_;
  BotObserver& observer_;
  std::unique_ptr<mcp::Client> client_;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_MCP_ENGINE_TOOLS_H_
