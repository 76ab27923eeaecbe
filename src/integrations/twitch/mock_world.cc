// Answers follow the Twitch API reference: status codes, error bodies and messages as clients see
// them there. OAuth paths answer errors as {status, message}, Helix as {error, status, message}.

#include "integrations/twitch/mock_world.h"

#include <algorithm>

#include "integrations/twitch/event_types.h"

namespace state_engine::twitch {
namespace {

constexpr int kWebSocketCostMax = 10;
constexpr int kWebhookCostMax = 10'000;
constexpr std::size_t kSessionSubscriptionsMax = 300;
constexpr std::size_t kSecretBytesMin = 10;
constexpr std::size_t kSecretBytesMax = 100;

MockReply oauth_error(int status, std::string_view message) {
  return {status, json::Object{{"status", status}, {"message", message}}};
}

MockReply helix_error(int status, std::string_view error, std::string_view message) {
  return {status, json::Object{{"error", error}, {"status", status}, {"message", message}}};
}

MockReply bad_request(std::string_view message) { return helix_error(400, "Bad Request", message); }

json::Array to_array(const std::vector<std::string>& texts) {
  json::Array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

std::vector<std::string> split_scopes(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space != 0) out.emplace_back(text.substr(0, space));
    if (space == std::string_view::npos) break;
    text.remove_prefix(space + 1);
  }
  return out;
}

std::vector<std::string> all_scopes() {
  std::vector<std::string> out;
  for (const EventType& type : known_event_types()) {
    const std::string scope(type.scope);
    if (!scope.empty() && std::find(out.begin(), out.end(), scope) == out.end()) {
      out.push_back(scope);
    }
  }
  return out;
}

std::string_view field(const MockWorld::Form& form, std::string_view name) {
  const auto found = form.find(name);
  return found == form.end() ? std::string_view{} : std::string_view{found->second};
}

// The user that a condition is about: events reach the subscription through this id.
std::string subject_of(const json::Object& condition) {
  for (const char* name :
       {"broadcaster_user_id", "to_broadcaster_user_id", "from_broadcaster_user_id", "user_id"}) {
    if (auto id = json::find_string(condition, name); id && !id->empty()) return *id;
  }
  return {};
}

bool wanted(const MockChannel& channel, const std::vector<std::string>& ids,
            const std::vector<std::string>& logins) {
  return std::find(ids.begin(), ids.end(), channel.user.id) != ids.end() ||
         std::find(logins.begin(), logins.end(), channel.user.login) != logins.end();
}

}  // namespace

std::string twitch_time(Timestamp time) {
  std::string text = format_rfc3339(time);
  text.insert(text.size() - 1, "000000");
  return text;
}

json::Object MockSubscription::to_json() const {
  json::Object transport{{"method", method}};
  if (method == "websocket") {
    transport["session_id"] = session_id;
  } else {
    transport["callback"] = callback;
  }
  return {{"id", id},
          {"status", status},
          {"type", type},
          {"version", version},
          {"cost", cost},
          {"condition", condition},
          {"transport", std::move(transport)},
          {"created_at", created_at}};
}

MockWorld::MockWorld(Options options, Random& random)
    : options_(std::move(options)), random_(random) {
  for (const MockUser& user : options_.users) channels_[user.id].user = user;
}

// ---- OAuth ------------------------------------------------------------------------------------

json::Object MockWorld::issue(const std::string& user_id, std::vector<std::string> scopes,
                              Timestamp now) {
  const std::string access = random_hex(random_, 15);
  const MockToken token{user_id, std::move(scopes), now + options_.token_lifetime};
  tokens_[access] = token;
  json::Object answer{{"access_token", access},
                      {"expires_in", options_.token_lifetime.count()},
                      {"token_type", "bearer"}};
  if (user_id.empty()) return answer;
  const std::string refresh = random_hex(random_, 25);
  refresh_tokens_[refresh] = token;
  answer["refresh_token"] = refresh;
  answer["scope"] = to_array(token.scopes);
  return answer;
}

void MockWorld::adopt(std::string access, std::string refresh, std::string user_id,
                      Timestamp expires_at) {
  const MockToken token{std::move(user_id), all_scopes(), expires_at};
  tokens_[std::move(access)] = token;
  refresh_tokens_[std::move(refresh)] = token;
}

void MockWorld::expire_tokens(Timestamp now) {
  for (auto& [text, token] : tokens_) token.expires_at = std::min(token.expires_at, now);
}

MockReply MockWorld::authorize(const Form& form, Timestamp now) {
  if (field(form, "client_id") != options_.client_id) {
    return oauth_error(400, "invalid client");
  }
  const std::string user_id(field(form, "user_id"));
  if (!channels_.contains(user_id)) return oauth_error(400, "user_id is not known to the mock");
  auto scopes = split_scopes(field(form, "scope"));
  return {200, issue(user_id, scopes.empty() ? all_scopes() : std::move(scopes), now)};
}

MockReply MockWorld::token(const Form& form, Timestamp now) {
  if (field(form, "client_id") != options_.client_id) return oauth_error(400, "invalid client");
  if (field(form, "client_secret") != options_.client_secret) {
    return oauth_error(403, "invalid client secret");
  }
  const std::string_view grant = field(form, "grant_type");
  if (grant == "client_credentials") return {200, issue("", {}, now)};
  if (grant != "refresh_token") return oauth_error(400, "invalid grant type");
  const auto known = refresh_tokens_.find(field(form, "refresh_token"));
  if (known == refresh_tokens_.end()) return oauth_error(400, "Invalid refresh token");
  const MockToken of = known->second;
  refresh_tokens_.erase(known);  // Twitch may rotate it; clients have to cope.
  return {200, issue(of.user_id, of.scopes, now)};
}

MockReply MockWorld::validate(const MockCaller& caller) const {
  const auto found = tokens_.find(caller.bearer);
  if (found == tokens_.end() || found->second.expires_at <= caller.now) {
    return oauth_error(401, "invalid access token");
  }
  const MockToken& token = found->second;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(token.expires_at - caller.now);
  json::Object body{{"client_id", options_.client_id},
                    {"scopes", to_array(token.scopes)},
                    {"expires_in", left.count()}};
  if (!token.user_id.empty()) {
    body["user_id"] = token.user_id;
    body["login"] = channels_.at(token.user_id).user.login;
  }
  return {200, std::move(body)};
}

std::optional<MockReply> MockWorld::refused(const MockCaller& caller,
                                            const MockToken** token) const {
  if (caller.bearer.empty()) return helix_error(401, "Unauthorized", "OAuth token is missing");
  if (caller.client_id.empty()) {
    return helix_error(401, "Unauthorized", "Client-Id header required");
  }
  const auto found = tokens_.find(caller.bearer);
  if (found == tokens_.end() || found->second.expires_at <= caller.now) {
    return helix_error(401, "Unauthorized", "Invalid OAuth token");
  }
  if (caller.client_id != options_.client_id) {
    return helix_error(401, "Unauthorized", "Client ID and OAuth token do not match");
  }
  if (token != nullptr) *token = &found->second;
  return std::nullopt;
}

// ---- Helix ------------------------------------------------------------------------------------

MockReply MockWorld::users(const MockCaller& caller, const std::vector<std::string>& ids,
                           const std::vector<std::string>& logins) const {
  const MockToken* token = nullptr;
  if (auto refusal = refused(caller, &token)) return *std::move(refusal);
  json::Array data;
  for (const auto& [id, channel] : channels_) {
    const bool self = ids.empty() && logins.empty() && token->user_id == id;
    if (!self && !wanted(channel, ids, logins)) continue;
    data.push_back(json::Object{{"id", id},
                                {"login", channel.user.login},
                                {"display_name", channel.user.login},
                                {"type", ""},
                                {"broadcaster_type", "affiliate"},
                                {"description", ""},
                                {"profile_image_url", ""},
                                {"offline_image_url", ""},
                                {"view_count", 0},
                                {"created_at", "2020-01-01T00:00:00Z"}});
  }
  return {200, json::Object{{"data", std::move(data)}}};
}

MockReply MockWorld::streams(const MockCaller& caller, const std::vector<std::string>& ids,
                             const std::vector<std::string>& logins) const {
  if (auto refusal = refused(caller, nullptr)) return *std::move(refusal);
  json::Array data;
  for (const auto& [id, channel] : channels_) {
    if (!channel.stream ||
        (!ids.empty() || !logins.empty() ? !wanted(channel, ids, logins) : false)) {
      continue;
    }
    data.push_back(json::Object{{"id", channel.stream->id},
                                {"user_id", id},
                                {"user_login", channel.user.login},
                                {"user_name", channel.user.login},
                                {"game_id", channel.category_id},
                                {"game_name", channel.category_name},
                                {"type", channel.stream->type == "live" ? "live" : ""},
                                {"title", channel.title},
                                {"viewer_count", 1},
                                {"started_at", twitch_time(channel.stream->started_at)},
                                {"language", channel.language},
                                {"thumbnail_url", ""},
                                {"tag_ids", json::Array{}},
                                {"tags", json::Array{}},
                                {"is_mature", false}});
  }
  return {200, json::Object{{"data", std::move(data)}, {"pagination", json::Object{}}}};
}

MockReply MockWorld::channels(const MockCaller& caller, const std::vector<std::string>& ids) const {
  if (auto refusal = refused(caller, nullptr)) return *std::move(refusal);
  if (ids.empty()) return bad_request("The parameter \"broadcaster_id\" was missing");
  json::Array data;
  for (const auto& [id, channel] : channels_) {
    if (!wanted(channel, ids, {})) continue;
    data.push_back(json::Object{{"broadcaster_id", id},
                                {"broadcaster_login", channel.user.login},
                                {"broadcaster_name", channel.user.login},
                                {"broadcaster_language", channel.language},
                                {"game_id", channel.category_id},
                                {"game_name", channel.category_name},
                                {"title", channel.title},
                                {"delay", 0},
                                {"tags", json::Array{}},
                                {"content_classification_labels", json::Array{}},
                                {"is_branded_content", false}});
  }
  return {200, json::Object{{"data", std::move(data)}}};
}

std::optional<MockReply> MockWorld::refuse_subscription(const MockToken& token,
                                                        const MockSubscription& wanted_one) {
  const bool websocket = wanted_one.method == "websocket";
  if (websocket == token.user_id.empty()) {
    return bad_request("invalid transport and auth combination");
  }
  if (websocket && !sessions_.contains(wanted_one.session_id)) {
    return bad_request("websocket transport session does not exist or has already disconnected");
  }
  if (!websocket) {
    const bool secret_ok =
        wanted_one.secret.size() >= kSecretBytesMin && wanted_one.secret.size() <= kSecretBytesMax;
    if (!secret_ok) return bad_request("secret must be between 10 and 100 characters");
    if (!wanted_one.callback.starts_with("http")) return bad_request("invalid callback");
  }
  const EventType* known = find_event_type(wanted_one.type);
  if (known != nullptr && wanted_one.version != known->version) {
    if (wanted_one.type == "channel.follow") {
      return helix_error(410, "Gone", "this version of the subscription type was removed");
    }
    return bad_request("invalid subscription type and version");
  }
  if (websocket && known != nullptr && !known->scope.empty() &&
      std::find(token.scopes.begin(), token.scopes.end(), known->scope) == token.scopes.end()) {
    return helix_error(403, "Forbidden", "subscription missing proper authorization");
  }
  int cost = wanted_one.cost;
  std::size_t in_session = 0;
  for (const auto& [id, other] : subscriptions_) {
    if (other.method != wanted_one.method || other.status != "enabled") continue;
    cost += other.cost;
    if (other.session_id != wanted_one.session_id) continue;
    ++in_session;
    if (other.type == wanted_one.type && other.callback == wanted_one.callback &&
        json::equal(other.condition, wanted_one.condition)) {
      return helix_error(409, "Conflict", "subscription already exists");
    }
  }
  if (websocket && in_session >= kSessionSubscriptionsMax) {
    return helix_error(429, "Too Many Requests", "number of subscriptions limit exceeded");
  }
  if (cost > (websocket ? kWebSocketCostMax : kWebhookCostMax)) {
    return helix_error(429, "Too Many Requests", "subscription cost limit exceeded");
  }
  return std::nullopt;
}

MockReply MockWorld::subscribe(const MockCaller& caller, const json::Value& body) {
  const MockToken* token = nullptr;
  if (auto refusal = refused(caller, &token)) return *std::move(refusal);
  const json::Object* object = body.if_object();
  if (object == nullptr) return bad_request("the body must be a JSON object");
  const json::Value* condition = json::find(*object, "condition");
  const json::Value* transport = json::find(*object, "transport");
  MockSubscription made;
  made.type = json::find_string(*object, "type").value_or("");
  made.version = json::find_string(*object, "version").value_or("");
  if (made.type.empty() || made.version.empty() || condition == nullptr ||
      !condition->is_object() || transport == nullptr || !transport->is_object()) {
    return bad_request("type, version, condition and transport are required");
  }
  made.condition = condition->get_object();
  const std::string subject = subject_of(made.condition);
  if (!channels_.contains(subject)) return bad_request("condition does not match a known user");
  const json::Object& to = transport->get_object();
  made.method = json::find_string(to, "method").value_or("");
  made.session_id = json::find_string(to, "session_id").value_or("");
  made.callback = json::find_string(to, "callback").value_or("");
  made.secret = json::find_string(to, "secret").value_or("");
  if (made.method != "websocket" && made.method != "webhook") {
    return bad_request("unsupported transport method");
  }
  made.cost = token->user_id == subject ? 0 : 1;
  if (made.method == "webhook") made.cost = 1;
  if (auto refusal = refuse_subscription(*token, made)) return *std::move(refusal);
  if (made.method == "webhook") made.status = "webhook_callback_verification_pending";
  made.id = new_id();
  made.created_at = twitch_time(caller.now);
  const MockSubscription& stored = subscriptions_[made.id] = made;
  return {202, json::Object{{"data", json::Array{stored.to_json()}},
                            {"total", subscriptions_.size()},
                            {"total_cost", stored.cost},
                            {"max_total_cost",
                             made.method == "websocket" ? kWebSocketCostMax : kWebhookCostMax}}};
}

MockReply MockWorld::list(const MockCaller& caller, const std::string& status) const {
  if (auto refusal = refused(caller, nullptr)) return *std::move(refusal);
  json::Array data;
  int cost = 0;
  for (const auto& [id, subscription] : subscriptions_) {
    if (!status.empty() && subscription.status != status) continue;
    data.push_back(subscription.to_json());
    if (subscription.status == "enabled") cost += subscription.cost;
  }
  const std::size_t total = data.size();
  return {200, json::Object{{"data", std::move(data)},
                            {"total", total},
                            {"total_cost", cost},
                            {"max_total_cost", kWebSocketCostMax},
                            {"pagination", json::Object{}}}};
}

MockReply MockWorld::unsubscribe(const MockCaller& caller, const std::string& id) {
  if (auto refusal = refused(caller, nullptr)) return *std::move(refusal);
  if (id.empty()) return bad_request("The parameter \"id\" was missing");
  if (subscriptions_.erase(id) == 0) {
    return helix_error(404, "Not Found", "subscription not found");
  }
  return {204, nullptr};
}

// ---- Sessions and lookups ---------------------------------------------------------------------

void MockWorld::close_session(const std::string& id, const std::string& status) {
  sessions_.erase(id);
  for (auto& [subscription_id, subscription] : subscriptions_) {
    if (subscription.session_id == id && subscription.status == "enabled") {
      subscription.status = status;
    }
  }
}

std::size_t MockWorld::enabled_of(const std::string& session_id) const {
  return static_cast<std::size_t>(
      std::count_if(subscriptions_.begin(), subscriptions_.end(), [&](const auto& entry) {
        return entry.second.session_id == session_id && entry.second.status == "enabled";
      }));
}

MockSubscription* MockWorld::find(const std::string& subscription_id) {
  const auto found = subscriptions_.find(subscription_id);
  return found == subscriptions_.end() ? nullptr : &found->second;
}

std::vector<MockSubscription> MockWorld::matching(const std::string& type,
                                                  const std::string& user_id) const {
  std::vector<MockSubscription> out;
  for (const auto& [id, subscription] : subscriptions_) {
    if (subscription.status == "enabled" && subscription.type == type &&
        subject_of(subscription.condition) == user_id) {
      out.push_back(subscription);
    }
  }
  return out;
}

MockChannel* MockWorld::channel(std::string_view name) {
  for (auto& [id, channel] : channels_) {
    if (id == name || channel.user.login == name) return &channel;
  }
  return nullptr;
}

}  // namespace state_engine::twitch
