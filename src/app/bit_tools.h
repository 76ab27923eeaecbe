// bit.info, bit.health, bit.readiness: what every service of a BitBrat platform answers to its
// gateway, which speaks the older SSE transport only. Other clients never see these tools.

#ifndef STATE_ENGINE_APP_BIT_TOOLS_H_
#define STATE_ENGINE_APP_BIT_TOOLS_H_

#include "app/health.h"
#include "mcp/protocol/server.h"

namespace state_engine {

// `health` outlives the server.
void add_bit_tools(mcp::Server& server, const Health& health);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BIT_TOOLS_H_
