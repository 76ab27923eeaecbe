// TokenFile: the OAuth tokens of the ingest, in one file that this program keeps up to date.
//
//   {"clientId": "...", "clientSecret": "...", "accessToken": "...", "refreshToken": "...",
//    "expiresAt": "2026-11-22T18:30:00.000Z", "scopes": ["..."], "userId": "1001"}
//
// Twitch may hand out a new refresh token with every refresh, and then the old one is worthless:
// the file is written before the new tokens are used. Members that we do not know are kept.
// No message of this file holds a secret.
//
// Threads: one at a time.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_TOKENS_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_TOKENS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace state_engine::twitch {

struct Tokens {
  std::string client_id;
  std::string client_secret;
  std::string access_token;
  std::string refresh_token;
  std::optional<Timestamp> expires_at;
  std::vector<std::string> scopes;  // empty = not known
  std::string user_id;              // empty = not known

  bool has_scope(std::string_view scope) const;
};

class TokenFile {
 public:
  // Errors: kNotFound, kUnavailable, kInvalidArgument naming the member that is wrong.
  static Result<TokenFile> load(std::string path);

  const Tokens& tokens() const { return tokens_; }
  const std::string& path() const { return path_; }
  // True when the access token has expired or will within a minute.
  bool stale(Timestamp now) const;

  // Takes over the answer of the token endpoint and writes the file.
  // Errors: kInvalidArgument for an answer without a token; kUnavailable if the file cannot be
  // written: the new tokens are then in use, and lost at the next start.
  Status store_refreshed(const json::Object& answer, Timestamp now);

 private:
  TokenFile(std::string path, json::Object document)
      : path_(std::move(path)), document_(std::move(document)) {}
  Status read_members();

  std::string path_;
  json::Object document_;
  Tokens tokens_;
};

// The form body of a refresh, and of a request for an app token.
std::string refresh_form(const Tokens& tokens);
std::string app_token_form(const Tokens& tokens);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_TOKENS_H_
