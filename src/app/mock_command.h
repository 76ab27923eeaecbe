// `state-engine mock twitch`: a Twitch of one's own, for work without the real one.

#ifndef STATE_ENGINE_APP_MOCK_COMMAND_H_
#define STATE_ENGINE_APP_MOCK_COMMAND_H_

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

struct MockTwitchCommandOptions {
  std::string listen = "127.0.0.1:8080";
  std::vector<std::string> channels;  // LOGIN or LOGIN:ID
  std::string tokens_file;            // written, or read again if it is there
  int keepalive_seconds = 10;
  int keepalive_min_seconds = 10;
  int subscribe_window_seconds = 10;
  int reconnect_grace_seconds = 30;
  bool plain_webhooks = false;
  std::string log_level = "info";
};

// Serves until SIGINT or SIGTERM. Returns the exit code.
int mock_twitch_command(const MockTwitchCommandOptions& options);

// Adds `mock` and its subcommands. The options live as long as the app.
void add_mock(CLI::App& app, MockTwitchCommandOptions& options, int& exit_code);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_MOCK_COMMAND_H_
