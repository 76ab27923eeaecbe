// A bearer token always wins over how the peer came in; digests are compared in constant time.

#include "app/authenticator.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <unistd.h>

#include "base/hex.h"
#include "mcp/state/state_service.h"

namespace state_engine {
namespace {

mcp::AuthOutcome accepted(std::string actor, std::string principal,
                          std::vector<std::string> scopes) {
  if (scopes.empty()) scopes = {"*"};
  return {{std::move(actor), std::move(principal), std::move(scopes)}, std::nullopt};
}

mcp::AuthOutcome refused(int status, std::string message) {
  return {{}, mcp::AuthFailure{status, std::move(message), ""}};
}

bool is_signed_token(const std::string& token) {
  return std::count(token.begin(), token.end(), '.') == 2;
}

mcp::AuthOutcome by_signature(const net::JwtVerifier& verifier, const std::string& token,
                              std::chrono::sys_seconds now) {
  auto claims = verifier.verify(token, now);
  if (!claims.ok()) return refused(401, claims.error().message);
  // As they are: a token without scopes may do nothing.
  return {{"jwt:" + claims->subject, "jwt:" + claims->subject, std::move(claims->scopes)},
          std::nullopt};
}

mcp::AuthOutcome by_token(const AccessList& access, const std::string& token) {
  if (!access.shared_token_sha256.empty()) {
    const std::string digest = sha256_hex(token);
    if (CRYPTO_memcmp(digest.data(), access.shared_token_sha256.data(), digest.size()) == 0) {
      return accepted("llm-bot", std::string(mcp::kSharedTokenPrincipal), {});
    }
  }
  if (auto entry = access.tokens.find(token)) {
    return accepted(entry->actor, entry->principal(), entry->scopes);
  }
  return refused(401,
                 "the bearer token is not known; ask the operator for one "
                 "(state-engine token new --actor NAME)");
}

mcp::AuthOutcome by_socket(const mcp::Credentials& peer) {
  const auto uid = peer.peer_uid.value_or(static_cast<std::uint32_t>(-1));
  if (uid != ::geteuid() && uid != 0) {
    return refused(403, "only the user who runs the engine may use its socket");
  }
  const std::string kind = peer.hello_client == "mcp" ? "mcp:" : "cli:";
  return accepted(kind + peer.peer_user, "uid:" + std::to_string(uid), {});
}

}  // namespace

mcp::Authenticator make_authenticator(const AccessList& access, const Clock& clock) {
  return [&access, &clock](const mcp::Credentials& peer) {
    const auto verifier = access.signed_tokens.get();
    if (verifier && is_signed_token(peer.bearer_token)) {
      const auto now = std::chrono::floor<std::chrono::seconds>(clock.wall_now());
      return by_signature(*verifier, peer.bearer_token, now);
    }
    if (!peer.bearer_token.empty()) return by_token(access, peer.bearer_token);
    if (peer.transport == mcp::TransportKind::kStream) return by_socket(peer);
    if (access.any()) {
      return refused(401, "a bearer token is needed: send Authorization: Bearer TOKEN");
    }
    if (!peer.is_loopback) return refused(401, "without tokens only this machine is served");
    return accepted("anonymous", "anonymous", {});
  };
}

}  // namespace state_engine
