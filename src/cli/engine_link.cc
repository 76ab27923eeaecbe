#include "cli/engine_link.h"

#include <cstdlib>

namespace state_engine::cli {

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

std::string default_data_dir(const Environment& environment) {
  if (auto dir = environment("STATE_ENGINE_DATA_DIR")) return *dir;
  if (auto state_home = environment("XDG_STATE_HOME")) return *state_home + "/state-engine";
  return environment("HOME").value_or("") + "/.local/state/state-engine";
}

ConnectionOptions resolve(ConnectionOptions options, const Environment& environment) {
  // A data directory on the command line means its socket, whatever the environment says.
  if (options.url.empty() && options.data_dir.empty()) {
    options.url = environment("STATE_ENGINE_URL").value_or("");
  }
  if (options.token.empty()) options.token = environment("STATE_ENGINE_TOKEN").value_or("");
  if (options.ca_file.empty()) options.ca_file = environment("STATE_ENGINE_CA").value_or("");
  if (options.data_dir.empty()) options.data_dir = default_data_dir(environment);
  return options;
}

std::string socket_path(const ConnectionOptions& resolved) {
  return resolved.data_dir + "/engine.sock";
}

}  // namespace state_engine::cli
