// Rules, effects and the outbox as part of the engine; transactions; faults of the store.

#include <set>

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
using testing::proposal_of;
using testing::WorldConfig;

WorldConfig with_rules(std::string rules) {
  WorldConfig config;
  config.rules = std::move(rules);
  return config;
}

// Publishes the new value of "k"; then derives a count.
constexpr const char* kPublishAndCount = R"([
  {"id":"publish","when":{"==":[{"var":"key"},"k"]},
   "actions":[{"type":"publishEgress","payload":{"type":"t","v":{"$logic":{"var":"value"}}}}]},
  {"id":"count","when":{"==":[{"var":"key"},"k"]},
   "actions":[{"type":"proposeMutation","key":"count","op":"increment","value":1}]}])";

std::vector<std::string> keys_of(const std::vector<LogEntry>& log) {
  std::vector<std::string> keys;
  keys.reserve(log.size());
  for (const LogEntry& entry : log) keys.push_back(entry.proposal.key);
  return keys;
}

constexpr milliseconds kMarkWithin{20};  // as outbox.cc has it

// ---- Rules -----------------------------------------------------------------------------------

TEST(EngineRulesTest, EffectsAndDerivedMutationsCommitWithTheirCause) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  const MutationResult result = world.propose(proposal_of("m", "k", 7));
  EXPECT_EQ(world.store->commits(), 1);
  ASSERT_EQ(result.derived.size(), 1u);
  EXPECT_EQ(result.derived[0].mutation_id, derived_mutation_id("m", "count", 0));
  const auto log = world.log();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[1].proposal.actor, "rule:count");
  EXPECT_EQ(log[1].proposal.causation_id, "m");
  EXPECT_EQ(log[0].rules.size(), 2u);
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_EQ(world.sink.delivered[0].id, effect_id("m", "publish", 0));
  EXPECT_EQ(world.sink.delivered[0].cause_seq, 1);
  EXPECT_EQ(world.sink.delivered[0].payload, R"({"type":"t","v":7})");
  world.advance(kMarkWithin);
  EXPECT_EQ(world.outbox()[0].state, EffectState::kSent);
}

TEST(EngineRulesTest, ARepetitionDoesNotFireAgain) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.propose(proposal_of("m", "k", 7));
  world.propose(proposal_of("m", "k", 7));
  EXPECT_EQ(world.sink.attempts.size(), 1u);
  EXPECT_EQ(world.read("count")->value, 1);
}

TEST(EngineRulesTest, DerivedMutationsGoBreadthFirstInFileOrder) {
  EngineWorld world(with_rules(R"([
    {"id":"a","when":{"==":[{"var":"key"},"root"]},"actions":[
      {"type":"proposeMutation","key":"a1","value":1},
      {"type":"proposeMutation","key":"a2","value":1}]},
    {"id":"b","when":{"==":[{"var":"key"},"root"]},"actions":[
      {"type":"proposeMutation","key":"b1","value":1}]},
    {"id":"c","when":{"==":[{"var":"key"},"a1"]},"actions":[
      {"type":"proposeMutation","key":"c1","value":1}]}])"));
  world.start();
  world.set("root", 1);
  EXPECT_THAT(keys_of(world.log()), ElementsAre("root", "a1", "a2", "b1", "c1"));
}

TEST(EngineRulesTest, ADerivedMutationThatPolicyRefusesIsLoggedAndItsCauseCommits) {
  WorldConfig config = with_rules(kPublishAndCount);
  config.policy.allowed_keys = {"k"};
  EngineWorld world(config);
  world.start();
  const MutationResult result = world.set("k", 1);
  EXPECT_TRUE(result.accepted);
  ASSERT_EQ(result.derived.size(), 1u);
  EXPECT_EQ(result.derived[0].code, RejectionCode::kKeyNotAllowed);
  EXPECT_EQ(world.log().size(), 2u);
  EXPECT_EQ(world.sink.delivered.size(), 1u);
}

// A chain that static analysis cannot see: key "n<i>" derives "n<i+1>".
std::string chain_rule(int until) {
  return fmt::format(R"([{{"id":"next","when":{{"<":[{{"var":"value"}},{}]}},"actions":[
    {{"type":"proposeMutation","key":{{"$logic":{{"cat":["n",{{"var":"value"}}]}}}},
      "value":{{"$logic":{{"+":[{{"var":"value"}},1]}}}}}}]}}])",
                     until);
}

TEST(EngineRulesTest, ACascadeOfTheAllowedDepthCommits) {
  EngineWorld world(with_rules(chain_rule(limits::kRuleDepthMax)));
  world.start();
  EXPECT_TRUE(world.set("root", 0).accepted);
  EXPECT_EQ(world.log().size(), 1u + limits::kRuleDepthMax);
}

TEST(EngineRulesTest, OverTheBudgetTheRootIsRejectedAndNothingElseOfItCommits) {
  EngineWorld world(with_rules(chain_rule(limits::kRuleDepthMax + 1)));
  world.start();
  const MutationResult result = world.propose(proposal_of("m", "root", 0));
  EXPECT_EQ(result.code, RejectionCode::kRuleBudgetExceeded);
  ASSERT_EQ(world.log().size(), 1u);
  EXPECT_FALSE(world.log()[0].accepted);
  EXPECT_EQ(world.read("root"), nullptr);
  EXPECT_EQ(world.read("n0"), nullptr);
  EXPECT_TRUE(world.sink.attempts.empty());
  EXPECT_TRUE(world.propose(proposal_of("m", "root", 0)).duplicate) << "and that is final";
}

TEST(EngineRulesTest, AnExpiryHappensEvenIfItsRulesRunAway) {
  EngineWorld world(with_rules(R"([{"id":"next","when":{"==":[{"var":"op"},"expire"]},"actions":[
      {"type":"proposeMutation","key":"x0","value":0}]},
    {"id":"more","when":{"and":[{"!=":[{"var":"key"},"k"]},{"<":[{"var":"value"},99]}]},"actions":[
      {"type":"proposeMutation","key":{"$logic":{"cat":["y",{"var":"value"}]}},
       "value":{"$logic":{"+":[{"var":"value"},1]}}}]}])"));
  world.start();
  Proposal proposal = proposal_of("m", "k", 500);
  proposal.ttl = milliseconds{100};
  ASSERT_TRUE(world.propose(proposal).accepted);
  world.advance(milliseconds{300});
  const LogEntry last = world.log().back();
  EXPECT_EQ(last.proposal.op, Op::kExpire);
  ASSERT_EQ(last.rules.size(), 1u);
  EXPECT_THAT(last.rules[0].error, HasSubstr("at most"));
  EXPECT_EQ(world.read("x0"), nullptr);
}

TEST(EngineRulesTest, ExpiriesThatACascadeMeetsCountInItsBudget) {
  // Each expiry writes the next key, which is due as well.
  EngineWorld world(with_rules(R"([{"id":"chain","when":{"==":[{"var":"op"},"expire"]},"actions":[
    {"type":"proposeMutation","value":0,
     "key":{"$logic":{"cat":["k",{"+":[{"var":"prev"},1]}]}}}]}])"));
  world.start();
  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; ++i) {
    Proposal proposal = proposal_of(fmt::format("m{}", i), fmt::format("k{}", i), i);
    proposal.ttl = milliseconds{1000};
    world.propose(proposal);
  }
  world.clock.advance(milliseconds{1500});
  const MutationResult result = world.propose(proposal_of("w", "k0", 1));
  EXPECT_TRUE(result.accepted) << "the cascade was the expiry's, not the write's";
  world.advance(milliseconds{2000});
  std::set<std::string> expired;
  for (const LogEntry& entry : world.log()) {
    if (entry.proposal.op == Op::kExpire) expired.insert(entry.proposal.key);
  }
  EXPECT_EQ(expired.size(), static_cast<std::size_t>(kKeys));
}

TEST(EngineRulesTest, RiseAndFallRememberTheirTruthOverARestart) {
  EngineWorld world(with_rules(R"([
    {"id":"up","on":"rise","when":{"and":[{"==":[{"var":"key"},"k"]},{">":[{"var":"value"},10]}]},
     "actions":[{"type":"publishEgress","payload":{"type":"up"}}]},
    {"id":"down","on":"fall","when":{"and":[{"==":[{"var":"key"},"k"]},{">":[{"var":"value"},10]}]},
     "actions":[{"type":"publishEgress","payload":{"type":"down"}}]}])"));
  world.start();
  std::vector<std::string> seen;
  for (const int value : {5, 20, 30, 5, 20}) {
    world.set("k", value);
    world.restart();
  }
  seen.reserve(world.sink.delivered.size());
  for (const Effect& effect : world.sink.delivered) seen.push_back(effect.type);
  EXPECT_THAT(seen, ElementsAre("up", "down", "up"));
}

// ---- Outbox (I9) -----------------------------------------------------------------------------

TEST(EngineOutboxTest, KeepsOrderAndTriesAgainUntilDelivered) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  int refusals = 5;
  world.sink.answers = [&](const Effect&) {
    return refusals-- > 0 ? Delivery::kRetry : Delivery::kDelivered;
  };
  for (int i = 0; i < 3; ++i) world.set("k", i);
  EXPECT_TRUE(world.sink.delivered.empty());
  world.advance(milliseconds{20'000});
  ASSERT_EQ(world.sink.delivered.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(world.sink.delivered[i].payload, fmt::format(R"({{"type":"t","v":{}}})", i));
  }
}

TEST(EngineOutboxTest, WithoutASubscriberTheRowSaysSo) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.sink.answers = [](const Effect&) { return Delivery::kNoSubscriber; };
  world.set("k", 1);
  world.advance(kMarkWithin);
  EXPECT_EQ(world.outbox()[0].state, EffectState::kNoSubscriber);
}

TEST(EngineOutboxTest, WhatIsDeliveredWithinAMomentIsMarkedByOneWrite) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  int marks = 0;
  world.store->read_fault = [&](testing::FaultyStore::Read what) {
    marks += what == testing::FaultyStore::Read::kMark ? 1 : 0;
    return false;
  };
  // None waits for the mark of those before.
  for (std::size_t i = 1; i <= 10; ++i) {
    world.set("k", 1);
    ASSERT_EQ(world.sink.delivered.size(), i);
  }
  EXPECT_EQ(marks, 0);
  world.advance(kMarkWithin);
  EXPECT_EQ(marks, 1);
  for (const OutboxRow& row : world.outbox()) EXPECT_EQ(row.state, EffectState::kSent);
}

TEST(EngineOutboxTest, WhatWasDeliveredIsMarkedWhileTheSinkIsAway) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.set("k", 1);
  world.sink.answers = [](const Effect&) { return Delivery::kRetry; };
  world.set("k", 2);
  world.advance(milliseconds{100});
  EXPECT_EQ(world.outbox()[0].state, EffectState::kSent);
  EXPECT_EQ(world.outbox()[1].state, EffectState::kPending);
}

TEST(EngineOutboxTest, AStoreThatCannotMarkDoesNotHoldUpDeliveries) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.store->read_fault = [](testing::FaultyStore::Read what) {
    return what == testing::FaultyStore::Read::kMark;
  };
  world.set("k", 1);
  world.sink.answers = [](const Effect&) { return Delivery::kRetry; };
  world.set("k", 2);
  world.advance(milliseconds{100});  // a mark was tried, and the sink
  world.sink.answers = nullptr;
  world.advance(milliseconds{20'000});
  EXPECT_EQ(world.sink.delivered.size(), 2u);
}

TEST(EngineOutboxTest, AStopMarksWhatWasDelivered) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.set("k", 1);
  EXPECT_EQ(world.outbox()[0].state, EffectState::kPending);
  world.stop();
  EXPECT_EQ(world.outbox()[0].state, EffectState::kSent);
}

TEST(EngineOutboxTest, ARestartDeliversTheSameIdAndBytes) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.sink.answers = [](const Effect&) { return Delivery::kRetry; };
  world.set("k", "ä\n");
  world.crash();
  world.sink.answers = nullptr;
  world.start();
  world.advance(milliseconds{100});
  ASSERT_EQ(world.sink.delivered.size(), 1u);
  EXPECT_EQ(world.sink.delivered[0].id, world.sink.attempts[0].id);
  EXPECT_EQ(world.sink.delivered[0].payload, world.sink.attempts[0].payload);
}

TEST(EngineOutboxTest, AMarkThatFailsMeansASecondDeliveryAndNeverNone) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.store->read_fault = [](testing::FaultyStore::Read what) {
    return what == testing::FaultyStore::Read::kMark;
  };
  world.set("k", 1);
  world.advance(milliseconds{200});
  world.crash();
  world.store->read_fault = nullptr;
  world.start();
  world.advance(milliseconds{200});
  EXPECT_EQ(world.sink.delivered.size(), 2u);
  EXPECT_EQ(world.outbox()[0].state, EffectState::kSent);
}

TEST(EngineOutboxTest, MoreThanMemoryHoldsWaitsInTheStoreInOrder) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  bool down = true;
  world.sink.answers = [&](const Effect&) {
    return down ? Delivery::kRetry : Delivery::kDelivered;
  };
  const int count = static_cast<int>(limits::kOutboxRowsInMemoryMax) + 300;
  for (int i = 0; i < count; ++i) world.set("k", i);
  down = false;
  world.advance(milliseconds{10'000});
  ASSERT_EQ(world.sink.delivered.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(world.sink.delivered[static_cast<std::size_t>(i)].payload,
              fmt::format(R"({{"type":"t","v":{}}})", i));
  }
  EXPECT_TRUE((*world.run(world.memory.pending_effects(0, 10)))->empty());
}

// Those who are offered together are taken one by one: one that is refused in the middle, and all
// behind it, come again in order.
TEST(EngineOutboxTest, ARefusalInTheMiddleOfAGroupKeepsTheOrder) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  int offered = 0;
  world.sink.answers = [&](const Effect&) {
    return ++offered == 1 || offered == 12 ? Delivery::kRetry : Delivery::kDelivered;
  };
  for (int i = 0; i < 40; ++i) world.set("k", i);
  world.advance(milliseconds{1000});
  ASSERT_EQ(world.sink.delivered.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(world.sink.delivered[i].payload, fmt::format(R"({{"type":"t","v":{}}})", i));
  }
}

// ---- Transactions ----------------------------------------------------------------------------

TransactionProposal transaction_of(std::string id, std::vector<Proposal> members) {
  return {std::move(id), std::move(members)};
}

TEST(EngineTransactionTest, MembersSeeEarlierOnesAndCommitTogether) {
  EngineWorld world;
  world.start();
  Proposal second = proposal_of("", "k", 2);
  second.op = Op::kIncrement;
  second.expected_version = 1;
  const auto result = world.transact(transaction_of("t", {proposal_of("", "k", 40), second}));
  EXPECT_TRUE(result.accepted);
  ASSERT_EQ(result.members.size(), 2u);
  EXPECT_EQ(result.members[1].mutation_id, "t:1");
  EXPECT_EQ(result.members[1].version, 2);
  EXPECT_EQ(world.read("k")->value, 42);
  EXPECT_EQ(world.store->commits(), 1);
  EXPECT_EQ(world.log()[0].transaction_id, "t");
}

TEST(EngineTransactionTest, OneRejectionAbortsAllAndSaysWhich) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.set("b", 1);
  Proposal stale = proposal_of("", "b");
  stale.expected_version = 9;
  const auto result =
      world.transact(transaction_of("t", {proposal_of("", "k"), stale, proposal_of("", "c")}));
  EXPECT_FALSE(result.accepted);
  EXPECT_EQ(result.failed_index, 1);
  EXPECT_EQ(result.code, RejectionCode::kVersionConflict);
  EXPECT_EQ(result.members[0].code, RejectionCode::kTransactionAborted);
  EXPECT_EQ(result.members[1].current->version, 1);
  EXPECT_EQ(result.members[2].code, RejectionCode::kTransactionAborted);
  EXPECT_EQ(world.read("k"), nullptr);
  EXPECT_EQ(world.read("count"), nullptr);
  EXPECT_TRUE(world.sink.attempts.empty());
  EXPECT_EQ(world.log().size(), 4u);
}

TEST(EngineTransactionTest, ARepetitionGetsTheSameAnswerAlsoAfterARestart) {
  EngineWorld world;
  world.start();
  const auto same = transaction_of("t", {proposal_of("", "a"), proposal_of("", "b")});
  const auto first = world.transact(same);
  world.restart();
  const auto again = world.transact(same);
  EXPECT_TRUE(again.duplicate && again.accepted);
  EXPECT_EQ(again.members[1].seq, first.members[1].seq);
  auto other = same;
  other.members[1].value = 2;
  EXPECT_EQ(world.transact(other).code, RejectionCode::kIdReused);
  EXPECT_EQ(world.transact(transaction_of("t", {same.members[0]})).code, RejectionCode::kIdReused);
  EXPECT_EQ(world.propose(proposal_of("t:0", "a")).code, RejectionCode::kIdReused);
  EXPECT_EQ(world.log().size(), 2u);
}

TEST(EngineTransactionTest, RefusesNoMembersTooManyAndTooLongIds) {
  EngineWorld world;
  world.start();
  EXPECT_EQ(world.transact(transaction_of("t", {})).code, RejectionCode::kInvalidProposal);
  const std::vector<Proposal> many(limits::kTransactionMembersMax + 1, proposal_of("", "k"));
  EXPECT_EQ(world.transact(transaction_of("t", many)).code, RejectionCode::kInvalidProposal);
  const std::string longest(limits::kTransactionIdCharsMax, 'x');
  EXPECT_EQ(world.transact(transaction_of(longest + "x", {proposal_of("", "k")})).code,
            RejectionCode::kInvalidProposal);
  EXPECT_TRUE(world.transact(transaction_of(longest, {proposal_of("", "k")})).accepted);
  EXPECT_EQ(world.log().size(), 1u);
}

TEST(EngineTransactionTest, ADryRunLeavesNoTrace) {
  EngineWorld world(with_rules(kPublishAndCount));
  world.start();
  world.set("x", 1);
  const std::string before = world.store_dump();
  const auto dry = world.transact(transaction_of("t", {proposal_of("", "k"), proposal_of("", "x")}),
                                  {true, false});
  EXPECT_TRUE(dry.accepted && dry.dry_run);
  EXPECT_EQ(dry.members[1].version, 2);
  EXPECT_FALSE(dry.members[1].seq);
  EXPECT_EQ(dry.derived.size(), 1u);
  EXPECT_EQ(dry.effects.size(), 1u);
  EXPECT_EQ(world.store_dump(), before);
}

TEST(EngineTransactionTest, ARateLimitedTransactionKeepsItsTokensForTheNextAttempt) {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"k"};
  config.policy.rules[0].rate = RateLimit{1, 3};
  EngineWorld world(config);
  world.start();
  const auto three =
      transaction_of("t", {proposal_of("", "k"), proposal_of("", "k"), proposal_of("", "k")});
  world.set("k", 1);
  const auto limited = world.transact(three);
  EXPECT_EQ(limited.code, RejectionCode::kRateLimited);
  ASSERT_TRUE(limited.retry_after);
  EXPECT_EQ(world.log().size(), 1u);
  world.advance(*limited.retry_after + milliseconds{1});
  EXPECT_TRUE(world.transact(three).accepted);
}

// ---- Faults of the store ---------------------------------------------------------------------

class EngineFaultTest : public ::testing::Test {
 protected:
  void SetUp() override { world.start(); }
  void next_commit(CommitFault fault) {
    world.store->commit_fault = [this, fault](const CommitBatch&) {
      world.store->commit_fault = nullptr;
      return fault;
    };
  }
  EngineWorld world{with_rules(kPublishAndCount)};
};

TEST_F(EngineFaultTest, ACommitThatFailedChangesNothingAndTheNextWorks) {
  next_commit(CommitFault::kNotCommitted);
  const MutationResult result = world.propose(proposal_of("m", "k"));
  EXPECT_EQ(result.code, RejectionCode::kUnavailable);
  EXPECT_TRUE(result.retry_after);
  EXPECT_EQ(world.read("k"), nullptr);
  EXPECT_TRUE(world.changes.empty());
  EXPECT_TRUE(world.sink.attempts.empty());
  const MutationResult again = world.propose(proposal_of("m", "k"));
  EXPECT_TRUE(again.accepted && !again.duplicate);
  EXPECT_EQ(again.seq, 1);
}

TEST_F(EngineFaultTest, AnUnknownOutcomeIsResolvedByLookingTheIdUp) {
  next_commit(CommitFault::kUnknownApplied);
  const MutationResult there = world.propose(proposal_of("m1", "k"));
  EXPECT_TRUE(there.accepted && !there.duplicate);
  EXPECT_EQ(world.sink.delivered.size(), 1u);
  next_commit(CommitFault::kUnknownNotApplied);
  EXPECT_EQ(world.propose(proposal_of("m2", "k")).code, RejectionCode::kUnavailable);
  EXPECT_EQ(world.read("k")->version, 1);
  EXPECT_TRUE(world.propose(proposal_of("m2", "k")).accepted);
  EXPECT_TRUE(world.fatal.empty());
}

TEST_F(EngineFaultTest, AFatalFaultAnswersNobodyAndTheNextStartKnowsTheTruth) {
  for (const CommitFault fault : {CommitFault::kFatalApplied, CommitFault::kFatalNotApplied}) {
    const std::string id = fault == CommitFault::kFatalApplied ? "applied" : "lost";
    next_commit(fault);
    const auto answer = world.send(proposal_of(id, "k"));
    EXPECT_FALSE(answer->has_value());
    EXPECT_EQ(world.fatal.size(), 1u);
    EXPECT_EQ(world.propose(proposal_of("later", "k")).code, RejectionCode::kUnavailable);
    world.crash();
    world.start();
    EXPECT_EQ(world.propose(proposal_of(id, "k")).duplicate, fault == CommitFault::kFatalApplied);
  }
}

TEST_F(EngineFaultTest, AnUnknownOutcomeThatCannotBeLookedUpIsFatal) {
  next_commit(CommitFault::kUnknownApplied);
  int lookups = 0;
  world.store->read_fault = [&](testing::FaultyStore::Read what) {
    return what == testing::FaultyStore::Read::kLookup && ++lookups > 1;
  };
  const auto answer = world.send(proposal_of("m", "k"));
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(world.fatal.size(), 1u);
}

TEST_F(EngineFaultTest, NothingIsVisibleBeforeTheCommit) {
  world.store->hold_commits();
  const auto answer = world.send(proposal_of("m", "k"));
  world.settle();
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(world.read("k"), nullptr);
  EXPECT_TRUE(world.changes.empty());
  EXPECT_TRUE(world.sink.attempts.empty());
  world.store->release_commits();
  world.settle();
  EXPECT_TRUE(answer->has_value());
  EXPECT_NE(world.read("k"), nullptr);
}

TEST_F(EngineFaultTest, AFullQueueRefusesAndStopDrainsTheRest) {
  world.store->hold_commits();
  std::vector<std::shared_ptr<std::optional<MutationResult>>> answers;
  // One commits, so many are decided on top of it, so many wait; one is too many.
  const std::size_t count = 1 + limits::kCommitBatchMax + limits::kEngineQueueMax + 1;
  for (std::size_t i = 0; i < count; ++i) {
    answers.push_back(world.send(proposal_of(fmt::format("m{}", i), "x")));
  }
  ASSERT_TRUE(answers.back()->has_value());
  EXPECT_EQ((*answers.back())->code, RejectionCode::kUnavailable);
  world.store->release_commits();
  world.stop();
  std::size_t accepted = 0;
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer->has_value());
    accepted += (*answer)->accepted ? 1 : 0;
  }
  EXPECT_EQ(accepted, count - 1);
  EXPECT_EQ(world.log().size(), accepted);
}

TEST_F(EngineFaultTest, AStoreThatCannotBeReadDoesNotStart) {
  world.stop();
  world.store->read_fault = [](testing::FaultyStore::Read what) {
    return what == testing::FaultyStore::Read::kScan;
  };
  EXPECT_FALSE(world.try_start().ok());
  world.store->read_fault = nullptr;
  EXPECT_TRUE(world.try_start().ok());
}

// ---- Explanations ----------------------------------------------------------------------------

TEST_F(EngineFaultTest, ExplainTellsCausesConsequencesAndRefusals) {
  world.propose(proposal_of("m", "k", 7));
  Proposal refused = proposal_of("r", "count");
  refused.expected_version = 9;
  world.propose(refused);
  const auto by_id = *world.run(world.engine().explain_mutation("m"));
  ASSERT_TRUE(by_id.ok());
  EXPECT_EQ(by_id->subject.effects.size(), 1u);
  ASSERT_EQ(by_id->consequences.size(), 1u);
  EXPECT_EQ(by_id->consequences[0].entry.proposal.key, "count");
  const auto by_key = *world.run(world.engine().explain_key("count"));
  ASSERT_TRUE(by_key.ok());
  ASSERT_EQ(by_key->causes.size(), 1u);
  EXPECT_EQ(by_key->causes[0].entry.proposal.id, "m");
  ASSERT_EQ(by_key->rejected_since.size(), 1u);
  EXPECT_EQ(by_key->current->value, 1);
  EXPECT_FALSE(world.run(world.engine().explain_key("never"))->ok());
  EXPECT_FALSE(world.run(world.engine().explain_mutation("never"))->ok());
}

TEST_F(EngineFaultTest, ExplainSurvivesACircleOfClaimedCauses) {
  Proposal own = proposal_of("self", "x");
  own.causation_id = "self";
  world.propose(own);
  const auto explanation = *world.run(world.engine().explain_mutation("self"));
  ASSERT_TRUE(explanation.ok());
  EXPECT_TRUE(explanation->causes.empty());
  EXPECT_TRUE(explanation->consequences.empty());
}

}  // namespace
}  // namespace state_engine
