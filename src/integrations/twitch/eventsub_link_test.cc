// The WebSocket protocol on virtual time. Numbers in comments: invariants of eventsub_link.h.

#include "integrations/twitch/eventsub_link.h"

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kKeepalive{10};

class EventSubLinkTest : public testing::Test {
 protected:
  Now now() const { return {clock_.wall_now(), clock_.monotonic_now()}; }

  template <typename Action>
  static std::vector<Action> pick(const LinkActions& actions) {
    std::vector<Action> out;
    for (const LinkAction& action : actions) {
      if (const auto* one = std::get_if<Action>(&action)) out.push_back(*one);
    }
    return out;
  }

  std::string frame(std::string_view kind, json::Object payload, std::string id = "",
                    milliseconds age = {}) {
    if (id.empty()) id = "message-" + std::to_string(++messages_);
    return json::write(json::Object{
        {"metadata", json::Object{{"message_id", id},
                                  {"message_type", kind},
                                  {"message_timestamp", format_rfc3339(clock_.wall_now() - age)}}},
        {"payload", std::move(payload)}});
  }
  std::string welcome(std::string_view session = "session-1") {
    return frame("session_welcome",
                 {{"session", json::Object{{"id", session},
                                           {"status", "connected"},
                                           {"keepalive_timeout_seconds", kKeepalive.count()},
                                           {"reconnect_url", nullptr}}}});
  }
  std::string notification(std::string id = "", milliseconds age = {}) {
    return frame("notification",
                 {{"subscription", json::Object{{"type", "stream.online"}, {"status", "enabled"}}},
                  {"event", json::Object{{"broadcaster_user_id", "1001"}}}},
                 std::move(id), age);
  }
  std::string reconnect(std::string_view url) {
    return frame("session_reconnect",
                 {{"session", json::Object{{"id", "session-1"}, {"reconnect_url", url}}}});
  }

  // Connects and gets the welcome; the first socket has the id 1.
  void go_live() {
    link_.start(now());
    const auto started = pick<SessionStarted>(link_.on_text(1, welcome(), now()));
    ASSERT_EQ(started.size(), 1u);
    EXPECT_EQ(started[0].session_id, "session-1");
    ASSERT_TRUE(link_.live());
  }

  ManualClock clock_;
  SeededRandom random_{1};
  EventSubLink link_{{.url = "wss://eventsub.wss.twitch.tv/ws"}, random_};
  int messages_ = 0;
};

TEST_F(EventSubLinkTest, ConnectsWithTheKeepaliveAndASessionFollowsTheWelcome) {
  const auto connects = pick<ConnectSocket>(link_.start(now()));
  ASSERT_EQ(connects.size(), 1u);
  EXPECT_EQ(connects[0].url, "wss://eventsub.wss.twitch.tv/ws?keepalive_timeout_seconds=10");
  EXPECT_FALSE(link_.live());
  EXPECT_EQ(pick<SessionStarted>(link_.on_text(1, welcome(), now())).size(), 1u);
  EXPECT_TRUE(link_.live());
}

TEST_F(EventSubLinkTest, ANotificationIsPassedOnOnce) {  // (1)
  go_live();
  EXPECT_EQ(pick<Noticed>(link_.on_text(1, notification("m"), now())).size(), 1u);
  const auto again = link_.on_text(1, notification("m"), now());
  EXPECT_TRUE(pick<Noticed>(again).empty());
  ASSERT_EQ(pick<MessageDropped>(again).size(), 1u);
  EXPECT_EQ(pick<MessageDropped>(again)[0].reason, DropReason::kDuplicate);
}

TEST_F(EventSubLinkTest, WhatIsTooOldOrFromTheFutureIsDroppedAndTheTruthAskedFor) {  // (3)
  go_live();
  const auto fresh = link_.on_text(1, notification("", minutes{9}), now());
  EXPECT_EQ(pick<Noticed>(fresh).size(), 1u);
  for (const milliseconds age : {milliseconds{minutes{11}}, milliseconds{minutes{-11}}}) {
    const auto actions = link_.on_text(1, notification("", age), now());
    EXPECT_TRUE(pick<Noticed>(actions).empty());
    EXPECT_EQ(pick<ReconcileNeeded>(actions).size(), 1u);
  }
}

TEST_F(EventSubLinkTest, SilenceForAFifthMoreThanTheKeepaliveEndsTheSession) {
  go_live();
  clock_.advance(seconds{11});
  EXPECT_TRUE(link_.on_time(now()).empty());
  link_.on_text(1, frame("session_keepalive", {}), now());
  clock_.advance(milliseconds{11'999});
  EXPECT_TRUE(link_.on_time(now()).empty());
  clock_.advance(milliseconds{1});
  const auto actions = link_.on_time(now());
  EXPECT_EQ(pick<CloseSocket>(actions).size(), 1u);
  EXPECT_EQ(pick<SessionLost>(actions).size(), 1u);
  EXPECT_FALSE(link_.live());
}

TEST_F(EventSubLinkTest, EveryMessageOfTheSocketCountsAsALifeSign) {
  go_live();
  for (int i = 0; i < 10; ++i) {
    clock_.advance(seconds{8});
    link_.on_text(1, notification(), now());
    EXPECT_TRUE(link_.on_time(now()).empty());
  }
}

TEST_F(EventSubLinkTest, NoWelcomeInTimeIsAFailedTry) {
  link_.start(now());
  clock_.advance(seconds{15});
  const auto actions = link_.on_time(now());
  ASSERT_EQ(pick<SessionLost>(actions).size(), 1u);
  clock_.advance(pick<SessionLost>(actions)[0].retry_in);
  EXPECT_EQ(pick<ConnectSocket>(link_.on_time(now())).size(), 1u);
}

TEST_F(EventSubLinkTest, TriesGrowFurtherApartAndAWelcomeResetsThem) {  // (4)
  link_.start(now());
  milliseconds last{0};
  SocketId socket = 1;
  for (int i = 0; i < 12; ++i) {
    const auto lost = pick<SessionLost>(link_.on_closed(socket, 0, now()));
    ASSERT_EQ(lost.size(), 1u);
    last = lost[0].retry_in;
    EXPECT_LE(last, minutes{1});
    EXPECT_EQ(link_.next_deadline(), clock_.monotonic_now() + last);
    clock_.advance(last);
    const auto connects = pick<ConnectSocket>(link_.on_time(now()));
    ASSERT_EQ(connects.size(), 1u);
    socket = connects[0].socket;
  }
  EXPECT_GE(last, seconds{30});
  link_.on_text(socket, welcome(), now());
  EXPECT_LE(pick<SessionLost>(link_.on_closed(socket, 4000, now()))[0].retry_in, milliseconds{500});
}

TEST_F(EventSubLinkTest, EachCloseCodeEndsInAFreshSession) {
  for (int code = 4000; code <= 4007; ++code) {
    EventSubLink link({.url = "ws://mock/ws"}, random_);
    link.start(now());
    link.on_text(1, welcome(), now());
    const auto lost = pick<SessionLost>(link.on_closed(1, static_cast<std::uint16_t>(code), now()));
    ASSERT_EQ(lost.size(), 1u);
    EXPECT_NE(lost[0].why.find(std::to_string(code)), std::string::npos);
    clock_.advance(lost[0].retry_in);
    const auto connects = pick<ConnectSocket>(link.on_time(now()));
    ASSERT_EQ(connects.size(), 1u);
    EXPECT_EQ(connects[0].url, "ws://mock/ws?keepalive_timeout_seconds=10");
    EXPECT_EQ(pick<SessionStarted>(link.on_text(2, welcome("other"), now())).size(), 1u);
  }
}

TEST_F(EventSubLinkTest, AHandoverReadsTheOldSocketUntilItIsDrained) {  // (2)
  go_live();
  const auto asked = link_.on_text(1, reconnect("wss://eventsub.wss.twitch.tv/ws?x=1"), now());
  const auto connects = pick<ConnectSocket>(asked);
  ASSERT_EQ(connects.size(), 1u);
  EXPECT_EQ(connects[0].url, "wss://eventsub.wss.twitch.tv/ws?x=1");
  EXPECT_TRUE(pick<CloseSocket>(asked).empty());
  EXPECT_EQ(pick<Noticed>(link_.on_text(1, notification("a"), now())).size(), 1u);

  const auto handed = link_.on_text(2, welcome("session-1"), now());
  EXPECT_TRUE(pick<CloseSocket>(handed).empty()) << "closing throws away what is on its way";
  EXPECT_TRUE(pick<SessionStarted>(handed).empty()) << "the subscriptions have moved along";
  EXPECT_TRUE(pick<ReconcileNeeded>(handed).empty());
  // What was on its way over the old socket comes first, and once.
  EXPECT_TRUE(link_.on_text(2, notification("c"), now()).empty());
  EXPECT_TRUE(link_.on_text(2, notification("b"), now()).empty());
  EXPECT_EQ(pick<Noticed>(link_.on_text(1, notification("b"), now())).size(), 1u);
  EXPECT_EQ(link_.next_deadline(), clock_.monotonic_now() + seconds{1});
  clock_.advance(seconds{1});
  const auto drained = link_.on_time(now());
  ASSERT_EQ(pick<CloseSocket>(drained).size(), 1u);
  EXPECT_EQ(pick<CloseSocket>(drained)[0].socket, 1);
  ASSERT_EQ(pick<Noticed>(drained).size(), 1u);
  EXPECT_EQ(pick<Noticed>(drained)[0].notice.message_id, "c");
  // Even what comes while it closes.
  EXPECT_EQ(pick<Noticed>(link_.on_text(1, notification("d"), now())).size(), 1u);
  EXPECT_EQ(pick<Noticed>(link_.on_text(2, notification("e"), now())).size(), 1u);
  EXPECT_TRUE(link_.on_closed(1, 1000, now()).empty());
  EXPECT_TRUE(link_.live());
}

// Whatever ends the drain, what the new socket brought in it is passed on.
TEST_F(EventSubLinkTest, NothingThatWasHeldIsLost) {  // (2)
  const auto handover = [&](EventSubLink& link) {
    link.start(now());
    link.on_text(1, welcome(), now());
    link.on_text(1, reconnect("wss://eventsub.wss.twitch.tv/ws?x=1"), now());
    link.on_text(2, welcome(), now());
    EXPECT_TRUE(link.on_text(2, notification("held"), now()).empty());
  };
  const LinkOptions options{.url = "wss://eventsub.wss.twitch.tv/ws"};
  EventSubLink old_one_ends(options, random_);
  handover(old_one_ends);
  EXPECT_EQ(pick<Noticed>(old_one_ends.on_closed(1, 4004, now())).size(), 1u);
  EventSubLink new_one_ends(options, random_);
  handover(new_one_ends);
  const auto lost = new_one_ends.on_closed(2, 1006, now());
  EXPECT_EQ(pick<Noticed>(lost).size(), 1u);
  EXPECT_EQ(pick<CloseSocket>(lost).size(), 1u) << "the old socket must not stay";
  EXPECT_EQ(pick<SessionLost>(lost).size(), 1u);
  EventSubLink next_handover(options, random_);
  handover(next_handover);
  next_handover.on_text(2, reconnect("wss://eventsub.wss.twitch.tv/ws?x=2"), now());
  const auto again = next_handover.on_text(3, welcome(), now());
  EXPECT_EQ(pick<Noticed>(again).size(), 1u);
  EXPECT_EQ(pick<CloseSocket>(again).size(), 1u);
  EventSubLink flooded(options, random_);
  handover(flooded);
  std::size_t noticed = 0;
  for (int i = 0; i < 1'000; ++i) {
    noticed += pick<Noticed>(flooded.on_text(2, notification(), now())).size();
  }
  EXPECT_EQ(noticed, 1'001u) << "a flood ends the wait";
}

TEST_F(EventSubLinkTest, AnOldSocketThatEndsBeforeTheNewWelcomeMeansReconciling) {  // (3)
  go_live();
  link_.on_text(1, reconnect("wss://eventsub.wss.twitch.tv/ws?x=1"), now());
  EXPECT_TRUE(link_.on_closed(1, 4004, now()).empty());
  const auto handed = link_.on_text(2, welcome(), now());
  EXPECT_EQ(pick<ReconcileNeeded>(handed).size(), 1u);
  EXPECT_TRUE(link_.live());
}

TEST_F(EventSubLinkTest, AFailedOrSlowHandoverStartsAfresh) {
  go_live();
  link_.on_text(1, reconnect("wss://eventsub.wss.twitch.tv/ws?x=1"), now());
  const auto failed = link_.on_closed(2, 4007, now());
  EXPECT_EQ(pick<SessionLost>(failed).size(), 1u);
  EXPECT_EQ(pick<CloseSocket>(failed).size(), 1u);

  clock_.advance(seconds{1});
  const SocketId third = pick<ConnectSocket>(link_.on_time(now()))[0].socket;
  link_.on_text(third, welcome(), now());
  link_.on_text(third, reconnect("wss://eventsub.wss.twitch.tv/ws?x=2"), now());
  clock_.advance(seconds{29});
  EXPECT_TRUE(link_.on_time(now()).empty()) << "a silent old socket is no reason during a handover";
  clock_.advance(seconds{1});
  EXPECT_EQ(pick<SessionLost>(link_.on_time(now())).size(), 1u);
}

TEST_F(EventSubLinkTest, NobodyCanSendUsElsewhere) {
  for (const char* url : {"wss://evil.example/ws", "ws://eventsub.wss.twitch.tv/ws",
                          "https://eventsub.wss.twitch.tv/", "wss://eviltwitch.tv/ws",
                          "wss://twitch.tv.evil.example/ws", "wss://a@evil.example/", "x",
                          "wss://eventsub.wss.twitch.tv@evil.example/ws"}) {
    EventSubLink link({.url = "wss://eventsub.wss.twitch.tv/ws"}, random_);
    link.start(now());
    link.on_text(1, welcome(), now());
    const auto actions = link.on_text(1, reconnect(url), now());
    EXPECT_TRUE(pick<ConnectSocket>(actions).empty()) << url;
    EXPECT_EQ(pick<SessionLost>(actions).size(), 1u) << url;
  }
  go_live();
  const auto ok = link_.on_text(1, reconnect("wss://cell-a.eventsub.wss.twitch.tv/ws?id=1"), now());
  EXPECT_EQ(pick<ConnectSocket>(ok).size(), 1u);
}

TEST_F(EventSubLinkTest, ARevocationIsToldOnceWithItsStatus) {
  go_live();
  const std::string text =
      frame("revocation", {{"subscription", json::Object{{"type", "channel.follow"},
                                                         {"status", "authorization_revoked"}}}});
  const auto revoked = pick<SubscriptionRevoked>(link_.on_text(1, text, now()));
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_EQ(revoked[0].type, "channel.follow");
  EXPECT_EQ(revoked[0].status, "authorization_revoked");
  EXPECT_TRUE(pick<SubscriptionRevoked>(link_.on_text(1, text, now())).empty());
}

TEST_F(EventSubLinkTest, BatchedEventsAreToldOneByOne) {
  go_live();
  const auto item = [](const char* id) {
    return json::Object{{"id", id}, {"data", json::Object{{"user_id", "1"}}}};
  };
  const std::string text =
      frame("notification", {{"subscription", json::Object{{"type", "drop.entitlement.grant"}}},
                             {"events", json::Array{item("a"), item("b"), item("a")}}});
  const auto noticed = pick<Noticed>(link_.on_text(1, text, now()));
  ASSERT_EQ(noticed.size(), 2u);
  EXPECT_EQ(noticed[1].notice.message_id, "b");
}

TEST_F(EventSubLinkTest, UnknownSocketsAndKindsAreIgnored) {
  go_live();
  EXPECT_TRUE(link_.on_text(99, notification(), now()).empty());
  EXPECT_TRUE(link_.on_closed(99, 1000, now()).empty());
  const auto actions = link_.on_text(1, frame("session_party", {}), now());
  ASSERT_EQ(pick<MessageDropped>(actions).size(), 1u);
  EXPECT_EQ(pick<MessageDropped>(actions)[0].reason, DropReason::kUnknownKind);
}

// Cuts, flips and doubles pieces of good frames: nothing may end the machine or pass as good.
TEST_F(EventSubLinkTest, MalformedFramesChangeNothing) {  // (5)
  go_live();
  const std::vector<std::string> good = {welcome(), notification("x"),
                                         frame("session_keepalive", {}),
                                         reconnect("wss://eventsub.wss.twitch.tv/ws")};
  const std::uint64_t seed = ::testing::UnitTest::GetInstance()->random_seed();
  RecordProperty("seed", std::to_string(seed));
  SeededRandom random(seed);
  std::size_t dropped = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good[random.below(good.size())];
    for (std::uint64_t edits = random.below(4) + 1; edits > 0 && !text.empty(); --edits) {
      const auto at = static_cast<std::size_t>(random.below(text.size()));
      switch (random.below(4)) {
        case 0:
          text.resize(at);
          break;
        case 1:
          text[at] = static_cast<char>(random.below(256));
          break;
        case 2:
          text.insert(at, text.substr(at / 2, 9));
          break;
        default:
          text.erase(at, 3);
      }
    }
    dropped += pick<MessageDropped>(link_.on_text(1, text, now())).size();
    // A reconnect that survived the edits may have begun a handover or ended the session.
    if (!link_.live()) {
      clock_.advance(minutes{2});
      for (const auto& connect : pick<ConnectSocket>(link_.on_time(now()))) {
        link_.on_text(connect.socket, welcome(), now());
      }
    }
    ASSERT_LT(link_.next_deadline(), std::chrono::nanoseconds::max()) << "(4), seed " << seed;
  }
  EXPECT_GT(dropped, 0u);
}

TEST(FramesTest, SeenMessagesForgetTheOldestFirst) {
  SeenMessages seen;
  for (std::size_t i = 0; i <= SeenMessages::kIdsMax; ++i) {
    ASSERT_TRUE(seen.first_time(std::to_string(i)));
  }
  EXPECT_TRUE(seen.first_time("0"));
  EXPECT_FALSE(seen.first_time(std::to_string(SeenMessages::kIdsMax)));
}

TEST(FramesTest, SaysWhatIsMissing) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "JSON"},
      {"[]", "objects"},
      {R"({"metadata":{},"payload":{}})", "message_id"},
      {R"({"metadata":{"message_id":"1","message_timestamp":"today"},"payload":{}})", "timestamp"},
      {R"({"metadata":{"message_id":"1","message_type":"session_welcome",
           "message_timestamp":"2026-01-01T00:00:00.123456789Z"},"payload":{}})",
       "session"},
      {R"({"metadata":{"message_id":"1","message_type":"notification",
           "message_timestamp":"2026-01-01T00:00:00Z"},"payload":{"subscription":{"type":"t"}}})",
       "event"},
  };
  for (const auto& [text, part] : cases) {
    const auto frame = decode_frame(text);
    ASSERT_FALSE(frame.ok()) << text;
    if (part != "JSON") {
      EXPECT_NE(frame.error().message.find(part), std::string::npos) << frame.error().message;
    }
  }
}

}  // namespace
}  // namespace state_engine::twitch
