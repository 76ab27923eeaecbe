// OBS as MCP tools: obs_get_status and one tool for each command. A tool answers once OBS has done
// it, with the state as it then is; being accepted by OBS is no answer.
//
// Ownership: the bridge outlives the server's use. Threads: once, before the server serves.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_TOOLS_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_TOOLS_H_

#include "integrations/obs/bridge.h"
#include "mcp/protocol/server.h"

namespace state_engine::obs {

void add_obs_tools(mcp::Server& server, Bridge& bridge);

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_TOOLS_H_
