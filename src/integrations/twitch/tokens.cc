// The file is the truth: it is read again before a token counts as bad, and written before a new
// one is used for long. Values are checked for what could break a header, and never shown.

#include "integrations/twitch/tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/secret_file.h"
#include "net/url.h"

namespace state_engine::twitch {
namespace {

constexpr std::chrono::minutes kRefreshAhead{1};
constexpr std::size_t kTokenBytesMax = 4096;

// A header value must not break the header; what else a token holds is Twitch's affair.
bool is_sendable(std::string_view text) {
  return text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

bool Tokens::has_scope(std::string_view scope) const {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

Result<TokenFile> TokenFile::load(std::string path) {
  const auto text = read_secret_file(path);
  if (!text.ok()) return text.error();
  auto parsed = json::parse(*text);
  if (!parsed.ok()) return invalid_argument(path + ": " + parsed.error().message);
  if (!parsed->is_object()) return invalid_argument(path + ": expected one JSON object");
  TokenFile file(std::move(path), std::move(parsed->get_object()));
  if (Status status = file.read_members(); !status.ok()) {
    return invalid_argument(file.path_ + ": " + status.error().message);
  }
  return file;
}

Status TokenFile::read_members() {
  const std::array<std::pair<std::string_view, std::string*>, 5> texts = {{
      {"clientId", &tokens_.client_id},
      {"clientSecret", &tokens_.client_secret},
      {"accessToken", &tokens_.access_token},
      {"refreshToken", &tokens_.refresh_token},
      {"userId", &tokens_.user_id},
  }};
  for (const auto& [name, into] : texts) {
    const json::Value* value = json::find(document_, name);
    if (value == nullptr || value->is_null()) continue;
    if (!value->is_string() || !is_sendable(std::string(value->get_string()))) {
      return invalid_argument(std::string(name) + " must be a text without white space");
    }
    *into = std::string(value->get_string());
  }
  if (tokens_.client_id.empty()) return invalid_argument("clientId is missing");
  if (tokens_.access_token.empty() && tokens_.refresh_token.empty() &&
      tokens_.client_secret.empty()) {
    return invalid_argument("it holds neither accessToken, nor refreshToken, nor clientSecret");
  }
  if (const auto expires = json::find_string(document_, "expiresAt")) {
    const auto at = parse_rfc3339(*expires);
    if (!at.ok()) return invalid_argument("expiresAt: " + at.error().message);
    tokens_.expires_at = *at;
  }
  tokens_.scopes.clear();
  const json::Value* scopes = json::find(document_, "scopes");
  if (scopes != nullptr && scopes->is_array()) {
    for (const json::Value& scope : scopes->get_array()) {
      if (scope.is_string()) tokens_.scopes.emplace_back(scope.get_string());
    }
  }
  return {};
}

bool TokenFile::stale(Timestamp now) const {
  if (tokens_.access_token.empty()) return true;
  return tokens_.expires_at && *tokens_.expires_at <= now + kRefreshAhead;
}

Status TokenFile::store_refreshed(const json::Object& answer, Timestamp now) {
  const auto access = json::find_string(answer, "access_token");
  if (!access || access->empty() || !is_sendable(*access)) {
    return invalid_argument("the token endpoint answered without an access token");
  }
  document_["accessToken"] = *access;
  if (const auto refresh = json::find_string(answer, "refresh_token");
      refresh && !refresh->empty() && is_sendable(*refresh)) {
    document_["refreshToken"] = *refresh;
  }
  const auto seconds = json::find_int(answer, "expires_in");
  document_.erase("expiresAt");
  tokens_.expires_at.reset();
  if (seconds && *seconds > 0 && *seconds < 10LL * 366 * 24 * 3600) {
    document_["expiresAt"] = format_rfc3339(now + std::chrono::seconds{*seconds});
  }
  if (const json::Value* scopes = json::find(answer, "scope"); scopes && scopes->is_array()) {
    document_["scopes"] = *scopes;
  }
  SE_RETURN_IF_ERROR(read_members());
  return write_secret_file(path_, json::write_pretty(document_) + "\n");
}

std::string refresh_form(const Tokens& tokens) {
  return "grant_type=refresh_token&refresh_token=" + net::percent_encode(tokens.refresh_token) +
         "&client_id=" + net::percent_encode(tokens.client_id) +
         "&client_secret=" + net::percent_encode(tokens.client_secret);
}

std::string app_token_form(const Tokens& tokens) {
  return "grant_type=client_credentials&client_id=" + net::percent_encode(tokens.client_id) +
         "&client_secret=" + net::percent_encode(tokens.client_secret);
}

}  // namespace state_engine::twitch
