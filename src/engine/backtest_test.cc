// Logs of a real engine, run through other rules.

#include "engine/backtest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::IsEmpty;
using testing::proposal_of;
using testing::WorldConfig;

WorldConfig with(const std::string& rules) {
  WorldConfig config;
  config.rules = rules;
  return config;
}

constexpr const char* kRules = R"([
  {"id":"hot","on":"rise","when":{"and":[{"==":[{"var":"key"},"k"]},{">":[{"var":"value"},20]}]},
   "actions":[{"type":"publishEgress","payload":{"type":"hot","v":{"$logic":{"var":"value"}}}}]},
  {"id":"count","when":{"==":[{"var":"key"},"k"]},
   "actions":[{"type":"proposeMutation","key":"n","op":"increment","value":1}]},
  {"id":"echo","when":{"and":[{"==":[{"var":"key"},"n"]},
     {"==":[{"var":"value"},{"var":"state.k"}]}]},
   "actions":[{"type":"proposeMutation","key":"last","value":{"$logic":{"var":"value"}}}]},
  {"id":"idle","on":"change","for":"5s","when":{"==":[{"var":"key"},"k"]},
   "actions":[{"type":"publishEgress","payload":{"type":"idle"}}]}])";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

class BacktestTest : public ::testing::Test {
 protected:
  BacktestTest() : world_(with(kRules)) {
    world_.start();
    for (const int value : {1, 25, 30, 4, 22}) world_.set("k", value);
    world_.advance(milliseconds{6000});
    TransactionProposal transaction;
    transaction.id = "t";
    transaction.members = {proposal_of("", "k", 7), proposal_of("", "x", 1),
                           proposal_of("", "k", 8)};
    EXPECT_TRUE(world_.transact(std::move(transaction)).accepted);
    world_.set("n", "text");  // count is refused from here on: increment of a text
    world_.set("k", 9);
  }

  BacktestReport report(const std::string& rules, std::int64_t from = 1, std::int64_t to = 0) {
    Backtest backtest(EngineWorld::compile(with(rules)).rules, from, to);
    const RuleSetPtr then = EngineWorld::compile(with(kRules)).rules;
    for (LogEntry& entry : world_.log()) backtest.feed(std::move(entry), then);
    return backtest.finish();
  }

  EngineWorld world_;
};

std::vector<std::string> lines(const BacktestReport& report) {
  std::vector<std::string> out;
  for (const auto& [id, rule] : report.rules) {
    out.push_back(fmt::format("{} effects +{} -{} ~{} mutations +{} -{} ~{}", id,
                              rule.effects.added, rule.effects.removed, rule.effects.changed,
                              rule.mutations.added, rule.mutations.removed,
                              rule.mutations.changed));
  }
  return out;
}

TEST_F(BacktestTest, TheSameRulesDoTheSame) {
  const BacktestReport same = report(kRules);
  EXPECT_THAT(lines(same), IsEmpty());
  EXPECT_EQ(same.unreproduced, 0);
  EXPECT_GT(same.same, 10);
  EXPECT_GT(same.changes, 15);
}

TEST_F(BacktestTest, AThresholdShowsWhatIsAddedAndRemoved) {
  const BacktestReport lower = report(replaced(kRules, "20]", "3]"));
  // 25 and 22 rose above 20; above 3 only 25 rose, and stayed.
  EXPECT_THAT(lines(lower), ElementsAre("hot effects +0 -1 ~0 mutations +0 -0 ~0"));
  ASSERT_EQ(lower.rules.at("hot").examples.size(), 1u);
  const BacktestDifference& example = lower.rules.at("hot").examples[0];
  EXPECT_EQ(example.key, "k");
  EXPECT_EQ(example.before, R"({"type":"hot","v":22})");
  EXPECT_EQ(example.after, "");
}

TEST_F(BacktestTest, AChangedPayloadIsAChangeAndANewRuleAnAddition) {
  EXPECT_THAT(lines(report(replaced(kRules, R"("type":"hot","v":{"$logic":{"var":"value"}})",
                                    R"("type":"warm")"))),
              ElementsAre("hot effects +0 -0 ~2 mutations +0 -0 ~0"));
  EXPECT_THAT(lines(report(replaced(kRules, R"("id":"count")", R"("id":"counter")"))),
              ElementsAre("count effects +0 -0 ~0 mutations +0 -8 ~0",
                          "counter effects +0 -0 ~0 mutations +8 -0 ~0"));
}

TEST_F(BacktestTest, AnotherTimeToHoldAndACooldownAreFollowed) {
  // The end of the wait, and three changes by which the condition had held for 6 s.
  EXPECT_THAT(lines(report(replaced(kRules, R"("for":"5s")", R"("for":"9s")"))),
              ElementsAre("idle effects +0 -4 ~0 mutations +0 -0 ~0"));
  EXPECT_THAT(lines(report(replaced(kRules, R"("on":"rise")", R"("on":"rise","cooldown":"1s")"))),
              ElementsAre("hot effects +0 -1 ~0 mutations +0 -0 ~0"));
}

TEST_F(BacktestTest, OnlyTheRangeIsReported) {
  const BacktestReport none = report("[]", 1, 2);
  EXPECT_EQ(none.changes, 2);
  EXPECT_THAT(lines(none), ElementsAre("count effects +0 -0 ~0 mutations +0 -1 ~0",
                                       "echo effects +0 -0 ~0 mutations +0 -1 ~0"));
}

}  // namespace
}  // namespace state_engine
