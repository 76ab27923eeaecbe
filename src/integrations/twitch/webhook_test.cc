// The webhook's door. Numbers in comments: invariants of webhook.h.

#include "integrations/twitch/webhook.h"

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

using std::chrono::minutes;

constexpr std::string_view kSecret = "a-secret-of-16ch";
constexpr std::string_view kBody =
    R"({"subscription":{"type":"stream.offline","status":"enabled"},)"
    R"("event":{"broadcaster_user_id":"1001"}})";

class WebhookTest : public testing::Test {
 protected:
  Now now() const { return {clock_.wall_now(), clock_.monotonic_now()}; }

  WebhookMessage message(std::string_view body = kBody, std::string type = "notification",
                         std::string id = "id-1", minutes age = minutes{0}) {
    WebhookMessage out;
    out.message_id = std::move(id);
    out.timestamp = format_rfc3339(clock_.wall_now() - age);
    out.type = std::move(type);
    out.body = body;
    out.signature = webhook_signature(kSecret, out.message_id, out.timestamp, body);
    return out;
  }

  static std::size_t noticed(const WebhookAnswer& answer) {
    std::size_t count = 0;
    for (const LinkAction& action : answer.actions) {
      if (std::holds_alternative<Noticed>(action)) ++count;
    }
    return count;
  }

  ManualClock clock_;
  WebhookReceiver receiver_{std::string(kSecret)};
};

// Made with another implementation: printf '%s' ID TIMESTAMP BODY | openssl dgst -sha256 -hmac.
TEST_F(WebhookTest, SignsAsTwitchDoes) {
  EXPECT_EQ(webhook_signature("s3cre7s3cre7", "e76c6bd4-55c9-4987-8304-da1588d8988b",
                              "2019-11-16T10:11:12.123Z", R"({"a":1})"),
            "sha256=b712ed13aef9ae714ed4781478fad15af7d4053ced8d18e19b91f9ab14568b49");
}

TEST_F(WebhookTest, ANotificationIsPassedOnOnceAndAnswered204) {
  const WebhookAnswer first = receiver_.receive(message(), now());
  EXPECT_EQ(first.status, 204);
  EXPECT_EQ(noticed(first), 1u);
  const WebhookAnswer second = receiver_.receive(message(), now());
  EXPECT_EQ(second.status, 204);
  EXPECT_EQ(noticed(second), 0u);
}

TEST_F(WebhookTest, AChallengeIsAnsweredAsItIs) {
  const auto answer =
      receiver_.receive(message(R"({"challenge":"pogchamp-kappa","subscription":{}})",
                                "webhook_callback_verification"),
                        now());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "pogchamp-kappa");
}

TEST_F(WebhookTest, ARevocationIsTold) {
  const auto answer = receiver_.receive(
      message(R"({"subscription":{"type":"x","status":"user_removed"}})", "revocation"), now());
  EXPECT_EQ(answer.status, 204);
  ASSERT_EQ(answer.actions.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<SubscriptionRevoked>(answer.actions[0]));
}

// Every part that is signed, changed after signing, and signatures of the wrong form.
TEST_F(WebhookTest, AnythingChangedAfterSigningIsRefused) {  // (1)
  const std::string other_body = std::string(kBody) + " ";
  std::vector<WebhookMessage> forged(9, message());
  forged[0].message_id += "x";
  forged[1].timestamp = format_rfc3339(clock_.wall_now() - minutes{1});
  forged[2].body = other_body;
  forged[3].signature = "";
  forged[4].signature = forged[4].signature.substr(7);
  forged[5].signature.back() = forged[5].signature.back() == '0' ? '1' : '0';
  forged[6].signature = "sha1=" + forged[6].signature.substr(7);
  forged[7].signature =
      webhook_signature("another-secret", forged[7].message_id, forged[7].timestamp, kBody);
  forged[8].message_id = std::string(1000, 'x');
  forged[8].signature =
      webhook_signature(kSecret, forged[8].message_id, forged[8].timestamp, kBody);
  for (std::size_t i = 0; i < forged.size(); ++i) {
    const auto answer = receiver_.receive(forged[i], now());
    EXPECT_EQ(answer.status, 403) << i;
    EXPECT_EQ(noticed(answer), 0u) << i;
  }
  EXPECT_EQ(noticed(receiver_.receive(message(), now())), 1u)
      << "a forged id does not burn a real one";
}

TEST_F(WebhookTest, OutsideTheReplayWindowNothingIsPassedOn) {  // (2)
  for (const minutes age : {minutes{11}, minutes{-11}}) {
    const auto answer = receiver_.receive(message(kBody, "notification", "old", age), now());
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(noticed(answer), 0u);
  }
  EXPECT_EQ(noticed(receiver_.receive(message(kBody, "notification", "ok", minutes{9}), now())),
            1u);
}

TEST_F(WebhookTest, SignedNonsenseIsAnswered400) {
  for (const char* body : {"", "null", "[]", "{", R"({"subscription":{}})", R"({"event":{}})"}) {
    const std::string id = std::string("id-of-") + body;
    EXPECT_EQ(receiver_.receive(message(body, "notification", id), now()).status, 400) << body;
  }
  EXPECT_EQ(receiver_.receive(message("{}", "webhook_callback_verification"), now()).status, 400);
  EXPECT_EQ(receiver_.receive(message("{}", "party", "p"), now()).status, 204);
}

TEST_F(WebhookTest, SecretsMustBeWhatTwitchTakes) {
  EXPECT_TRUE(WebhookReceiver::check_secret("0123456789").ok());
  EXPECT_TRUE(WebhookReceiver::check_secret(std::string(100, 'x')).ok());
  for (const std::string& bad : {std::string("short"), std::string(101, 'x'),
                                 std::string("with a space"), std::string("umlaut-\xc3\xa4-xx")}) {
    EXPECT_FALSE(WebhookReceiver::check_secret(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace state_engine::twitch
