// The stdio bridge: `state-engine mcp` pumps lines between an MCP host and the running engine.
//
// It reads no JSON: the engine's Unix socket speaks the same framing, so that the one process that
// owns the data directory also owns the protocol.

#ifndef STATE_ENGINE_MCP_CLIENT_STDIO_BRIDGE_H_
#define STATE_ENGINE_MCP_CLIENT_STDIO_BRIDGE_H_

#include <string>

#include "base/result.h"

namespace state_engine::mcp {

struct StdioBridgeOptions {
  std::string socket_path;
  std::string token;  // STATE_ENGINE_TOKEN; empty: the engine goes by the user's uid
  int input = 0;
  int output = 1;
};

// Runs until the input ends and every answer in flight was written, or the engine goes away.
// Errors: kUnavailable if no engine listens at the path (nothing was read from the input then), or
// if it closed the connection before the input ended.
// Threads: call from the main thread; it blocks.
Status run_stdio_bridge(const StdioBridgeOptions& options);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_CLIENT_STDIO_BRIDGE_H_
