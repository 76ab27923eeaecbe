// The `bot:` section of a configuration file: what the bot says, may use and may do.

#ifndef STATE_ENGINE_APP_BOT_CONFIG_H_
#define STATE_ENGINE_APP_BOT_CONFIG_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "integrations/llm/bot.h"
#include "integrations/llm/llm_client.h"
#include "integrations/llm/tool_box.h"

namespace state_engine {

struct BotConfig {
  llm::EndpointSettings endpoint;
  llm::BotSettings bot;
  llm::ToolBoxSettings tools;
  bool in_process = false;  // `serve` runs the bot, too
  std::chrono::milliseconds age_max{120'000};
  std::size_t waiting_max = 64;
};

// A bot that may read and has no actions: what runs without a configuration.
BotConfig default_bot_config();

// The section `bot` of `loaded`, or nothing if there is none. Its faults are appended to `problems`
// in file order, with the lines of the file.
std::optional<BotConfig> read_bot_config(const config::LoadedConfig& loaded,
                                         config::ConfigProblems& problems);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BOT_CONFIG_H_
