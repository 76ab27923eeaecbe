// Who a peer is (DESIGN: actors come from the credential).
//
//   bearer token            its actor; the one of MCP_AUTH_TOKEN is `llm-bot`
//   Unix socket             `cli:<user>`, or `mcp:<user>` behind a stdio bridge; only the user who
//                           runs the engine, and root
//   loopback HTTP           `anonymous`, only while no token is configured

#ifndef STATE_ENGINE_APP_AUTHENTICATOR_H_
#define STATE_ENGINE_APP_AUTHENTICATOR_H_

#include <memory>
#include <string>

#include "app/tokens.h"
#include "mcp/protocol/caller.h"

namespace state_engine {

// The tokens that a service knows. Threads: any.
struct AccessList {
  TokenTable tokens;
  std::string shared_token_sha256;  // of MCP_AUTH_TOKEN; empty = none

  bool any() const { return !tokens.empty() || !shared_token_sha256.empty(); }
};

// `access` outlives the authenticator.
mcp::Authenticator make_authenticator(const AccessList& access);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_AUTHENTICATOR_H_
