// EngineLink: how a verb talks to the running engine, and where that engine is.
//
// The seam between the verbs and mcp/client: tests put a fake in its place.
//
// Threads: one. Errors: as mcp::Client.

#ifndef STATE_ENGINE_CLI_ENGINE_LINK_H_
#define STATE_ENGINE_CLI_ENGINE_LINK_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::cli {

// What a tool answered.
struct ToolAnswer {
  bool is_error = false;
  json::Object structured;  // empty for errors
  std::string text;
};

// Hints that something changed. A hint may come without a change; none is lost while it lives.
class ChangeHints {
 public:
  virtual ~ChangeHints() = default;
  // True if a hint came, false if `timeout` passed without one.
  virtual Result<bool> wait(std::chrono::milliseconds timeout) = 0;
};

class EngineLink {
 public:
  virtual ~EngineLink() = default;
  virtual Result<ToolAnswer> call(std::string_view tool, json::Object arguments) = 0;
  // Hints about the keys that begin with `prefix`.
  virtual Result<std::unique_ptr<ChangeHints>> listen(std::string_view prefix) = 0;
};

// Where the engine is. Empty fields: as the environment and the defaults say.
struct ConnectionOptions {
  std::string data_dir;
  std::string url;
  std::string token;
  std::string ca_file;
};

using Environment = std::function<std::optional<std::string>(std::string_view name)>;

// The process's own environment; a variable that is set to nothing counts as unset.
Environment process_environment();

// STATE_ENGINE_DATA_DIR, $XDG_STATE_HOME/state-engine or ~/.local/state/state-engine.
std::string default_data_dir(const Environment& environment);

// `options` with every empty field filled in from the environment. A URL wins over the socket.
ConnectionOptions resolve(ConnectionOptions options, const Environment& environment);

std::string socket_path(const ConnectionOptions& resolved);

using Connector = std::function<Result<std::unique_ptr<EngineLink>>(const ConnectionOptions&)>;

// Connects through mcp::Client. REQUIRES: `resolved` comes from resolve().
// Errors: as mcp::Client::connect; kUnavailable says how to start an engine.
Result<std::unique_ptr<EngineLink>> connect_over_mcp(const ConnectionOptions& resolved);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_ENGINE_LINK_H_
