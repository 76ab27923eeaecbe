// BotHost: a bot with its model, its tools and its connection to the engine, wired up.

#ifndef STATE_ENGINE_APP_BOT_HOST_H_
#define STATE_ENGINE_APP_BOT_HOST_H_

#include <memory>

#include "app/bot_config.h"
#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "integrations/llm/bot.h"
#include "integrations/llm/chat_desk.h"
#include "integrations/llm/mcp_engine_tools.h"
#include "integrations/llm/net_transport.h"
#include "integrations/llm/stop_signal.h"
#include "net/cancel.h"
#include "net/io_runtime.h"
#include "ports/bus.h"

namespace state_engine {

struct BotParts {
  const Clock& clock;
  Random& random;
  Log& log;
  net::IoRuntime& runtime;
  llm::BotObserver& observer;
};

class BotHost {
 public:
  // Checks what the model's endpoint is made of. The parts outlive the host.
  // Errors: kInvalidArgument, saying which setting is missing or wrong.
  static Result<std::unique_ptr<BotHost>> create(BotConfig config, mcp::ClientOptions engine,
                                                 const BotParts& parts);
  ~BotHost();

  // For a chat that needs no bus. Threads: one at a time, and not beside attach().
  llm::Bot& bot() { return bot_; }

  // Answers the chat on `bus` until stop(). The bus outlives the host.
  void attach(Bus& bus);

  // Ends what is under way. Idempotent.
  void stop();

 private:
  BotHost(BotConfig config, mcp::ClientOptions engine, const BotParts& parts, net::TlsContext tls);

  BotConfig config_;
  BotParts parts_;
  llm::StopSignal stop_;
  net::CancelSource cancel_;
  llm::McpEngineTools engine_;
  llm::NetTransport transport_;
  llm::ChatCompletions model_;
  llm::ActionRunner runner_;
  llm::ToolBox tools_;
  llm::Bot bot_;
  std::unique_ptr<llm::ChatDesk> desk_;
};

// Fills the endpoint from LLM_BASE_URL, LLM_MODEL and LLM_API_KEY where they are set.
void apply_llm_environment(llm::EndpointSettings& endpoint);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BOT_HOST_H_
