// JwtVerifier: checks signed bearer tokens (RFC 7519) against a set of public keys (RFC 7517).
//
// Invariants, checked by jwt_test.cc:
//   (1) Only RS256, ES256 and EdDSA (Ed25519) are taken, each only with a key of its own type: the
//       token never chooses how it is checked.
//   (2) Signature, expiry, start, issuer and audience all hold, or the token is refused.
//
// Errors:  kInvalidArgument for a key set nobody can use; kPermissionDenied for a token. No message
//          holds the token.
// Threads: verify() from any thread.

#ifndef STATE_ENGINE_NET_JWT_H_
#define STATE_ENGINE_NET_JWT_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace state_engine::net {

struct JwtPolicy {
  std::string issuer;    // must equal `iss`
  std::string audience;  // must be `aud` or one of it
};

struct JwtClaims {
  std::string subject;              // printable ASCII without spaces, 1-120 characters
  std::vector<std::string> scopes;  // from `scope` (spaces) or `scp`
  std::chrono::sys_seconds expires;
};

class JwtVerifier {
 public:
  // `jwks` is {"keys": [...]}; keys of other kinds or uses are passed over.
  static Result<JwtVerifier> from_jwks(std::string_view jwks, JwtPolicy policy);

  JwtVerifier(JwtVerifier&& other) noexcept;
  JwtVerifier& operator=(JwtVerifier&& other) noexcept;
  ~JwtVerifier();

  // Allows a clock difference of one minute.
  Result<JwtClaims> verify(std::string_view token, std::chrono::sys_seconds now) const;

  std::size_t key_count() const;

 private:
  struct Key;

  JwtVerifier(std::vector<Key> keys, JwtPolicy policy);
  bool is_signed(std::string_view algorithm, const std::string* key_id, std::string_view data,
                 std::string_view signature) const;

  std::vector<Key> keys_;
  JwtPolicy policy_;
};

// Decodes base64url without padding (RFC 7515 section 2); false if it is malformed.
bool decode_base64url(std::string_view text, std::string& out);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_JWT_H_
