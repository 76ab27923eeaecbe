// Explanations of the past: the tree computed again comes to the stored outcome.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::proposal_of;
using testing::WorldConfig;

constexpr const char* kRules = R"([
  {"id":"busy","when":{"and":[{"==":[{"var":"key"},"k"]},{">":[{"var":"state.viewers"},50]}]},
   "actions":[{"type":"publishEgress","payload":{"type":"busy"}}]},
  {"id":"grew","on":"rise","when":{"and":[{"==":[{"var":"key"},"k"]},
     {">":[{"var":"value"},{"var":"prev"}]}]},"actions":[]},
  {"id":"on","when":{"==":[{"var":"value"},"on"]},"actions":[]},
  {"id":"own","when":{">":[{"var":"state.k"},2]},"actions":[]},
  {"id":"bad","when":{"and":[{"==":[{"var":"key"},"k"]},{"in":["x",{"var":"value.list"}]}]},
   "actions":[{"type":"proposeMutation","key":{"$logic":{"var":"value"}},"value":1}]},
  {"id":"gone","when":{"==":[{"var":"op"},"delete"]},
   "actions":[{"type":"proposeMutation","key":"last","value":{"$logic":{"var":"prev"}}}]}])";

const std::vector<std::string> kIds = {"busy", "grew", "on", "own", "bad", "gone"};

EngineWorld& start(EngineWorld& world) {
  world.start();
  return world;
}

WorldConfig config() {
  WorldConfig config;
  config.rules = kRules;
  return config;
}

RuleVerdict verdict(EngineWorld& world, const LogEntry& entry, const std::string& rule) {
  auto result = world.run(world.engine().explain_rule(entry, rule));
  EXPECT_TRUE(result.has_value() && result->ok()) << rule;
  return result && result->ok() ? **result : RuleVerdict();
}

TEST(ExplainRuleTest, EveryTreeComesToTheStoredOutcome) {
  EngineWorld world(config());
  start(world);
  world.set("viewers", 10);
  world.set("k", 1);
  world.set("viewers", 90);
  world.set("k", 5);
  world.set("k", json::parse(R"({"list":["x"]})").value());
  world.set("k", "on");
  world.set("other", "on");
  world.propose([] {
    Proposal proposal = proposal_of("del", "k");
    proposal.op = Op::kDelete;
    proposal.value.reset();
    return proposal;
  }());
  // Members of one transaction run their rules when all of them are applied.
  TransactionProposal transaction;
  transaction.id = "t";
  transaction.members = {proposal_of("", "k", 1), proposal_of("", "viewers", 3),
                         proposal_of("", "k", 7)};
  ASSERT_TRUE(world.transact(std::move(transaction)).accepted);
  world.set("viewers", 1000);

  const std::vector<LogEntry> log = world.log();
  int trees = 0;
  int matched = 0;
  for (const LogEntry& entry : log) {
    for (const std::string& id : kIds) {
      const RuleVerdict found = verdict(world, entry, id);
      EXPECT_TRUE(found.agrees) << entry.proposal.id << " " << id << "\n"
                                << logic::to_text(found.tree);
      if (!found.not_a_candidate.empty()) continue;
      ++trees;
      EXPECT_EQ(found.tree.matched, found.stored.matched);
      matched += found.tree.matched ? 1 : 0;
    }
  }
  EXPECT_GE(trees, 20);
  EXPECT_GE(matched, 8);
}

TEST(ExplainRuleTest, TellsTheNodeThatDecidedWithTheValuesOfThatTime) {
  EngineWorld world(config());
  start(world);
  world.set("viewers", 10);
  world.propose(proposal_of("quiet", "k", 1));
  world.set("viewers", 90);
  const LogEntry quiet = world.log()[1];
  ASSERT_EQ(quiet.proposal.id, "quiet");
  EXPECT_THAT(verdict(world, quiet, "busy").tree.decided_text, HasSubstr("10"));
}

TEST(ExplainRuleTest, SaysWhyARuleWasNoCandidate) {
  EngineWorld world(config());
  start(world);
  world.propose(proposal_of("m", "viewers", 1));
  Proposal refused = proposal_of("refused", "k", 1);
  refused.expected_version = 9;
  world.propose(std::move(refused));
  const std::vector<LogEntry> log = world.log();
  EXPECT_EQ(verdict(world, log[0], "busy").not_a_candidate,
            "its condition can hold only for changes of k; this one changed viewers");
  EXPECT_EQ(verdict(world, log[0], "on").not_a_candidate,
            "its condition can hold only for the value \"on\"; this change made it 1");
  EXPECT_THAT(verdict(world, log[0], "nope").not_a_candidate, HasSubstr("no rule of this id"));
  EXPECT_THAT(verdict(world, log[1], "busy").not_a_candidate, HasSubstr("was rejected"));
}

TEST(ExplainRuleTest, UsesTheRulesThatWereInForce) {
  EngineWorld world(config());
  start(world);
  world.propose(proposal_of("m", "k", "on"));
  WorldConfig other;
  other.rules = R"([{"id":"on","when":{"==":[{"var":"value"},"off"]},"actions":[]}])";
  ASSERT_TRUE(world.reload(other).ok());
  world.propose(proposal_of("n", "k", "on"));
  const std::vector<LogEntry> log = world.log();
  EXPECT_TRUE(verdict(world, log[0], "on").tree.matched);
  EXPECT_THAT(verdict(world, log[1], "on").not_a_candidate, HasSubstr("\"off\""));
}

}  // namespace
}  // namespace state_engine
