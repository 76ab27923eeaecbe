// BotSide: a bot on a bus as part of a service, with metrics and health.

#ifndef STATE_ENGINE_APP_BOT_SIDE_H_
#define STATE_ENGINE_APP_BOT_SIDE_H_

#include <memory>

#include "app/bot_config.h"
#include "app/bot_host.h"
#include "app/bot_metrics.h"
#include "app/serve.h"
#include "app/service.h"
#include "ports/bus.h"

namespace state_engine {

class BotSide {
 public:
  // Answers the chat on `bus` until it is destroyed. Service and bus outlive it.
  // Errors: as BotHost::create.
  static Result<std::unique_ptr<BotSide>> start(BotConfig config, mcp::ClientOptions engine,
                                                Service& service, Bus& bus);

 private:
  explicit BotSide(Service& service) : metrics_(service.metrics(), service.health()) {}

  BotMetrics metrics_;
  std::unique_ptr<BotHost> host_;
};

// Starts the bot of `serve`, if the configuration has one with `inProcess: true`. It talks to the
// engine as every bot does, by MCP; with MCP_AUTH_TOKEN as the actor llm-bot.
// REQUIRES: the service is open.
Status start_bot(const ServeOptions& options, Service& service, Bus& bus,
                 std::unique_ptr<BotSide>& out);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BOT_SIDE_H_
