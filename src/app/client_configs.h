// Ready-to-paste MCP client configurations.

#ifndef STATE_ENGINE_APP_CLIENT_CONFIGS_H_
#define STATE_ENGINE_APP_CLIENT_CONFIGS_H_

#include <string>

namespace state_engine {

// Text for people: Claude Code, Cursor and VS Code, each over HTTP and over stdio.
std::string client_configs(const std::string& url, const std::string& program,
                           const std::string& data_dir, bool needs_token);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_CLIENT_CONFIGS_H_
