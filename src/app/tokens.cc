// The file is replaced by rename, and its digests are compared to the end whatever they hold.

#include "app/tokens.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/secret_file.h"
#include "core/validate.h"

namespace state_engine {
namespace {

constexpr std::array<std::string_view, 3> kScopes = {"state:read", "state:write", "state:admin"};

Status check_scopes(const std::vector<std::string>& scopes) {
  for (const std::string& scope : scopes) {
    if (std::find(kScopes.begin(), kScopes.end(), scope) != kScopes.end()) continue;
    return invalid_argument(
        fmt::format("'{}' is no scope; expected state:read, state:write or state:admin", scope));
  }
  return {};
}

Result<TokenEntry> read_entry(const json::Value& value, std::size_t index) {
  const auto wrong = [&](std::string_view what) {
    return invalid_argument(fmt::format("tokens[{}]: {}", index, what));
  };
  if (!value.is_object()) return wrong("expected an object with sha256, actor and scopes");
  TokenEntry entry;
  entry.sha256 = json::find_string(value.get_object(), "sha256").value_or("");
  entry.actor = json::find_string(value.get_object(), "actor").value_or("");
  if (entry.sha256.size() != 64 ||
      entry.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return wrong("sha256 must be 64 lower-case hex characters");
  }
  if (entry.actor.empty()) return wrong("actor is missing");
  if (is_reserved_actor(entry.actor)) return wrong("actor is reserved for the engine itself");
  if (const json::Value* scopes = json::find(value.get_object(), "scopes")) {
    if (!scopes->is_array()) return wrong("scopes must be a list");
    for (const json::Value& scope : scopes->get_array()) {
      if (!scope.is_string()) return wrong("scopes must be a list of strings");
      entry.scopes.emplace_back(scope.get_string());
    }
    if (Status status = check_scopes(entry.scopes); !status.ok()) {
      return wrong(status.error().message);
    }
  }
  return entry;
}

json::Value to_json(const std::vector<TokenEntry>& entries) {
  json::Array array;
  for (const TokenEntry& entry : entries) {
    json::Array scopes;
    for (const std::string& scope : entry.scopes) scopes.emplace_back(scope);
    json::Object object{{"sha256", entry.sha256}, {"actor", entry.actor}};
    if (!scopes.empty()) object["scopes"] = std::move(scopes);
    array.push_back(std::move(object));
  }
  return json::Object{{"tokens", std::move(array)}};
}

}  // namespace

Result<std::vector<TokenEntry>> load_tokens(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error{
        ErrorCode::kNotFound,
        fmt::format("cannot read the tokens file {}; make one with `state-engine token new "
                    "--actor NAME --tokens {}`",
                    path, path)};
  }
  std::stringstream text;
  text << file.rdbuf();
  auto value = json::parse(text.str());
  if (!value.ok()) return invalid_argument(path + ": " + value.error().message);
  const json::Value* list =
      value->is_object() ? json::find(value->get_object(), "tokens") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return invalid_argument(path + ": expected {\"tokens\": [...]}");
  }
  std::vector<TokenEntry> entries;
  for (const json::Value& item : list->get_array()) {
    auto entry = read_entry(item, entries.size());
    if (!entry.ok()) return invalid_argument(path + ": " + entry.error().message);
    entries.push_back(std::move(*entry));
  }
  return entries;
}

Result<std::string> add_token(const std::string& path, const std::string& actor,
                              std::vector<std::string> scopes, Random& random) {
  if (actor.empty()) return invalid_argument("the actor is empty");
  if (is_reserved_actor(actor)) {
    return invalid_argument(fmt::format("'{}' is reserved for the engine itself", actor));
  }
  if (Status status = check_scopes(scopes); !status.ok()) return status.error();
  std::vector<TokenEntry> entries;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    auto loaded = load_tokens(path);
    if (!loaded.ok()) return loaded.error();
    entries = std::move(*loaded);
  }
  const std::string token = "se_" + random_hex(random, 24);
  entries.push_back({sha256_hex(token), actor, std::move(scopes)});
  if (Status status = write_secret_file(path, json::write_pretty(to_json(entries)) + "\n");
      !status.ok()) {
    return status.error();
  }
  return token;
}

void TokenTable::replace(std::vector<TokenEntry> entries) {
  auto table = std::make_shared<const std::vector<TokenEntry>>(std::move(entries));
  const std::lock_guard lock(mutex_);
  entries_ = std::move(table);
}

std::optional<TokenEntry> TokenTable::find(std::string_view token) const {
  std::shared_ptr<const std::vector<TokenEntry>> entries;
  {
    const std::lock_guard lock(mutex_);
    entries = entries_;
  }
  const std::string digest = sha256_hex(token);
  const TokenEntry* found = nullptr;
  for (const TokenEntry& entry : *entries) {
    if (CRYPTO_memcmp(entry.sha256.data(), digest.data(), digest.size()) == 0) found = &entry;
  }
  return found != nullptr ? std::optional<TokenEntry>(*found) : std::nullopt;
}

bool TokenTable::empty() const {
  const std::lock_guard lock(mutex_);
  return entries_->empty();
}

}  // namespace state_engine
