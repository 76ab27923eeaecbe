// The registration with the platform's tool gateway: where to find the engine's MCP server.

#ifndef STATE_ENGINE_APP_REGISTRATION_H_
#define STATE_ENGINE_APP_REGISTRATION_H_

#include <string>

#include "base/time.h"
#include "ports/bus.h"

namespace state_engine {

struct Registration {
  std::string name = "state-engine";
  std::string url;          // of the legacy event stream, ".../sse"
  bool with_token = false;  // the gateway sends its MCP_AUTH_TOKEN, which stays out of the message
};

// The message for internal.mcp.registration.v1.
BusMessage registration_message(const Registration& registration, Timestamp now);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_REGISTRATION_H_
