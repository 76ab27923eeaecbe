// Events to proposals. Numbers in comments: invariants of mapping.h.

#include "integrations/twitch/mapping.h"

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class EventMapperTest : public testing::Test {
 protected:
  static BoundChannel channel() { return {"1001", "streamer", "", default_subscriptions()}; }

  Notice online(std::string id, seconds ago = {}, std::string stream = "9001",
                std::string type = "live") {
    return {std::move(id), now_ - ago, "stream.online",
            json::Object{{"id", stream},
                         {"broadcaster_user_id", "1001"},
                         {"type", type},
                         {"started_at", format_rfc3339(now_ - ago - seconds{2})}}};
  }
  Notice offline(std::string id, seconds ago = {}) {
    return {std::move(id), now_ - ago, "stream.offline",
            json::Object{{"broadcaster_user_id", "1001"}}};
  }
  Notice update(std::string id, std::string_view title, seconds ago = {}) {
    return {std::move(id), now_ - ago, "channel.update",
            json::Object{{"broadcaster_user_id", "1001"},
                         {"title", title},
                         {"language", "en"},
                         {"category_id", "1"},
                         {"category_name", "Chess"}}};
  }
  std::vector<Outgoing> map(const Notice& notice) { return mapper_.map(notice, now_, why_); }

  static ChannelTruth live(std::string id, Timestamp started) {
    ChannelTruth truth;
    truth.stream = ChannelTruth::Stream{std::move(id), "live", format_rfc3339(started)};
    return truth;
  }

  Timestamp now_ = timestamp_from_ms(1'760'000'000'000);
  EventMapper mapper_{{channel()}};
  std::string why_;
};

TEST_F(EventMapperTest, GoingLiveIsOneProposalWithEverythingThatTellsWhy) {
  const auto out = map(online("m1"));
  ASSERT_EQ(out.size(), 1u);
  const Proposal& proposal = out[0].proposal;
  EXPECT_EQ(proposal.id, "twitch:m1");
  EXPECT_EQ(proposal.key, "stream.state");
  EXPECT_EQ(proposal.value, json::Value("on"));
  EXPECT_EQ(proposal.actor, "ingress-egress:twitch");
  EXPECT_EQ(proposal.reason, "Twitch EventSub: stream.online");
  EXPECT_EQ(proposal.ttl, std::chrono::hours{6});
  EXPECT_EQ(proposal.metadata.at("streamId"), json::Value("9001"));
  EXPECT_EQ(proposal.metadata.at("broadcasterId"), json::Value("1001"));
  EXPECT_FALSE(out[0].only_if_different);
}

TEST_F(EventMapperTest, TheSameEventGivesTheSameProposals) {  // (1)
  const auto once = map(update("m1", "Hello"));
  EventMapper another({channel()});
  const auto again = another.map(update("m1", "Hello"), now_ + minutes{5}, why_);
  ASSERT_EQ(once.size(), 3u);
  ASSERT_EQ(again.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(once[i].proposal.id, "twitch:m1:" + std::to_string(i));
    EXPECT_EQ(once[i].proposal.id, again[i].proposal.id);
    EXPECT_EQ(once[i].proposal.key, again[i].proposal.key);
    EXPECT_EQ(once[i].proposal.value, again[i].proposal.value);
    EXPECT_EQ(once[i].proposal.ttl, again[i].proposal.ttl);
  }
}

TEST_F(EventMapperTest, OfTwoEventsTheOneThatWasSentLaterWins) {  // (2)
  EXPECT_EQ(map(online("m1", seconds{10})).size(), 1u);
  EXPECT_TRUE(map(offline("m2", seconds{20})).empty());
  EXPECT_NE(why_.find("later"), std::string::npos);
  EXPECT_EQ(map(offline("m3", seconds{5})).size(), 1u);
  EXPECT_TRUE(map(online("m4", seconds{6})).empty());
  EXPECT_EQ(map(update("m5", "new", seconds{1})).size(), 3u);
  EXPECT_TRUE(map(update("m6", "old", seconds{2})).empty());
}

TEST_F(EventMapperTest, OnlyALiveStreamTurnsTheStateOn) {  // (3)
  for (const char* type : {"rerun", "premiere", "playlist", "watch_party", ""}) {
    EXPECT_TRUE(map(online(type, {}, "9", type)).empty()) << type;
  }
  Notice without = online("m");
  without.event.erase("type");
  EXPECT_TRUE(map(without).empty());
}

TEST_F(EventMapperTest, ForeignChannelsTypesAndPoorEventsChangeNothing) {
  Notice foreign = offline("m1");
  foreign.event["broadcaster_user_id"] = "2002";
  EXPECT_TRUE(map(foreign).empty());
  Notice raid = offline("m2");
  raid.type = "channel.raid";
  EXPECT_TRUE(map(raid).empty());
  Notice poor = update("m3", "x");
  poor.event.erase("language");
  EXPECT_EQ(map(poor).size(), 2u);
  EXPECT_NE(why_.find("language"), std::string::npos);
}

TEST_F(EventMapperTest, ValuesTtlsAndConditionsComeFromTheEvent) {
  MutationSpec raid;
  raid.key = "stream.raid";
  raid.value_fields = {{"by", "from_broadcaster_user_name"}, {"viewers", "viewers"}};
  MutationSpec count;
  count.key = "stream.raids";
  count.op = Op::kIncrement;
  count.value = json::Value(1);
  MutationSpec big;
  big.key = "stream.big_raid";
  big.value_from = "detail.name";
  big.ttl_from = "viewers";
  big.when = {{"detail.kind", json::Value("big")}};
  EventMapper mapper(
      {{"1001", "s", "twitch.s.", {{"channel.raid", "1", true, "", {raid, count, big}}}}});
  Notice notice{"m", now_, "channel.raid",
                json::Object{{"to_broadcaster_user_id", "1001"},
                             {"from_broadcaster_user_name", "Bob"},
                             {"viewers", 42},
                             {"detail", json::Object{{"kind", "big"}, {"name", "army"}}}}};
  const auto out = mapper.map(notice, now_, why_);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].proposal.key, "twitch.s.stream.raid");
  EXPECT_EQ(json::write(*out[0].proposal.value), R"({"by":"Bob","viewers":42})");
  EXPECT_EQ(out[1].proposal.op, Op::kIncrement);
  EXPECT_EQ(out[2].proposal.value, json::Value("army"));
  EXPECT_EQ(out[2].proposal.ttl, seconds{42});
}

TEST_F(EventMapperTest, ReconcilingProposesWhatHelixSaysOnlyIfDifferent) {
  bool again = false;
  ChannelTruth truth = live("9001", now_ - minutes{30});
  truth.update = json::Object{{"title", "t"}, {"language", "en"}, {"category_name", "c"}};
  const auto on = mapper_.reconcile(mapper_.channels()[0], truth, now_, again);
  EXPECT_FALSE(again);
  ASSERT_EQ(on.size(), 4u);
  EXPECT_TRUE(on[0].only_if_different);
  EXPECT_EQ(on[0].proposal.value, json::Value("on"));
  const auto off = mapper_.reconcile(mapper_.channels()[0], {}, now_, again);
  ASSERT_EQ(off.size(), 1u);
  EXPECT_EQ(off[0].proposal.value, json::Value("off"));
}

TEST_F(EventMapperTest, AnEventOfJustNowBeatsHelixWhichAnswersFromCaches) {
  bool again = false;
  map(online("m1"));
  EXPECT_TRUE(mapper_.reconcile(mapper_.channels()[0], {}, now_ + minutes{1}, again).empty());
  EXPECT_TRUE(again);
  // After a while Helix is right again: the offline event was lost.
  EXPECT_EQ(mapper_.reconcile(mapper_.channels()[0], {}, now_ + minutes{4}, again).size(), 1u);
  EXPECT_FALSE(again);

  now_ += minutes{10};
  map(offline("m2"));
  const auto old_stream = live("9001", now_ - minutes{60});
  EXPECT_TRUE(mapper_.reconcile(mapper_.channels()[0], old_stream, now_, again).empty());
  EXPECT_TRUE(again);
  // A stream that began after the offline event is a new one, and its event was lost.
  const auto new_stream = live("9002", now_ + seconds{20});
  EXPECT_EQ(mapper_.reconcile(mapper_.channels()[0], new_stream, now_ + minutes{1}, again).size(),
            1u);
  EXPECT_FALSE(again);
}

TEST_F(EventMapperTest, ReconcilingDoesNotHideAnEventThatIsOnItsWay) {
  bool again = false;
  mapper_.reconcile(mapper_.channels()[0], {}, now_, again);
  EXPECT_EQ(map(online("m1", seconds{1})).size(), 1u);
}

TEST(ProposalIdTest, IsPlainShortAndStable) {
  EXPECT_EQ(proposal_id("abc-1", 0, 1), "twitch:abc-1");
  EXPECT_EQ(proposal_id("abc-1", 2, 3), "twitch:abc-1:2");
  for (const std::string& odd :
       {std::string(300, 'x'), std::string("a b"), std::string("\xc3\xa4")}) {
    const std::string id = proposal_id(odd, 0, 1);
    EXPECT_LE(id.size(), 128u);
    EXPECT_TRUE(id.starts_with("twitch:h_")) << id;
    EXPECT_EQ(id, proposal_id(odd, 0, 1));
  }
}

}  // namespace
}  // namespace state_engine::twitch
