// `for` and `cooldown` as part of the engine: on time, in the log, after a restart.

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "core/chain.h"
#include "engine/engine.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;
using testing::CommitFault;
using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::proposal_of;
using testing::WorldConfig;

WorldConfig with_rule(const std::string& fields) {
  WorldConfig config;
  config.rules = fmt::format(
      R"([{{"id":"r","when":{{"and":[{{"==":[{{"var":"key"}},"k"]}},
          {{"==":[{{"var":"value"}},"off"]}}]}},
          {},"actions":[{{"type":"publishEgress","payload":{{"type":"t",
          "v":{{"$logic":{{"var":"version"}}}}}}}}]}}])",
      fields);
  return config;
}

// "<payload version>@<ms since the start>" of what was delivered.
std::vector<std::string> deliveries(const EngineWorld& world, Timestamp start) {
  std::vector<std::string> texts;
  for (const Effect& effect : world.sink.delivered) {
    const json::Value payload = json::parse(effect.payload).value();
    texts.push_back(fmt::format("{}@{}", json::write(payload.get_object().at("v")),
                                (effect.created_at - start).count()));
  }
  return texts;
}

Proposal with_ttl(Proposal proposal, milliseconds ttl) {
  proposal.ttl = ttl;
  return proposal;
}

class EngineWaitsTest : public ::testing::Test {
 protected:
  EngineWorld& start(const std::string& fields) {
    world_.emplace(with_rule(fields));
    world_->start();
    start_ = world_->clock.wall_now();
    return *world_;
  }
  std::vector<std::string> delivered() { return deliveries(*world_, start_); }

  std::optional<EngineWorld> world_;
  Timestamp start_{};
};

TEST_F(EngineWaitsTest, FiresOnceTheConditionHasHeldForTheTime) {
  EngineWorld& world = start(R"("on":"rise","for":"5m")");
  world.set("k", "off");
  EXPECT_THAT(world.log().back().rules.at(0).held, HasSubstr("it waits until"));
  world.advance(milliseconds{299'999});
  EXPECT_THAT(delivered(), IsEmpty());
  world.advance(milliseconds{100});
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_LE((world.sink.delivered[0].created_at - start_).count(), 300'100);
  world.advance(milliseconds{900'000});
  EXPECT_EQ(world.sink.delivered.size(), 1u);
}

// I10: the firing has a record of its own, whose cause is the change that it waited on.
TEST_F(EngineWaitsTest, TheFiringIsALoggedMutationAndTheCauseOfTheEffect) {
  EngineWorld& world = start(R"("on":"rise","for":1)");
  world.propose(proposal_of("m", "k", "off"));
  world.advance(milliseconds{1000});
  const auto log = world.log();
  ASSERT_EQ(log.size(), 2u);
  const LogEntry& firing = log[1];
  EXPECT_TRUE(firing.accepted);
  EXPECT_EQ(firing.proposal.key, firing_key("r"));
  EXPECT_EQ(firing.proposal.actor, "state-engine");
  EXPECT_EQ(firing.proposal.causation_id, "m");
  EXPECT_EQ(json::write(*firing.proposal.value),
            fmt::format(R"({{"rule":"r","key":"k","version":1,"since":"{}","for":"1s"}})",
                        format_rfc3339(start_)));
  ASSERT_EQ(firing.rules.size(), 1u);
  EXPECT_TRUE(firing.rules[0].matched);
  EXPECT_EQ(firing.rules[0].effects, 1);
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_EQ(world.sink.delivered[0].cause_id, firing.proposal.id);
  EXPECT_EQ(world.sink.delivered[0].cause_seq, firing.seq);
  const auto verdict = **world.run(world.engine().explain_rule(firing, "r"));
  EXPECT_TRUE(verdict.agrees);
  EXPECT_TRUE(verdict.tree.matched);
  EXPECT_THAT((**world.run(world.engine().explain_rule(firing, "x"))).not_a_candidate,
              HasSubstr("no rule of this id"));
  const auto story = **world.run(world.engine().explain_mutation("m"));
  ASSERT_EQ(story.consequences.size(), 1u);
  EXPECT_EQ(story.consequences[0].effects.size(), 1u);
}

TEST_F(EngineWaitsTest, AConditionThatEndsBeforeTheTimeCancels) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.set("k", "off");
  world.advance(milliseconds{4000});
  world.set("k", "on");
  world.advance(milliseconds{60'000});
  EXPECT_THAT(delivered(), IsEmpty());
  world.set("k", "off");
  world.advance(milliseconds{5000});
  EXPECT_THAT(delivered(), ElementsAre("3@69000"));
}

TEST_F(EngineWaitsTest, DeletingOrExpiringTheKeyCancels) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.propose(with_ttl(proposal_of("a", "k", "off"), milliseconds{4999}));
  world.advance(milliseconds{20'000});
  world.set("k", "off");
  Proposal gone = proposal_of("b", "k");
  gone.op = Op::kDelete;
  gone.value.reset();
  world.propose(gone);
  world.advance(milliseconds{20'000});
  EXPECT_THAT(delivered(), IsEmpty());
}

TEST_F(EngineWaitsTest, AnExpiryAtTheSameInstantCancelsAndALaterOneDoesNot) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.propose(with_ttl(proposal_of("a", "k", "off"), milliseconds{5000}));
  world.advance(milliseconds{5000});
  EXPECT_THAT(delivered(), IsEmpty());
  world.propose(with_ttl(proposal_of("b", "k", "off"), milliseconds{5001}));
  world.advance(milliseconds{6000});
  EXPECT_THAT(delivered(), ElementsAre("3@10000"));
}

TEST_F(EngineWaitsTest, CommitFiresWhenItHasHeldAndThenAtEachCommit) {
  EngineWorld& world = start(R"("for":"5s")");
  world.set("k", "off");
  world.advance(milliseconds{3000});
  world.set("k", "off");  // does not begin the wait anew: the condition goes on to hold
  world.advance(milliseconds{2000});
  EXPECT_THAT(delivered(), ElementsAre("2@5000"));
  world.advance(milliseconds{1000});
  world.set("k", "off");
  world.settle();
  EXPECT_THAT(delivered(), ElementsAre("2@5000", "3@6000"));
}

TEST_F(EngineWaitsTest, ChangeFiresForChangesOnly) {
  EngineWorld& world = start(R"("on":"change","for":"5s")");
  world.set("k", "off");
  world.advance(milliseconds{5000});
  world.set("k", "off");
  world.advance(milliseconds{9000});
  EXPECT_THAT(delivered(), ElementsAre("1@5000"));
}

TEST_F(EngineWaitsTest, FallWaitsForTheConditionToStayFalse) {
  EngineWorld& world = start(R"("on":"fall","for":"5s")");
  world.set("k", "on");  // was never true
  world.advance(milliseconds{9000});
  world.set("k", "off");
  world.set("k", "on");
  world.advance(milliseconds{2000});
  world.set("k", "off");  // true again
  world.advance(milliseconds{9000});
  EXPECT_THAT(delivered(), IsEmpty());
  world.set("k", "on");
  world.advance(milliseconds{5000});
  ASSERT_EQ(delivered(), (std::vector<std::string>{"5@25000"}));
  const auto verdict = **world.run(world.engine().explain_rule(world.log().back(), "r"));
  EXPECT_TRUE(verdict.agrees);
  EXPECT_FALSE(verdict.tree.matched);
}

TEST_F(EngineWaitsTest, AWriteAtTheDeadlineComesAfterTheFiring) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.set("k", "off");
  world.settle();
  world.clock.advance(milliseconds{7000});  // the engine had no turn in between
  world.set("k", "on");
  world.settle();
  EXPECT_THAT(delivered(), ElementsAre("1@7000"));
  EXPECT_EQ(world.log()[1].proposal.key, firing_key("r"));
}

TEST_F(EngineWaitsTest, SurvivesARestartAndFiresAtOnceWhatRanOutMeanwhile) {
  EngineWorld& world = start(R"("on":"rise","for":"5m")");
  world.set("k", "on");
  world.set("k", "off");
  world.advance(milliseconds{60'000});
  world.restart();
  world.advance(milliseconds{60'000});
  EXPECT_THAT(delivered(), IsEmpty());
  world.crash();
  world.clock.advance(milliseconds{600'000});
  world.start();
  world.advance(milliseconds{100});
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_LE((world.sink.delivered[0].created_at - start_).count(), 720'100);
  world.restart();
  world.advance(milliseconds{600'000});
  EXPECT_EQ(world.sink.delivered.size(), 1u);
}

// A condition may look at what the change was, which a snapshot does not tell.
TEST_F(EngineWaitsTest, AfterARestartTheRuleSeesTheSameChange) {
  WorldConfig config;
  config.rules = R"([{"id":"r","on":"rise","for":"5s",
    "when":{"and":[{"==":[{"var":"key"},"k"]},{">":[{"var":"value"},{"var":"prev"}]},
                   {"==":[{"var":"actor"},"tester"]}]},
    "actions":[{"type":"publishEgress","payload":{"type":"t","v":{"$logic":{"var":"prev"}}}}]}])";
  EngineWorld world(config);
  world.start();
  const Timestamp begin = world.clock.wall_now();
  world.set("k", 3);
  world.set("k", 8);
  world.restart();
  world.advance(milliseconds{5000});
  EXPECT_THAT(deliveries(world, begin), ElementsAre("3@5000"));
}

TEST_F(EngineWaitsTest, OtherKeysAreLookedAtOnceMoreAtTheEnd) {
  WorldConfig config;
  config.rules = R"([{"id":"r","on":"rise","for":"5s",
    "when":{"and":[{"==":[{"var":"key"},"k"]},{"==":[{"var":"state.armed"},true]}]},
    "actions":[{"type":"publishEgress","payload":{"type":"t","v":1}}]}])";
  EngineWorld world(config);
  world.start();
  world.set("armed", true);
  world.set("k", 1);
  world.set("armed", false);
  world.advance(milliseconds{9000});
  EXPECT_THAT(world.sink.delivered, IsEmpty());
  const auto recent = *world.run(world.engine().recent_rules("r", 10));
  ASSERT_FALSE(recent.empty());
  const bool told = std::any_of(recent.begin(), recent.end(), [](const RuleEvaluation& e) {
    return e.held.find("its wait ended") != std::string::npos;
  });
  EXPECT_TRUE(told);
  // That end is durable with the next commit, whatever that is.
  world.set("other", 1);
  world.set("armed", true);
  world.restart();
  world.advance(milliseconds{9000});
  EXPECT_THAT(world.sink.delivered, IsEmpty());
}

TEST_F(EngineWaitsTest, DerivedMutationsOfAFiringAreCausedByIt) {
  WorldConfig config;
  config.rules = R"([
    {"id":"idle","on":"rise","for":"1s","when":{"==":[{"var":"key"},"k"]},
     "actions":[{"type":"proposeMutation","key":"scene","value":"brb"}]},
    {"id":"scene","when":{"==":[{"var":"key"},"scene"]},
     "actions":[{"type":"publishEgress","payload":{"type":"t","v":1}}]}])";
  EngineWorld world(config);
  world.start();
  world.set("k", 1);
  world.advance(milliseconds{1000});
  const auto log = world.log();
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[2].proposal.key, "scene");
  EXPECT_EQ(log[2].proposal.causation_id, log[1].proposal.id);
  EXPECT_EQ(world.sink.delivered.size(), 1u);
}

TEST_F(EngineWaitsTest, AFiringOverTheBudgetIsRejectedOnRecordAndNotTriedAgain) {
  WorldConfig config;
  config.rules = R"([
    {"id":"idle","on":"rise","for":"1s","when":{"==":[{"var":"key"},"k"]},
     "actions":[{"type":"proposeMutation","key":"n","value":0}]},
    {"id":"next","when":{"in":["n",{"var":"key"}]},"actions":[
      {"type":"proposeMutation","key":{"$logic":{"cat":["n",{"var":"value"}]}},
       "value":{"$logic":{"+":[{"var":"value"},1]}}}]}])";
  EngineWorld world(config);
  world.start();
  world.set("k", 1);
  world.advance(milliseconds{30'000});
  const auto log = world.log();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[1].code, RejectionCode::kRuleBudgetExceeded);
}

TEST_F(EngineWaitsTest, NobodyElseWritesTheEnginesKeys) {
  EngineWorld& world = start(R"("for":1)");
  EXPECT_EQ(world.set("state-engine/fired/r", 1).code, RejectionCode::kKeyNotAllowed);
  EXPECT_EQ(world.propose(proposal_of(firing_id("r", "k", start_), "k")).code,
            RejectionCode::kInvalidProposal);
}

// ---- cooldown --------------------------------------------------------------------------------

TEST_F(EngineWaitsTest, ACooldownDropsFiringsAndSurvivesARestart) {
  EngineWorld& world = start(R"("cooldown":"10s")");
  world.set("k", "off");
  world.advance(milliseconds{5000});
  world.set("k", "off");
  EXPECT_THAT(world.log().back().rules.at(0).held, HasSubstr("it is cooling down until"));
  world.restart();
  world.advance(milliseconds{4999});
  world.set("k", "off");
  world.advance(milliseconds{1});
  world.set("k", "off");
  world.settle();
  EXPECT_THAT(delivered(), ElementsAre("1@0", "4@10000"));
}

TEST_F(EngineWaitsTest, ACooldownIsPerKey) {
  WorldConfig config;
  config.rules = R"([{"id":"r","cooldown":"1h","when":true,
    "actions":[{"type":"publishEgress","payload":{"type":"t","v":{"$logic":{"var":"key"}}}}]}])";
  EngineWorld world(config);
  world.start();
  const Timestamp begin = world.clock.wall_now();
  for (const char* key : {"a", "b", "a", "b"}) world.set(key, 1);
  EXPECT_THAT(deliveries(world, begin), ElementsAre("\"a\"@0", "\"b\"@0"));
}

TEST_F(EngineWaitsTest, ACooldownPutsAWaitOffToItsEnd) {
  EngineWorld& world = start(R"("on":"rise","for":"5s","cooldown":"1m")");
  world.set("k", "off");
  world.advance(milliseconds{5000});  // fires at 5 s
  world.set("k", "on");
  world.set("k", "off");
  world.advance(milliseconds{100'000});
  EXPECT_THAT(delivered(), ElementsAre("1@5000", "3@65000"));
}

// ---- Hot reload ------------------------------------------------------------------------------

TEST_F(EngineWaitsTest, AReloadThatLeavesTheConditionKeepsTheWaitAndMovesItsEnd) {
  EngineWorld& world = start(R"("on":"rise","for":"5m")");
  world.set("k", "off");
  world.advance(milliseconds{60'000});
  ASSERT_TRUE(world.reload(with_rule(R"("on":"rise","for":"2m","description":"new")")).ok());
  world.advance(milliseconds{59'000});
  EXPECT_THAT(delivered(), IsEmpty());
  world.advance(milliseconds{1'000});
  EXPECT_THAT(delivered(), ElementsAre("1@120000"));
}

TEST_F(EngineWaitsTest, AReloadThatChangesOrRemovesTheRuleEndsTheWait) {
  for (const std::string fields : {R"("on":"change","for":"5s")", R"("on":"rise")", ""}) {
    EngineWorld& world = start(R"("on":"rise","for":"5s")");
    world.set("k", "off");
    const WorldConfig other = fields.empty() ? WorldConfig{} : with_rule(fields);
    ASSERT_TRUE(world.reload(other).ok());
    world.advance(milliseconds{9000});
    EXPECT_THAT(delivered(), IsEmpty()) << fields;
    // The store agrees, once anything was committed.
    world.set("other", 1);
    world.restart();
    world.advance(milliseconds{9000});
    EXPECT_THAT(delivered(), IsEmpty()) << fields;
  }
}

TEST_F(EngineWaitsTest, RulesThatChangedWhileTheEngineWasDownBeginAnewToo) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.set("k", "off");
  world.stop();
  world.use(with_rule(R"("on":"change","for":"5s")"));
  world.start();
  world.advance(milliseconds{9000});
  EXPECT_THAT(delivered(), IsEmpty());
}

// ---- Faults ----------------------------------------------------------------------------------

TEST_F(EngineWaitsTest, AFiringThatTheStoreRefusesIsTriedAgain) {
  EngineWorld& world = start(R"("on":"rise","for":"5s")");
  world.set("k", "off");
  int refused = 0;
  world.store->commit_fault = [&refused](const CommitBatch&) {
    return ++refused <= 3 ? CommitFault::kNotCommitted : CommitFault::kNone;
  };
  world.advance(milliseconds{6000});
  EXPECT_EQ(refused, 4);
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_EQ(world.log().size(), 2u);
}

TEST_F(EngineWaitsTest, ManyWaitsEndInBoundedBatches) {
  WorldConfig config;
  config.rules = R"([{"id":"r","on":"rise","for":"1s","when":{"==":[{"var":"value"},1]},
    "actions":[{"type":"publishEgress","payload":{"type":"t","v":1}}]}])";
  EngineWorld world(config);
  world.start();
  constexpr int kKeys = 600;
  for (int i = 0; i < kKeys; ++i) world.set(fmt::format("k{}", i), 1);
  const int before = world.store->commits();
  world.advance(milliseconds{1100});
  EXPECT_EQ(world.sink.delivered.size(), static_cast<std::size_t>(kKeys));
  EXPECT_EQ(world.store->commits() - before, 3);
  EXPECT_EQ(world.read(firing_key("r"))->version, kKeys);
}

TEST_F(EngineWaitsTest, ADryRunBeginsNoWait) {
  EngineWorld& world = start(R"("on":"rise","for":"5s","cooldown":"5s")");
  ProposeOptions options;
  options.dry_run = true;
  world.propose(proposal_of("d", "k", "off"), options);
  world.advance(milliseconds{9000});
  EXPECT_THAT(delivered(), IsEmpty());
  EXPECT_THAT(*world.run(world.engine().recent_rules("", 10)), IsEmpty());
}

// ---- The last evaluations --------------------------------------------------------------------

TEST_F(EngineWaitsTest, TheLastEvaluationsAreKeptFiredAndNotFiredApart) {
  EngineWorld& world = start(R"("on":"commit")");
  world.set("k", "off");
  for (int i = 0; i < 300; ++i) world.set("k", json::Value(json::Array{i}));
  const auto all = *world.run(world.engine().recent_rules("", 1000));
  EXPECT_EQ(all.size(), 1u + limits::kRecentRules);
  EXPECT_FALSE(all.front().fired);
  EXPECT_EQ(all.front().seq, 301);
  EXPECT_TRUE(all.back().fired);
  EXPECT_EQ(all.back().effects, 1);
  EXPECT_THAT(*world.run(world.engine().recent_rules("nobody", 1000)), IsEmpty());
}

}  // namespace
}  // namespace state_engine
