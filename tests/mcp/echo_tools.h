// State-free tools and one watchable counter, for tests of the MCP protocol library.

#ifndef STATE_ENGINE_TESTS_MCP_ECHO_TOOLS_H_
#define STATE_ENGINE_TESTS_MCP_ECHO_TOOLS_H_

#include <atomic>

#include "mcp/protocol/server.h"

namespace state_engine::mcp {

// What the tools act on; outlives the server.
struct EchoWorld {
  std::atomic<int> counter{0};
  std::atomic<int> started_sleeps{0};
  std::atomic<int> cancelled_calls{0};
  std::atomic<int> finished_sleeps{0};
};

// Registers: echo{text}, add{a,b}, sleep{ms} (cancellable, reports progress), bump (changes
// test://counter), big{bytes}, touch{uri}, crash, whoami; resources test://counter and
// test://item/{id}; a prompt; completion of item ids.
void register_echo_tools(Server& server, EchoWorld& world);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_TESTS_MCP_ECHO_TOOLS_H_
