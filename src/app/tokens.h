// Tokens: bearer tokens of a file, and who they stand for.
//
// The file (JSON) holds digests only: {"tokens": [{"sha256": "<hex>", "actor": "llm-bot",
// "scopes": ["state:read", "state:write"]}]}. A token is random, so that one SHA-256 is enough.

#ifndef STATE_ENGINE_APP_TOKENS_H_
#define STATE_ENGINE_APP_TOKENS_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"

namespace state_engine {

struct TokenEntry {
  std::string sha256;  // 64 hex characters
  std::string actor;
  std::vector<std::string> scopes;  // empty in the file = all
  // Names the token in logs and records without telling it: "token:" and 8 hex of its digest.
  std::string principal() const { return "token:" + sha256.substr(0, 8); }
};

// Reads a tokens file. Errors: kInvalidArgument naming the entry at fault; kNotFound.
Result<std::vector<TokenEntry>> load_tokens(const std::string& path);

// Makes a token for `actor`, adds its digest to the file (created with mode 0600) and returns the
// token, which is shown once. Scopes empty = all.
Result<std::string> add_token(const std::string& path, const std::string& actor,
                              std::vector<std::string> scopes, Random& random);

// The tokens in force. Threads: any.
class TokenTable {
 public:
  void replace(std::vector<TokenEntry> entries);
  // The entry of `token`, found in time that does not depend on where a digest differs.
  std::optional<TokenEntry> find(std::string_view token) const;
  bool empty() const;

 private:
  mutable std::mutex mutex_;  // guards the pointer; replaced on reload
  std::shared_ptr<const std::vector<TokenEntry>> entries_ =
      std::make_shared<const std::vector<TokenEntry>>();
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_TOKENS_H_
