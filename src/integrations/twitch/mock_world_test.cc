// The mock's answers without sockets. Numbers in comments: invariants of mock_world.h. What a real
// client makes of them is tests/clients/twurple_*.mjs.

#include "integrations/twitch/mock_world.h"

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

class MockWorldTest : public testing::Test {
 protected:
  MockWorldTest() {
    const json::Object made = world_.issue("1001", {"bits:read"}, now_);
    user_ = {std::string(made.at("access_token").as_string()), "mock-client", now_};
    const json::Object app = world_.issue("", {}, now_);
    app_ = {std::string(app.at("access_token").as_string()), "mock-client", now_};
    refresh_ = std::string(made.at("refresh_token").as_string());
    world_.open_session("session");
  }

  static MockWorld::Options options() {
    MockWorld::Options out;
    out.users = {{"1001", "streamer"}, {"1002", "other"}};
    return out;
  }

  MockReply subscribe(std::string_view type, std::string_view version, json::Object transport,
                      std::string_view user = "1001") {
    const bool webhook = transport.at("method") == json::Value("webhook");
    return world_.subscribe(webhook ? app_ : user_,
                            json::Object{{"type", type},
                                         {"version", version},
                                         {"condition", json::Object{{"broadcaster_user_id", user}}},
                                         {"transport", std::move(transport)}});
  }
  static json::Object websocket(std::string_view session = "session") {
    return {{"method", "websocket"}, {"session_id", session}};
  }

  SeededRandom random_{1};
  Timestamp now_ = timestamp_from_ms(1'760'000'000'000);
  MockWorld world_{options(), random_};
  MockCaller user_;
  MockCaller app_;
  std::string refresh_;
};

TEST_F(MockWorldTest, ASubscriptionLivesAsLongAsItsSession) {  // (1)
  EXPECT_EQ(subscribe("stream.online", "1", websocket()).status, 202);
  EXPECT_EQ(world_.enabled_of("session"), 1u);
  EXPECT_EQ(world_.matching("stream.online", "1001").size(), 1u);
  world_.close_session("session", "websocket_disconnected");
  EXPECT_EQ(world_.enabled_of("session"), 0u);
  EXPECT_TRUE(world_.matching("stream.online", "1001").empty());
  EXPECT_EQ(subscribe("stream.online", "1", websocket()).status, 400);
  EXPECT_EQ(world_.subscriptions().size(), 1u) << "it is listed until somebody deletes it";
}

TEST_F(MockWorldTest, OnlyItsOwnTokensCountAndOnlyForAWhile) {  // (2)
  EXPECT_EQ(world_.users(user_, {}, {}).status, 200);
  EXPECT_EQ(world_.users({"made-up", "mock-client", now_}, {}, {}).status, 401);
  EXPECT_EQ(world_.users({user_.bearer, "another", now_}, {}, {}).status, 401);
  EXPECT_EQ(world_.users({user_.bearer, "", now_}, {}, {}).status, 401);
  EXPECT_EQ(world_.users({"", "mock-client", now_}, {}, {}).status, 401);
  MockCaller late = user_;
  late.now += std::chrono::hours{5};
  EXPECT_EQ(world_.users(late, {}, {}).status, 401);
  EXPECT_EQ(world_.validate(late).status, 401);

  const MockWorld::Form form{{"grant_type", "refresh_token"},
                             {"refresh_token", refresh_},
                             {"client_id", "mock-client"},
                             {"client_secret", "mock-secret"}};
  const MockReply renewed = world_.token(form, late.now);
  ASSERT_EQ(renewed.status, 200);
  EXPECT_EQ(json::write(renewed.body.at("scope")), R"(["bits:read"])");
  late.bearer = std::string(renewed.body.at("access_token").as_string());
  EXPECT_EQ(world_.users(late, {}, {}).status, 200);
  EXPECT_EQ(world_.token(form, late.now).status, 400) << "a refresh token works once";
}

TEST_F(MockWorldTest, RefusesWhatTwitchRefuses) {
  EXPECT_EQ(subscribe("stream.online", "1", websocket("dead")).status, 400);
  EXPECT_EQ(subscribe("stream.online", "2", websocket()).status, 400);
  EXPECT_EQ(subscribe("channel.follow", "1", websocket()).status, 410);
  EXPECT_EQ(subscribe("channel.subscribe", "1", websocket()).status, 403);
  EXPECT_EQ(subscribe("channel.cheer", "1", websocket()).status, 202);
  EXPECT_EQ(subscribe("channel.cheer", "1", websocket()).status, 409);
  EXPECT_EQ(world_.subscribe(app_, json::Object{{"type", "stream.online"}}).status, 400);
  EXPECT_EQ(world_.subscribe(user_, nullptr).status, 400);
  const json::Object hook{{"method", "webhook"}, {"callback", "https://x/"}, {"secret", "short"}};
  EXPECT_EQ(subscribe("stream.online", "1", hook).status, 400);
  EXPECT_EQ(world_.unsubscribe(user_, "nothing").status, 404);
}

TEST_F(MockWorldTest, SubscriptionsToOthersCostAndTheCostHasALimit) {
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(subscribe("type." + std::to_string(i), "1", websocket(), "1002").status, 202);
  }
  EXPECT_EQ(subscribe("type.10", "1", websocket(), "1002").status, 429);
  EXPECT_EQ(subscribe("type.10", "1", websocket(), "1001").status, 202) << "one's own are free";
}

TEST_F(MockWorldTest, AWebhookWaitsForItsChallengeAndHidesItsSecret) {
  const json::Object hook{
      {"method", "webhook"}, {"callback", "https://x/"}, {"secret", "0123456789abcdef"}};
  const MockReply made = subscribe("stream.online", "1", hook);
  ASSERT_EQ(made.status, 202);
  EXPECT_EQ(made.body.at("data").at(0).at("status"),
            json::Value("webhook_callback_verification_pending"));
  EXPECT_EQ(json::write(made.body).find("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(json::write(world_.list(app_, "").body).find("0123456789abcdef"), std::string::npos);
  EXPECT_TRUE(world_.matching("stream.online", "1001").empty());
}

TEST_F(MockWorldTest, TellsWhoIsLive) {
  EXPECT_TRUE(world_.streams(user_, {"1001"}, {}).body.at("data").as_array().empty());
  world_.channel("streamer")->stream = MockStream{"9001", "live", now_};
  const json::Value stream = world_.streams(user_, {"1001"}, {}).body.at("data").at(0);
  EXPECT_EQ(stream.at("id"), json::Value("9001"));
  EXPECT_EQ(stream.at("started_at"), json::Value("2025-10-09T08:53:20.000000000Z"));
  EXPECT_TRUE(world_.streams(user_, {"1002"}, {}).body.at("data").as_array().empty());
}

}  // namespace
}  // namespace state_engine::twitch
