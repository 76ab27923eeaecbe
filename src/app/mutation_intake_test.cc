// The intake with a bus that the test plays and a store that fails when told to.

#include "app/mutation_intake.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/engine_world.h"
#include "wire/json_codec.h"

namespace state_engine {
namespace {

using testing::CommitFault;
using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::IsEmpty;
using testing::proposal_of;
using testing::WorldConfig;

class PlayedBus final : public Bus {
 public:
  class Nothing final : public Subscription {};

  boost::asio::awaitable<PublishOutcome> publish(BusMessage message) override {
    published.push_back(std::move(message));
    co_return outcome;
  }
  std::unique_ptr<Subscription> subscribe(std::string, Handler) override {
    return std::make_unique<Nothing>();
  }
  std::unique_ptr<Subscription> consume(ConsumeOptions, ConsumeHandler handed) override {
    handler = std::move(handed);
    return std::make_unique<Nothing>();
  }

  void deliver(std::string name, std::string body) {
    BusDelivery delivery;
    delivery.message.subject = subjects::kMutation;
    delivery.message.body = std::move(body);
    delivery.settle = [this, name = std::move(name)](Settlement how, std::chrono::milliseconds) {
      settled.emplace_back(name, how);
    };
    handler.on_message(std::move(delivery));
  }
  void deliver(const Proposal& proposal) {
    deliver(proposal.id, json::write(json::Value(wire::encode_proposal(proposal))));
  }

  ConsumeHandler handler;
  std::vector<BusMessage> published;
  PublishOutcome outcome = PublishOutcome::kPublished;
  std::vector<std::pair<std::string, Settlement>> settled;
};

class MutationIntakeTest : public ::testing::Test {
 protected:
  void start(const WorldConfig& config = {}) {
    world.use(config);
    world.start();
    intake = std::make_unique<MutationIntake>(world.engine(), bus, world.context().get_executor(),
                                              log, IntakeOptions{}, IntakeEvents{});
    intake->start();
  }
  void TearDown() override {
    if (intake != nullptr) stop();
    intake.reset();
    world.stop();
  }
  void stop() {
    bool done = false;
    auto task = [](MutationIntake& what, bool& out) -> boost::asio::awaitable<void> {
      co_await what.stop();
      out = true;
    };
    boost::asio::co_spawn(world.context(), task(*intake, done),
                          [](const std::exception_ptr& fault) {
                            if (fault) std::rethrow_exception(fault);
                          });
    EXPECT_TRUE(world.run_until([&] { return done; }));
    intake.reset();
  }
  // The next messages, all of one key, each with its number as the value.
  void deliver_some(int count) {
    for (int i = 0; i < count; ++i) {
      const auto number = static_cast<int>(delivered.size());
      delivered.push_back(fmt::format("m{}", number));
      bus.deliver(proposal_of(delivered.back(), "k", number));
    }
  }
  std::vector<std::string> logged() {
    std::vector<std::string> ids;
    for (const LogEntry& entry : world.log()) ids.push_back(entry.proposal.id);
    return ids;
  }

  EngineWorld world;
  NullLog log;
  PlayedBus bus;
  std::vector<std::string> delivered;
  std::unique_ptr<MutationIntake> intake;
};

TEST_F(MutationIntakeTest, AMessageIsSettledOnceItsDecisionIsDurable) {
  start();
  world.store->hold_commits();
  bus.deliver(proposal_of("m1", "k", 1));
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  EXPECT_THAT(bus.settled, IsEmpty());
  world.store->release_commits();
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 1; }));
  EXPECT_EQ(bus.settled[0].second, Settlement::kDone);
  EXPECT_THAT(logged(), ElementsAre("m1"));
}

TEST_F(MutationIntakeTest, WhileTheStoreIsAwayNothingIsSettledAndTheOrderIsKept) {
  start();
  world.store->commit_fault = [](const CommitBatch&) { return CommitFault::kNotCommitted; };
  bus.deliver(proposal_of("m1", "k", 1));
  world.run_until([&] { return world.store->commits() > 0; });
  bus.deliver(proposal_of("m2", "k", 2));
  bus.deliver(proposal_of("m3", "j", 3));
  world.run_until([] { return false; }, std::chrono::milliseconds{100});
  EXPECT_THAT(bus.settled, IsEmpty());
  world.store->commit_fault = nullptr;
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 3; }));
  EXPECT_THAT(logged(), ElementsAre("m1", "m2", "m3"));
  EXPECT_EQ(world.read("k")->value, json::Value(2));
}

TEST_F(MutationIntakeTest, WhatFollowsABatchThatIsRefusedWhileItCommitsDoesNotOvertakeIt) {
  start();
  world.store->hold_commits();
  deliver_some(1);
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  // Already with the engine when the first commit fails, the only one that does.
  deliver_some(40);
  world.run_until([] { return false; }, std::chrono::milliseconds{50});
  deliver_some(40);
  world.run_until([] { return false; }, std::chrono::milliseconds{50});
  int failed = 0;
  world.store->commit_fault = [&failed](const CommitBatch&) {
    return failed++ == 0 ? CommitFault::kNotCommitted : CommitFault::kNone;
  };
  world.store->release_commits();
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 81; }));
  EXPECT_EQ(logged(), delivered);
  EXPECT_EQ(world.read("k")->value, json::Value(80));
}

TEST_F(MutationIntakeTest, FewThatComeWhileABatchCommitsGoInBehindIt) {
  start();
  world.store->hold_commits();
  deliver_some(1);
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  deliver_some(2);
  world.store->release_commits();
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 3; }));
  deliver_some(1);
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 4; }));
  EXPECT_EQ(logged(), delivered);
}

TEST_F(MutationIntakeTest, WhatComesWhileTheEngineHasNoPlaceIsNotForgotten) {
  start();
  world.store->hold_commits();
  deliver_some(1);
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  for (int batch = 0; batch < 2; ++batch) {
    deliver_some(40);
    world.run_until([] { return false; }, std::chrono::milliseconds{20});
  }
  // Three batches are under way: none of these wakes the intake.
  deliver_some(100);
  world.run_until([] { return false; }, std::chrono::milliseconds{20});
  world.store->release_commits();
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 181; }));
  deliver_some(1);
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 182; }));
  EXPECT_EQ(logged(), delivered);
}

TEST_F(MutationIntakeTest, WhileOneBatchCommitsTheNextOnesReachTheEngine) {
  start();
  world.store->hold_commits();
  bus.deliver(proposal_of("m0", "k", 0));
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  const int commits = world.store->commits();
  for (int i = 1; i <= 600; ++i) bus.deliver(proposal_of(fmt::format("m{}", i), "k", i));
  world.run_until([] { return false; }, std::chrono::milliseconds{50});
  world.store->release_commits();
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 601; }));
  EXPECT_LE(world.store->commits() - commits, 3) << "what waited goes into few commits";
  EXPECT_EQ(world.read("k")->value, json::Value(600));
  EXPECT_EQ(world.read("k")->version, 601);
}

TEST_F(MutationIntakeTest, ARateLimitedKeyWaitsInOrderAndNoOtherDoes) {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"slow"};
  config.policy.rules[0].rate = RateLimit{20, 1};
  start(config);
  for (int i = 0; i < 4; ++i) bus.deliver(proposal_of(fmt::format("s{}", i), "slow", i));
  bus.deliver(proposal_of("free", "k", 1));
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 2; }));
  EXPECT_THAT(logged(), ElementsAre("s0", "free"));
  ASSERT_TRUE(world.run_until([&] {
    world.advance(std::chrono::milliseconds{5});  // the engine's clock gives the tokens
    return bus.settled.size() == 5;
  }));
  EXPECT_THAT(logged(), ElementsAre("s0", "free", "s1", "s2", "s3"));
}

TEST_F(MutationIntakeTest, AfterAResetNothingOfBeforeIsDecided) {
  start();
  world.store->commit_fault = [](const CommitBatch&) { return CommitFault::kNotCommitted; };
  bus.deliver(proposal_of("m1", "k", 1));
  world.run_until([&] { return world.store->commits() > 0; });
  bus.handler.on_reset();
  world.store->commit_fault = nullptr;
  bus.deliver(proposal_of("m2", "k", 2));
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 1; }));
  EXPECT_THAT(logged(), ElementsAre("m2"));
}

TEST_F(MutationIntakeTest, WhatIsRefusedAfterAResetIsNotKept) {
  start();
  world.store->hold_commits();
  bus.deliver(proposal_of("m1", "k", 1));
  world.run_until([&] { return world.store->waiting_commits() > 0; });
  bus.handler.on_reset();
  world.run_until([] { return false; }, std::chrono::milliseconds{50});
  int failed = 0;
  world.store->commit_fault = [&failed](const CommitBatch&) {
    return failed++ == 0 ? CommitFault::kNotCommitted : CommitFault::kNone;
  };
  world.store->release_commits();
  world.run_until([&] { return failed > 0; });
  bus.deliver(proposal_of("m2", "k", 2));
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 1; }));
  EXPECT_THAT(logged(), ElementsAre("m2"));
}

TEST_F(MutationIntakeTest, ADeadLetterIsSettledOnceItIsPublishedAndHoldsUpNobody) {
  start();
  bus.outcome = PublishOutcome::kRetry;
  bus.deliver("dead", "no json");
  bus.deliver(proposal_of("m1", "k", 1));
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 1; }));
  EXPECT_EQ(bus.settled[0].first, "m1");
  bus.outcome = PublishOutcome::kPublished;
  ASSERT_TRUE(world.run_until([&] { return bus.settled.size() == 2; }));
  EXPECT_EQ(bus.settled[1].second, Settlement::kRefuse);
  EXPECT_EQ(bus.published.back().subject, subjects::kDeadLetter);
  EXPECT_EQ(bus.published.back().message_id, wire::dead_letter_id("no json"));
}

TEST_F(MutationIntakeTest, StopGivesBackWhatIsNotDecided) {
  start();
  world.store->commit_fault = [](const CommitBatch&) { return CommitFault::kNotCommitted; };
  bus.deliver(proposal_of("m1", "k", 1));
  world.run_until([&] { return world.store->commits() > 0; });
  stop();
  ASSERT_EQ(bus.settled.size(), 1U);
  EXPECT_EQ(bus.settled[0].second, Settlement::kLater);
}

}  // namespace
}  // namespace state_engine
