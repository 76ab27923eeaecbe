// Groups that are decided while another one commits.

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "engine/engine.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using testing::CommitFault;
using testing::EngineWorld;
using testing::proposal_of;
using testing::WorldConfig;
using Answer = std::shared_ptr<std::optional<MutationResult>>;

class GroupCommitTest : public ::testing::Test {
 protected:
  static Proposal increment(const std::string& id) {
    Proposal proposal = proposal_of(id, "count", 1);
    proposal.op = Op::kIncrement;
    return proposal;
  }

  struct Sent {
    Answer first;
    std::vector<Answer> rest;
  };
  // Starts an engine whose store holds the commit of `first`; `rest` is decided on top of it.
  Sent start_and_send(int count = 32) {
    world.start();
    world.store->hold_commits();
    Sent sent;
    sent.first = world.send(increment("first"));
    sent.rest = send_many("rest-", count);
    return sent;
  }
  // The commit of the first ends like that, and all that follows from it happens.
  void end_commit(CommitFault fault) {
    world.store->commit_fault = [fault](const CommitBatch&) { return fault; };
    world.store->release_commits();
    world.settle();
  }

  // Enough that they are decided while another group commits.
  std::vector<Answer> send_many(const std::string& prefix, int count = 32) {
    std::vector<Answer> answers;
    answers.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      answers.push_back(world.send(increment(fmt::format("{}{}", prefix, i))));
    }
    return answers;
  }

  static std::size_t answered(const std::vector<Answer>& answers) {
    return static_cast<std::size_t>(std::count_if(
        answers.begin(), answers.end(), [](const Answer& answer) { return answer->has_value(); }));
  }

  EngineWorld world;
};

TEST_F(GroupCommitTest, WhatIsDecidedDuringACommitRestsOnItAndIsAnsweredAfterIt) {
  const auto [first, rest] = start_and_send();
  EXPECT_EQ(world.store->waiting_commits(), 1) << "one commit at a time";
  EXPECT_FALSE(first->has_value());
  EXPECT_EQ(answered(rest), 0u);
  EXPECT_EQ(world.read("count"), nullptr);

  world.store->release_commits();
  world.settle();
  EXPECT_EQ(world.store->commits(), 2);
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ((*first)->version, 1);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    ASSERT_TRUE(rest[i]->has_value());
    EXPECT_EQ((*rest[i])->version, static_cast<std::int64_t>(i) + 2);
    EXPECT_EQ((*rest[i])->seq, static_cast<std::int64_t>(i) + 2);
  }
  EXPECT_EQ(world.read("count")->value, json::Value(33));
  ASSERT_EQ(world.changes.size(), 33u);
  EXPECT_EQ(world.changes[1].prev, json::Value(1)) << "what the group before left";
}

TEST_F(GroupCommitTest, WhatRestsOnACommitThatFailsIsRefusedWithIt) {
  const auto [first, rest] = start_and_send();
  end_commit(CommitFault::kNotCommitted);
  EXPECT_EQ(world.store->commits(), 1) << "what rests on it was not tried";
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ((*first)->code, RejectionCode::kUnavailable);
  ASSERT_EQ(answered(rest), rest.size());
  for (const Answer& answer : rest) EXPECT_EQ((*answer)->code, RejectionCode::kUnavailable);
  EXPECT_TRUE(world.log().empty());
  EXPECT_TRUE(world.changes.empty());

  world.store->commit_fault = nullptr;
  EXPECT_EQ(world.propose(increment("rest-0")).version, 1)
      << "the same id, as if for the first time";
  EXPECT_EQ(world.log().size(), 1u);
}

TEST_F(GroupCommitTest, AfterAFatalFaultWhatRestsOnItIsRefusedAndItselfUnanswered) {
  const auto [first, rest] = start_and_send();
  end_commit(CommitFault::kFatalApplied);
  ASSERT_EQ(world.fatal.size(), 1u);
  EXPECT_FALSE(first->has_value()) << "only the next start knows";
  ASSERT_EQ(answered(rest), rest.size());
  for (const Answer& answer : rest) EXPECT_EQ((*answer)->code, RejectionCode::kUnavailable);
}

TEST_F(GroupCommitTest, AnIdThatCommitsIsADuplicateForTheNextGroup) {
  world.start();
  world.store->hold_commits();
  const Answer first = world.send(increment("same"));
  std::vector<Answer> rest = send_many("rest-", 15);
  const Answer again = world.send(increment("same"));
  const Answer other = world.send(proposal_of("same", "elsewhere", 5));
  EXPECT_FALSE(again->has_value());
  world.store->release_commits();
  world.settle();
  ASSERT_TRUE(again->has_value() && other->has_value());
  EXPECT_TRUE((*again)->accepted);
  EXPECT_TRUE((*again)->duplicate);
  EXPECT_EQ((*again)->seq, (*first)->seq);
  EXPECT_EQ((*other)->code, RejectionCode::kIdReused);
  EXPECT_EQ(world.log().size(), 16u);
}

TEST_F(GroupCommitTest, DuplicatesAloneWaitForTheCommitThatTheyAreOf) {
  world.start();
  world.store->hold_commits();
  world.send(increment("same"));
  std::vector<Answer> again;
  again.reserve(20);
  for (int i = 0; i < 20; ++i) again.push_back(world.send(increment("same")));
  EXPECT_EQ(answered(again), 0u);
  end_commit(CommitFault::kNotCommitted);
  for (const Answer& answer : again) EXPECT_EQ((*answer)->code, RejectionCode::kUnavailable);
}

TEST_F(GroupCommitTest, AConditionIsHeldAgainstTheVersionThatCommits) {
  world.start();
  world.store->hold_commits();
  world.send(increment("first"));
  std::vector<Answer> filler = send_many("rest-", 15);
  Proposal late = proposal_of("late", "count", 7);
  late.expected_version = 1;
  const Answer answer = world.send(late);
  world.store->release_commits();
  world.settle();
  EXPECT_EQ((*answer)->code, RejectionCode::kVersionConflict);
  ASSERT_NE((*answer)->current, nullptr);
  EXPECT_EQ((*answer)->current->version, 16);
}

TEST_F(GroupCommitTest, AfterAReloadNothingIsDecidedByTheOldPolicy) {
  world.start();
  world.store->hold_commits();
  world.send(increment("first"));
  const std::vector<Answer> before = send_many("before-");
  WorldConfig config;
  config.policy.allowed_keys = {"other"};
  ASSERT_TRUE(world.reload(config).ok());
  const std::vector<Answer> after = send_many("after-");
  world.store->release_commits();
  world.settle();
  for (const Answer& answer : before) EXPECT_TRUE((*answer)->accepted);
  for (const Answer& answer : after) EXPECT_EQ((*answer)->code, RejectionCode::kKeyNotAllowed);
}

TEST_F(GroupCommitTest, ADeadlineThatPassesDuringACommitExpiresTheValueThatCommits) {
  world.start();
  world.store->hold_commits();
  Proposal brief = proposal_of("brief", "count", 5);
  brief.ttl = std::chrono::milliseconds{100};
  world.send(brief);
  world.clock.advance(std::chrono::milliseconds{200});
  const std::vector<Answer> rest = send_many("rest-", 16);
  world.store->release_commits();
  world.settle();
  EXPECT_EQ(world.read("count")->value, json::Value(16)) << "counted from nothing";
  const std::vector<LogEntry> log = world.log();
  ASSERT_EQ(log.size(), 18u);
  EXPECT_EQ(log[1].proposal.op, Op::kExpire);
  EXPECT_EQ(log[1].proposal.causation_id, "brief");
}

TEST_F(GroupCommitTest, ARuleRemembersWhatTheCommitUnderWayMadeItRemember) {
  WorldConfig config;
  config.rules = R"([{"id": "once", "cooldown": "1h", "when": true,
    "actions": [{"type": "publishEgress", "payload": {"type": "counted"}}]}])";
  world.use(config);
  world.start();
  world.store->hold_commits();
  world.send(increment("first"));
  const std::vector<Answer> rest = send_many("rest-");
  world.store->release_commits();
  world.settle();
  std::size_t effects = 0;
  for (const Answer& answer : rest) effects += (*answer)->effects.size();
  EXPECT_EQ(effects, 0u) << "the rule cools down since the first";
  EXPECT_EQ(world.outbox().size(), 1u);
  world.restart();
  EXPECT_EQ(world.propose(increment("later")).effects.size(), 0u) << "nor has the store forgotten";
}

TEST_F(GroupCommitTest, NeverMoreThanOneCommitHoldsIsDecidedAhead) {
  const int count = static_cast<int>(limits::kCommitBatchMax) + 40;
  const auto [first, rest] = start_and_send(count);
  world.store->release_commits();
  world.settle();
  EXPECT_EQ(answered(rest), rest.size());
  EXPECT_EQ(world.store->commits(), 3);
  EXPECT_EQ(world.read("count")->version, count + 1);
}

}  // namespace
}  // namespace state_engine
