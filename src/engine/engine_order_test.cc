// propose_in_order: what a source that keeps an order may rely on.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using testing::CommitFault;
using testing::EngineWorld;
using testing::proposal_of;
using testing::WorldConfig;

class EngineOrderTest : public ::testing::Test {
 protected:
  std::vector<MutationResult> send(std::vector<Submission> submissions) {
    auto results = world.run(world.engine().propose_in_order(std::move(submissions)));
    EXPECT_TRUE(results.has_value());
    return results.value_or(std::vector<MutationResult>{});
  }
  static Submission submission(std::string id, std::string key, json::Value value = 1) {
    return {proposal_of(std::move(id), std::move(key), std::move(value)), {}, {}};
  }

  // Calls that are under way together, in one lane.
  std::vector<std::vector<MutationResult>> send_in_lane(
      std::vector<std::vector<Submission>> calls) {
    const auto lane = std::make_shared<ProposalLane>();
    std::vector<std::vector<MutationResult>> out(calls.size());
    std::size_t done = 0;
    auto call = [this, lane, &out, &done](
                    std::size_t i,
                    std::vector<Submission> submissions) -> boost::asio::awaitable<void> {
      out[i] = co_await world.engine().propose_in_order(std::move(submissions), lane);
      ++done;
    };
    for (std::size_t i = 0; i < calls.size(); ++i) {
      boost::asio::co_spawn(world.context(), call(i, std::move(calls[i])),
                            [](std::exception_ptr) {});
    }
    EXPECT_TRUE(world.run_until([&] { return done == out.size(); }));
    return out;
  }

  EngineWorld world;
};

TEST_F(EngineOrderTest, AllAreDecidedInOneCommitInTheirOrder) {
  world.start();
  const int commits = world.store->commits();
  const auto results =
      send({submission("m1", "k", 1), submission("m2", "j", 2), submission("m3", "k", 3)});
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(world.store->commits(), commits + 1);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(results[i].accepted);
    EXPECT_EQ(results[i].seq, static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_EQ(world.read("k")->value, json::Value(3));
}

TEST_F(EngineOrderTest, BehindARateLimitedOneTheSameKeyWaits) {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"slow.*"};
  config.policy.rules[0].rate = RateLimit{1, 1};
  world.use(config);
  world.start();
  const auto results = send({submission("m1", "slow.a", 1), submission("m2", "slow.a", 2),
                             submission("m3", "slow.a", 3), submission("m4", "free", 4)});
  ASSERT_EQ(results.size(), 4U);
  EXPECT_TRUE(results[0].accepted);
  EXPECT_EQ(results[1].code, RejectionCode::kRateLimited);
  EXPECT_EQ(results[2].code, RejectionCode::kUnavailable);
  EXPECT_EQ(results[2].retry_after, results[1].retry_after);
  EXPECT_TRUE(results[3].accepted);
  EXPECT_EQ(world.log().size(), 2U) << "neither is a decision";
}

TEST_F(EngineOrderTest, AFailedCommitRefusesAll) {
  world.start();
  world.store->commit_fault = [](const CommitBatch&) { return CommitFault::kNotCommitted; };
  for (const MutationResult& result : send({submission("m1", "k"), submission("m2", "j")})) {
    EXPECT_EQ(result.code, RejectionCode::kUnavailable);
    EXPECT_TRUE(result.retry_after);
  }
  EXPECT_TRUE(world.log().empty());
}

TEST_F(EngineOrderTest, ARefusedCallOfALaneRefusesTheCallsBehindIt) {
  world.start();
  world.store->hold_commits();
  int failed = 0;
  world.store->commit_fault = [&failed](const CommitBatch&) {
    return failed++ == 0 ? CommitFault::kNotCommitted : CommitFault::kNone;
  };
  boost::asio::post(world.context(), [this] { world.store->release_commits(); });
  const auto results = send_in_lane({{submission("m1", "k", 1)}, {submission("m2", "j", 2)}});
  EXPECT_EQ(results[0].at(0).code, RejectionCode::kUnavailable);
  EXPECT_EQ(results[1].at(0).code, RejectionCode::kUnavailable);
  EXPECT_TRUE(world.log().empty());
  EXPECT_TRUE(send({submission("m1", "k", 1)}).at(0).accepted) << "a new lane is open";
}

TEST_F(EngineOrderTest, AKeyThatWasRateLimitedWaitsInLaterCallsOfTheLaneToo) {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"slow.*"};
  config.policy.rules[0].rate = RateLimit{1, 1};
  world.use(config);
  world.start();
  const auto results = send_in_lane({{submission("m1", "slow.a", 1), submission("m2", "slow.a", 2)},
                                     {submission("m3", "slow.a", 3), submission("m4", "free", 4)}});
  EXPECT_TRUE(results[0].at(0).accepted);
  EXPECT_EQ(results[0].at(1).code, RejectionCode::kRateLimited);
  EXPECT_EQ(results[1].at(0).code, RejectionCode::kUnavailable);
  EXPECT_TRUE(results[1].at(1).accepted);
}

TEST_F(EngineOrderTest, AFaultOfTheDoorIsRecordedOnce) {
  world.start();
  Submission bad = submission("dead-1", "", "garbage");
  bad.options.fault = PolicyDenial{RejectionCode::kDeadLetter, "no JSON"};
  const auto first = send({bad});
  const auto again = send({bad});
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(first[0].code, RejectionCode::kDeadLetter);
  EXPECT_EQ(first[0].error, "no JSON");
  EXPECT_FALSE(first[0].duplicate);
  EXPECT_TRUE(again[0].duplicate);
  ASSERT_EQ(world.log().size(), 1U);
  EXPECT_EQ(world.log()[0].code, RejectionCode::kDeadLetter);
}

}  // namespace
}  // namespace state_engine
