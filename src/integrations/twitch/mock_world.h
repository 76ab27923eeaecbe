// MockWorld: what the mock Twitch knows and how its API answers, without sockets or a clock.
//
// Invariants, checked by mock_world_test.cc:
//   (1) A WebSocket subscription is enabled exactly while its session lives.
//   (2) A token is accepted until it expires; only tokens that the mock made are known.
//
// Threads: one at a time (MockTwitch has the lock).

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_WORLD_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_WORLD_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "base/time.h"

namespace state_engine::twitch {

struct MockUser {
  std::string id;
  std::string login;
};

struct MockStream {
  std::string id;
  std::string type = "live";
  Timestamp started_at{};
};

struct MockChannel {
  MockUser user;
  std::optional<MockStream> stream;  // absent = offline
  std::string title = "My stream";
  std::string category_id = "509658";
  std::string category_name = "Just Chatting";
  std::string language = "en";
};

struct MockSubscription {
  std::string id;
  std::string status = "enabled";
  std::string type;
  std::string version;
  json::Object condition;
  std::string method;      // "websocket" or "webhook"
  std::string session_id;  // websocket
  std::string callback;    // webhook
  std::string secret;      // webhook; never in an answer
  std::string created_at;
  int cost = 0;

  json::Object to_json() const;
};

struct MockToken {
  std::string user_id;  // empty = an app token
  std::vector<std::string> scopes;
  Timestamp expires_at{};
};

struct MockReply {
  int status = 200;
  json::Value body;
};

// The credential headers of a request, and the time it came.
struct MockCaller {
  std::string bearer;
  std::string client_id;
  Timestamp now{};
};

// RFC 3339 with nine decimals, as Twitch writes it.
std::string twitch_time(Timestamp time);

class MockWorld {
 public:
  struct Options {
    std::vector<MockUser> users;
    std::string client_id = "mock-client";
    std::string client_secret = "mock-secret";
    std::chrono::seconds token_lifetime{4 * 3600};
  };

  MockWorld(Options options, Random& random);

  // OAuth. `form` holds the decoded parameters of body and query.
  using Form = std::map<std::string, std::string, std::less<>>;
  MockReply authorize(const Form& form, Timestamp now);
  MockReply token(const Form& form, Timestamp now);
  MockReply validate(const MockCaller& caller) const;
  // A token of `user_id` with every scope that the known events need, or an app token ("").
  json::Object issue(const std::string& user_id, std::vector<std::string> scopes, Timestamp now);
  // Accepts tokens of an earlier run.
  void adopt(std::string access, std::string refresh, std::string user_id, Timestamp expires_at);
  void expire_tokens(Timestamp now);

  // Helix.
  MockReply users(const MockCaller& caller, const std::vector<std::string>& ids,
                  const std::vector<std::string>& logins) const;
  MockReply streams(const MockCaller& caller, const std::vector<std::string>& ids,
                    const std::vector<std::string>& logins) const;
  MockReply channels(const MockCaller& caller, const std::vector<std::string>& ids) const;
  // A new webhook subscription is pending until set_status().
  MockReply subscribe(const MockCaller& caller, const json::Value& body);
  MockReply list(const MockCaller& caller, const std::string& status) const;
  MockReply unsubscribe(const MockCaller& caller, const std::string& id);

  // Sessions, as far as subscriptions are concerned.
  void open_session(const std::string& id) { sessions_[id] = true; }
  void close_session(const std::string& id, const std::string& status);
  std::size_t enabled_of(const std::string& session_id) const;

  MockSubscription* find(const std::string& subscription_id);
  // Enabled subscriptions to `type` of that broadcaster.
  std::vector<MockSubscription> matching(const std::string& type, const std::string& user_id) const;
  const std::map<std::string, MockSubscription>& subscriptions() const { return subscriptions_; }

  // By login or id; nullptr if unknown.
  MockChannel* channel(std::string_view name);
  std::map<std::string, MockChannel>& all_channels() { return channels_; }
  std::string new_id() { return new_uuid(random_); }

 private:
  // The caller's token, or the refusal.
  std::optional<MockReply> refused(const MockCaller& caller, const MockToken** token) const;
  std::optional<MockReply> refuse_subscription(const MockToken& token,
                                               const MockSubscription& wanted);

  Options options_;
  Random& random_;
  std::map<std::string, MockChannel> channels_;  // by user id
  std::map<std::string, MockToken, std::less<>> tokens_;
  std::map<std::string, MockToken, std::less<>> refresh_tokens_;
  std::map<std::string, MockSubscription> subscriptions_;
  std::map<std::string, bool> sessions_;
};

// A plausible event body of `type` for `channel`; members of `overrides` win.
json::Object sample_event(std::string_view type, const MockChannel& channel,
                          const json::Object& overrides, Timestamp now);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_WORLD_H_
