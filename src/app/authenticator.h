// Who a peer is (DESIGN: actors come from the credential).
//
//   bearer token            its actor; the one of MCP_AUTH_TOKEN is `llm-bot`
//   signed token            `jwt:<sub>`, with the scopes that the token names
//   Unix socket             `cli:<user>`, or `mcp:<user>` behind a stdio bridge; only the user who
//                           runs the engine, and root
//   loopback HTTP           `anonymous`, only while no token is configured

#ifndef STATE_ENGINE_APP_AUTHENTICATOR_H_
#define STATE_ENGINE_APP_AUTHENTICATOR_H_

#include <memory>
#include <mutex>
#include <string>

#include "app/tokens.h"
#include "base/time.h"
#include "mcp/protocol/caller.h"
#include "net/jwt.h"

namespace state_engine {

// The keys of an authorization server, replaced on reload. Threads: any.
class JwtTrust {
 public:
  void replace(net::JwtVerifier verifier) {
    auto fresh = std::make_shared<const net::JwtVerifier>(std::move(verifier));
    const std::lock_guard lock(mutex_);
    verifier_ = std::move(fresh);
  }
  // Null when no keys are configured.
  std::shared_ptr<const net::JwtVerifier> get() const {
    const std::lock_guard lock(mutex_);
    return verifier_;
  }

 private:
  mutable std::mutex mutex_;  // guards the pointer
  std::shared_ptr<const net::JwtVerifier> verifier_;
};

// The tokens that a service knows. Threads: any.
struct AccessList {
  TokenTable tokens;
  std::string shared_token_sha256;  // of MCP_AUTH_TOKEN; empty = none

  JwtTrust signed_tokens;

  bool any() const {
    return !tokens.empty() || !shared_token_sha256.empty() || signed_tokens.get() != nullptr;
  }
};

// `access` and `clock` outlive the authenticator.
mcp::Authenticator make_authenticator(const AccessList& access, const Clock& clock);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_AUTHENTICATOR_H_
