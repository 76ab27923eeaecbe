// The engine as its callers see it: answers, versions, repetition, ttl, dry runs, policy, limits.

#include "engine/engine.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "core/chain.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::proposal_of;
using testing::WorldConfig;
using testing::operator""_json;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override { world.start(); }

  std::int64_t version_of(const std::string& key) {
    const SnapshotPtr snapshot = world.read(key);
    return snapshot ? snapshot->version : 0;
  }

  EngineWorld world;
};

Proposal remove(std::string id, std::string key) {
  Proposal out = proposal_of(std::move(id), std::move(key));
  out.op = Op::kDelete;
  out.value.reset();
  return out;
}

Proposal expecting(std::int64_t version, Proposal proposal) {
  proposal.expected_version = version;
  return proposal;
}

Proposal living(milliseconds ttl, Proposal proposal) {
  proposal.ttl = ttl;
  return proposal;
}

// ---- Answers and versions --------------------------------------------------------------------

TEST_F(EngineTest, AnAcceptedProposalIsReadableAndLogged) {
  const MutationResult result = world.propose(proposal_of("m1", "k", "on"));
  EXPECT_TRUE(result.accepted);
  EXPECT_EQ(result.version, 1);
  EXPECT_EQ(result.previous_version, 0);
  EXPECT_EQ(result.seq, 1);
  EXPECT_TRUE(result.unconditional);
  EXPECT_FALSE(result.duplicate);
  EXPECT_EQ(world.read("k")->value, "on");
  ASSERT_EQ(world.log().size(), 1u);
  EXPECT_EQ(world.log()[0].principal, "test");
  ASSERT_EQ(world.changes.size(), 1u);
  EXPECT_TRUE(world.changes[0].prev.is_null());
}

TEST_F(EngineTest, VersionsAreDensePerKeyAndSeqIsDenseOverAll) {
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(world.set("a", i).version, i);
    EXPECT_EQ(world.set("b", i).version, i);
    EXPECT_EQ(world.propose(expecting(99, proposal_of(fmt::format("x{}", i), "a"))).code,
              RejectionCode::kVersionConflict);
  }
  std::int64_t seq = 0;
  for (const LogEntry& entry : world.log()) EXPECT_EQ(entry.seq, ++seq);
  EXPECT_EQ(seq, 15);
}

TEST_F(EngineTest, AConflictCarriesTheWholeCurrentSnapshot) {
  world.set("k", "first");
  world.set("k", "second");
  const MutationResult result = world.propose(expecting(1, proposal_of("m", "k")));
  EXPECT_EQ(result.code, RejectionCode::kVersionConflict);
  EXPECT_EQ(result.error, "Version mismatch: expected 1, found 2");
  ASSERT_NE(result.current, nullptr);
  EXPECT_EQ(result.current->version, 2);
  EXPECT_EQ(result.current->value, "second");
  EXPECT_FALSE(result.unconditional);
}

TEST_F(EngineTest, ExpectedVersionZeroMeansAbsent) {
  EXPECT_TRUE(world.propose(expecting(0, proposal_of("m1", "k"))).accepted);
  EXPECT_FALSE(world.propose(expecting(0, proposal_of("m2", "k"))).accepted);
  EXPECT_TRUE(world.propose(expecting(1, proposal_of("m3", "k"))).accepted);
  EXPECT_EQ(world.propose(expecting(5, proposal_of("m4", "never"))).current, nullptr);
}

TEST_F(EngineTest, ATombstoneMatchesZeroAndItsOwnVersionAndTheVersionGoesOn) {
  world.set("k", 1);
  EXPECT_EQ(world.propose(remove("d", "k")).version, 2);
  EXPECT_EQ(world.read("k"), nullptr);
  const MutationResult stale = world.propose(expecting(1, proposal_of("m1", "k")));
  EXPECT_EQ(stale.code, RejectionCode::kVersionConflict);
  EXPECT_EQ(stale.current, nullptr);
  EXPECT_EQ(world.propose(expecting(0, proposal_of("m2", "k"))).version, 3);
  EXPECT_EQ(world.propose(remove("d2", "k")).version, 4);
  EXPECT_EQ(world.propose(expecting(4, proposal_of("m3", "k"))).version, 5);
}

TEST_F(EngineTest, DeletingTwiceIsNotFound) {
  world.set("k", 1);
  world.propose(remove("d1", "k"));
  EXPECT_EQ(world.propose(remove("d2", "k")).code, RejectionCode::kNotFound);
}

TEST_F(EngineTest, IncrementOfADeletedKeyStartsAtZero) {
  world.set("k", 40);
  world.propose(remove("d", "k"));
  Proposal add = proposal_of("m", "k", 2);
  add.op = Op::kIncrement;
  EXPECT_TRUE(world.propose(add).accepted);
  EXPECT_EQ(world.read("k")->value, 2);
}

// ---- Repetition (I3) -------------------------------------------------------------------------

TEST_F(EngineTest, TheSameIdAndPayloadGetTheSameAnswer) {
  const MutationResult first = world.propose(proposal_of("m", "k", 1));
  world.set("k", 2);
  Proposal again = proposal_of("m", "k", 1);
  again.reason = "said differently";
  const MutationResult second = world.propose(again);
  EXPECT_TRUE(second.duplicate);
  EXPECT_TRUE(second.accepted);
  EXPECT_EQ(second.version, first.version);
  EXPECT_EQ(second.seq, first.seq);
  EXPECT_EQ(second.committed_at, first.committed_at);
  EXPECT_EQ(world.read("k")->value, 2);
}

TEST_F(EngineTest, TheSameIdWithAnotherPayloadIsRefusedAndNotLogged) {
  world.propose(proposal_of("m", "k", 1));
  const std::string before = world.store_dump();
  EXPECT_EQ(world.propose(proposal_of("m", "k", 2)).code, RejectionCode::kIdReused);
  EXPECT_EQ(world.propose(proposal_of("m", "other", 1)).code, RejectionCode::kIdReused);
  EXPECT_EQ(world.store_dump(), before);
}

TEST_F(EngineTest, ARejectionIsTerminalToo) {
  EXPECT_FALSE(world.propose(expecting(1, proposal_of("m", "k"))).accepted);
  world.set("k", 1);
  const MutationResult again = world.propose(expecting(1, proposal_of("m", "k")));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.code, RejectionCode::kVersionConflict);
  EXPECT_EQ(world.read("k")->version, 1);
}

TEST_F(EngineTest, RepetitionInsideOneBatchWaitsForTheFirst) {
  world.store->hold_commits();
  const auto blocker = world.send(proposal_of("b", "x"));  // keeps the writer busy
  const auto first = world.send(proposal_of("m", "k", 1));
  const auto same = world.send(proposal_of("m", "k", 1));
  const auto other = world.send(proposal_of("m", "k", 2));
  EXPECT_FALSE(first->has_value());
  world.store->release_commits();
  world.settle();
  ASSERT_TRUE(first->has_value() && same->has_value() && other->has_value());
  EXPECT_TRUE((*first)->accepted);
  EXPECT_TRUE((*same)->duplicate);
  EXPECT_EQ((*same)->seq, (*first)->seq);
  EXPECT_EQ((*other)->code, RejectionCode::kIdReused);
  EXPECT_EQ(world.store->commits(), 2);
}

TEST_F(EngineTest, RepetitionIsKnownAfterARestart) {
  world.propose(proposal_of("m", "k", 1));
  world.propose(expecting(7, proposal_of("r", "k", 1)));
  world.restart();
  EXPECT_TRUE(world.propose(proposal_of("m", "k", 1)).duplicate);
  EXPECT_EQ(world.propose(proposal_of("m", "k", 2)).code, RejectionCode::kIdReused);
  const MutationResult rejected = world.propose(expecting(7, proposal_of("r", "k", 1)));
  EXPECT_TRUE(rejected.duplicate);
  EXPECT_EQ(rejected.code, RejectionCode::kVersionConflict);
}

TEST_F(EngineTest, ReservedIdsAndActorsAreRefused) {
  EXPECT_EQ(world.propose(proposal_of("expire-" + std::string(32, 'a'), "k")).code,
            RejectionCode::kInvalidProposal);
  EXPECT_EQ(world.propose(proposal_of("rule-" + std::string(32, '0'), "k")).code,
            RejectionCode::kInvalidProposal);
  EXPECT_TRUE(world.log().empty());
  for (const char* actor : {"state-engine", "rule:x"}) {
    Proposal proposal = proposal_of(std::string("m-") + actor, "k");
    proposal.actor = actor;
    EXPECT_EQ(world.propose(proposal).code, RejectionCode::kActorNotAllowed);
  }
  Proposal expire = remove("e", "k");
  expire.op = Op::kExpire;
  EXPECT_EQ(world.propose(expire).code, RejectionCode::kInvalidProposal);
}

TEST_F(EngineTest, AnOversizedProposalCostsLittleInTheLog) {
  const std::string huge(2 * 1024 * 1024, 'x');
  Proposal proposal = proposal_of("m", huge, json::Value(huge));
  proposal.actor = proposal.reason = proposal.correlation_id = proposal.causation_id = huge;
  proposal.traceparent = huge;
  proposal.metadata["m"] = huge;
  EXPECT_EQ(world.propose(proposal).code, RejectionCode::kTooLarge);
  ASSERT_EQ(world.log().size(), 1u);
  const Proposal kept = world.log()[0].proposal;
  EXPECT_LE(kept.key.size() + kept.actor.size() + kept.reason.size() + kept.correlation_id.size() +
                kept.causation_id.size() + kept.traceparent.size(),
            16'000u);
  EXPECT_FALSE(kept.value);
  EXPECT_TRUE(kept.metadata.empty());
  EXPECT_EQ(world.propose(proposal).code, RejectionCode::kTooLarge) << "and it is a repetition";
  EXPECT_EQ(world.log().size(), 1u);
}

// ---- Time to live (I12) ----------------------------------------------------------------------

TEST_F(EngineTest, AnExpiredValueIsGoneAndItsExpiryIsLoggedInTime) {
  world.propose(living(milliseconds{1000}, proposal_of("m", "k", "soon")));
  world.advance(milliseconds{999});
  EXPECT_NE(world.read("k"), nullptr);
  world.clock.advance(milliseconds{1});
  EXPECT_EQ(world.read("k"), nullptr) << "no reader waits for the writer";
  world.advance(limits::kExpiryLatenessMax);
  ASSERT_EQ(world.log().size(), 2u);
  const LogEntry expiry = world.log()[1];
  EXPECT_EQ(expiry.proposal.op, Op::kExpire);
  EXPECT_EQ(expiry.proposal.actor, "state-engine");
  EXPECT_EQ(expiry.proposal.id, expiry_id("k", 1));
  EXPECT_EQ(expiry.resulting_version, 2);
  EXPECT_EQ(world.changes.back().prev, "soon");
  EXPECT_TRUE(world.changes.back().value.is_null());
}

TEST_F(EngineTest, AnExpiryIsDueAfterARestartToo) {
  world.propose(living(milliseconds{1000}, proposal_of("m", "k")));
  world.stop();
  world.clock.advance(milliseconds{5000});
  world.start();
  EXPECT_EQ(world.read("k"), nullptr);
  world.advance(limits::kExpiryLatenessMax);
  EXPECT_EQ(world.log().back().proposal.op, Op::kExpire);
}

TEST_F(EngineTest, AWriteWithoutTtlClearsIt) {
  world.propose(living(milliseconds{1000}, proposal_of("m", "k")));
  world.set("k", 2);
  world.advance(milliseconds{5000});
  EXPECT_EQ(version_of("k"), 2);
  EXPECT_EQ(world.log().size(), 2u);
}

TEST_F(EngineTest, ALaterTtlReplacesAnEarlierOne) {
  world.propose(living(milliseconds{1000}, proposal_of("m1", "k")));
  world.propose(living(milliseconds{9000}, proposal_of("m2", "k")));
  world.advance(milliseconds{5000});
  EXPECT_EQ(version_of("k"), 2);
  world.advance(milliseconds{5000});
  EXPECT_EQ(version_of("k"), 0);
}

TEST_F(EngineTest, AWritePastTheDeadlineCommitsTheExpiryFirst) {
  world.propose(living(milliseconds{1000}, proposal_of("m1", "k", 40)));
  world.clock.advance(milliseconds{1500});  // no timer has run
  Proposal add = expecting(0, proposal_of("m2", "k", 2));
  add.op = Op::kIncrement;
  const MutationResult result = world.propose(add);
  EXPECT_TRUE(result.accepted);
  EXPECT_EQ(result.version, 3);
  EXPECT_EQ(world.read("k")->value, 2);
  ASSERT_EQ(world.log().size(), 3u);
  EXPECT_EQ(world.log()[1].proposal.op, Op::kExpire);
}

TEST_F(EngineTest, TheLongestIdCanExpire) {
  std::string id;
  for (std::size_t i = 0; i < limits::kIdCharsMax; ++i) id += "\xf0\x9f\x8e\xae";
  ASSERT_TRUE(world.propose(living(milliseconds{10}, proposal_of(id, "k"))).accepted);
  world.advance(milliseconds{200});
  EXPECT_EQ(world.log().back().proposal.op, Op::kExpire);
}

TEST_F(EngineTest, AClockSetBackNeitherRevivesNorReorders) {
  world.propose(living(milliseconds{1000}, proposal_of("m1", "k")));
  world.advance(milliseconds{1200});
  world.clock.jump_wall(-milliseconds{3'600'000});
  EXPECT_EQ(world.read("k"), nullptr);
  world.propose(living(milliseconds{1000}, proposal_of("m2", "k2")));
  world.advance(milliseconds{900});
  EXPECT_NE(world.read("k2"), nullptr) << "neither early";
  world.advance(milliseconds{200});
  EXPECT_EQ(world.read("k2"), nullptr) << "nor late";
  world.restart();
  world.set("k3", 1);
  Timestamp last{};
  for (const LogEntry& entry : world.log()) {
    EXPECT_GE(entry.committed_at, last);
    last = entry.committed_at;
  }
}

TEST_F(EngineTest, AClockSetForwardExpiresWithinASecond) {
  world.propose(living(milliseconds{60'000}, proposal_of("m", "k")));
  world.advance(milliseconds{10});
  world.clock.jump_wall(milliseconds{120'000});
  EXPECT_EQ(world.read("k"), nullptr);
  world.advance(milliseconds{1000} + limits::kExpiryLatenessMax);
  EXPECT_EQ(world.log().back().proposal.op, Op::kExpire);
}

TEST_F(EngineTest, ManyKeysExpireTogetherAndEachOnce) {
  for (int i = 0; i < 300; ++i) {
    world.propose(
        living(milliseconds{1000}, proposal_of(fmt::format("m{}", i), fmt::format("k{}", i))));
  }
  world.advance(milliseconds{1000} + limits::kExpiryLatenessMax);
  EXPECT_EQ(world.log().size(), 600u);
}

TEST_F(EngineTest, AnExpiryIsTriedAgainUntilTheStoreWorks) {
  world.propose(living(milliseconds{1000}, proposal_of("m", "k")));
  bool down = true;
  world.store->commit_fault = [&](const CommitBatch&) {
    return down ? testing::CommitFault::kNotCommitted : testing::CommitFault::kNone;
  };
  world.advance(milliseconds{3000});
  EXPECT_EQ(world.log().size(), 1u);
  down = false;
  world.advance(milliseconds{1500});
  EXPECT_EQ(world.log().size(), 2u);
}

TEST_F(EngineTest, AnExpiryIsNotLostWhenItsGroupCannotBeLookedUp) {
  world.store->hold_commits();
  const auto first = world.send(living(milliseconds{1000}, proposal_of("m", "k")));
  world.store->release_commits();
  world.settle();
  // While a commit is under way, an expiry and a proposal gather in one group.
  world.store->hold_commits();
  const auto blocker = world.send(proposal_of("b", "x"));
  const auto second = world.send(proposal_of("m2", "y"));
  world.advance(milliseconds{1100});
  world.store->read_fault = [](testing::FaultyStore::Read what) {
    return what == testing::FaultyStore::Read::kLookup;
  };
  world.store->release_commits();
  world.settle();
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ((*second)->code, RejectionCode::kUnavailable);
  world.store->read_fault = nullptr;
  world.advance(milliseconds{2000});
  EXPECT_EQ(world.log().back().proposal.op, Op::kExpire);
}

// ---- Dry runs --------------------------------------------------------------------------------

TEST_F(EngineTest, ADryRunAnswersLikeTheRealThingAndLeavesNoTrace) {
  world.use({{{"*"}, {}}, R"([{"id":"r","on":"rise","when":{"==":[{"var":"key"},"k"]},
      "actions":[{"type":"publishEgress","payload":{"type":"t"}},
                 {"type":"proposeMutation","key":"derived","value":1}]}])"});
  world.restart();
  world.propose(living(milliseconds{10}, proposal_of("old", "k2")));
  world.clock.advance(milliseconds{50});  // due, not yet committed
  const std::string before = world.store_dump();
  const auto shown = world.changes.size();
  const MutationResult dry = world.propose(proposal_of("m", "k"), {true, false});
  EXPECT_TRUE(dry.accepted && dry.dry_run);
  EXPECT_EQ(dry.version, 1);
  EXPECT_FALSE(dry.seq || dry.committed_at);
  ASSERT_EQ(dry.derived.size(), 1u);
  EXPECT_FALSE(dry.derived[0].seq);
  EXPECT_EQ(dry.effects.size(), 1u);
  EXPECT_TRUE(world.propose(proposal_of("m2", "k2"), {true, false}).accepted);
  EXPECT_EQ(world.store_dump(), before);
  EXPECT_EQ(world.changes.size(), shown);
  const MutationResult real = world.propose(proposal_of("m", "k"));
  EXPECT_FALSE(real.duplicate || real.dry_run);
  EXPECT_EQ(real.version, dry.version);
  EXPECT_EQ(world.sink.delivered.size(), 1u);
}

TEST_F(EngineTest, ADryRunOfARejectionIsMarkedAndUnlogged) {
  const MutationResult dry = world.propose(expecting(4, proposal_of("m", "k")), {true, false});
  EXPECT_TRUE(dry.dry_run);
  EXPECT_EQ(dry.code, RejectionCode::kVersionConflict);
  EXPECT_TRUE(world.log().empty());
}

TEST_F(EngineTest, ADryRunOfAKnownIdStillSaysThatItIsDry) {
  world.propose(proposal_of("m", "k"));
  const MutationResult dry = world.propose(proposal_of("m", "k"), {true, false});
  EXPECT_TRUE(dry.dry_run);
  EXPECT_TRUE(dry.duplicate);
}

// ---- Policy ----------------------------------------------------------------------------------

TEST_F(EngineTest, EveryEntryNamesThePolicyThatDecided) {
  world.set("k", 1);
  const std::string first = world.log().back().policy_revision;
  WorldConfig strict;
  strict.policy.rules.resize(1);
  strict.policy.rules[0].keys = {"k"};
  strict.policy.rules[0].writers = {{"somebody-else"}};
  ASSERT_TRUE(world.reload(strict).ok());
  EXPECT_EQ(world.set("k", 2).code, RejectionCode::kActorNotAllowed);
  const LogEntry refused = world.log().back();
  EXPECT_NE(refused.policy_revision, first);
  EXPECT_EQ(refused.policy_rule, "k");
  for (const std::string& revision : {first, refused.policy_revision}) {
    const auto source = world.run(world.memory.source("policy", revision));
    EXPECT_TRUE(source->ok()) << "an old decision can be explained";
  }
}

WorldConfig giveaway_needs_stream() {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"giveaway"};
  config.policy.rules[0].requirements = {{"stream", "on"}};
  return config;
}

TEST_F(EngineTest, AWriteNeedsWhatThePolicyRequiresOfOtherKeys) {
  ASSERT_TRUE(world.reload(giveaway_needs_stream()).ok());
  EXPECT_EQ(world.set("giveaway", "open").code, RejectionCode::kPreconditionFailed);
  world.set("stream", "off");
  const MutationResult refused = world.set("giveaway", "open");
  EXPECT_EQ(refused.code, RejectionCode::kPreconditionFailed);
  EXPECT_THAT(refused.error, HasSubstr("stream"));
  EXPECT_EQ(version_of("giveaway"), 0);
  EXPECT_EQ(world.log().back().code, RejectionCode::kPreconditionFailed);
  world.propose(living(milliseconds{1000}, proposal_of("live", "stream", "on")));
  EXPECT_TRUE(world.propose(proposal_of("dry", "giveaway"), {true, false}).accepted);
  EXPECT_TRUE(world.set("giveaway", "open").accepted);
  world.advance(milliseconds{1200});
  EXPECT_EQ(world.set("giveaway", "open").code, RejectionCode::kPreconditionFailed)
      << "an expired value is no value";
}

TEST_F(EngineTest, ARequirementSeesWhatTheSameTransactionDidBefore) {
  ASSERT_TRUE(world.reload(giveaway_needs_stream()).ok());
  world.set("stream", "on");
  TransactionProposal both;
  both.id = "tx";
  both.members = {proposal_of("tx:0", "stream", "off"), proposal_of("tx:1", "giveaway", "open")};
  const TransactionResult result = world.transact(both);
  EXPECT_FALSE(result.accepted);
  EXPECT_EQ(result.code, RejectionCode::kPreconditionFailed);
  EXPECT_EQ(result.failed_index, 1);
  EXPECT_EQ(world.read("stream")->value, "on");
}

TEST_F(EngineTest, RulesAreExemptFromRequirementsForTheySeeTheState) {
  WorldConfig config = giveaway_needs_stream();
  config.rules = R"([{"id":"end","on":"change","when":{"and":[{"==":[{"var":"key"},"stream"]},
      {"!=":[{"var":"value"},"on"]}]},"actions":[{"type":"proposeMutation","key":"giveaway",
      "value":"closed","reason":"the stream ended"}]}])";
  ASSERT_TRUE(world.reload(config).ok());
  world.set("stream", "on");
  world.set("giveaway", "open");
  world.set("stream", "off");
  EXPECT_EQ(world.read("giveaway")->value, "closed");
}

TEST_F(EngineTest, ARateLimitIsAnAnswerAndNoDecision) {
  WorldConfig limited;
  limited.policy.rules.resize(1);
  limited.policy.rules[0].keys = {"k"};
  limited.policy.rules[0].rate = RateLimit{2, 2};
  ASSERT_TRUE(world.reload(limited).ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(world.propose(proposal_of("dry", "k"), {true, false}).accepted) << "takes no token";
  }
  EXPECT_TRUE(world.set("k", 1).accepted);
  EXPECT_TRUE(world.set("k", 2).accepted);
  const MutationResult limit = world.propose(proposal_of("m", "k"));
  EXPECT_EQ(limit.code, RejectionCode::kRateLimited);
  ASSERT_TRUE(limit.retry_after);
  EXPECT_EQ(*limit.retry_after, milliseconds{500});
  EXPECT_EQ(world.log().size(), 2u);
  Proposal other = proposal_of("o", "k");
  other.actor = "another";
  EXPECT_TRUE(world.propose(other).accepted) << "each actor has its own bucket";
  world.advance(*limit.retry_after);
  const MutationResult again = world.propose(proposal_of("m", "k"));
  EXPECT_TRUE(again.accepted) << "the id was not consumed";
  EXPECT_FALSE(again.duplicate);
}

TEST_F(EngineTest, TheDefaultTtlOfAPolicyApplies) {
  WorldConfig config;
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"k"};
  config.policy.rules[0].ttl_default = milliseconds{1000};
  ASSERT_TRUE(world.reload(config).ok());
  world.set("k", 1);
  world.advance(milliseconds{1200});
  EXPECT_EQ(version_of("k"), 0);
}

}  // namespace
}  // namespace state_engine
