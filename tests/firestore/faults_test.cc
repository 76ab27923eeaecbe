// What a commit's outcome is when Firestore, or the way to it, does not behave. On the fake.

#include <atomic>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "core/chain.h"
#include "tests/conformance/firestore_home.h"
#include "tests/support/fake_firestore.h"

namespace state_engine::test {
namespace {

using std::chrono::milliseconds;

class FirestoreFaultTest : public testing::Test {
 protected:
  std::unique_ptr<FirestoreStateStore> open(const std::string& engine_id = "engine-1") {
    FirestoreOptions options = home_.options();
    options.engine_id = engine_id;
    options.call_timeout = milliseconds{500};
    options.read_patience = milliseconds{200};
    options.commit_patience = milliseconds{1500};
    options.adopt_after = milliseconds{0};
    return must(FirestoreStateStore::open(options));
  }

  // The fault of the first `count` commits.
  void fail_commits(CallFault fault, int count = 1) {
    const auto left = std::make_shared<std::atomic<int>>(count);
    server_.set_faults([fault, left](CallKind kind) {
      if (kind != CallKind::kCommit || left->fetch_sub(1) <= 0) return CallFault::kNone;
      return fault;
    });
  }

  CommitReply commit_one(FirestoreStateStore& store, const std::string& id = "m-1",
                         const std::string& key = "a") {
    batches_.accept(id, key, 1);
    batches_.effect("rule-1");
    return await(store.commit(batches_.take()));
  }

  FakeFirestore server_;
  FirestoreHome home_{server_.address()};
  BatchBuilder batches_;
};

TEST_F(FirestoreFaultTest, ALostReplyIsFoundToBeACommit) {
  const auto store = open();
  fail_commits(CallFault::kReplyLost);
  EXPECT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(server_.calls(CallKind::kCommit), 1) << "looked up, not sent again";
  EXPECT_EQ(commit_one(*store, "m-2").outcome, CommitOutcome::kCommitted) << "the key goes on";
  EXPECT_EQ(must(await(store->head())).seq, 2);
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, AReplyThatNeverComesIsFoundToBeACommit) {
  const auto store = open();
  fail_commits(CallFault::kReplyHangs);
  EXPECT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, AnAttemptThatWasNotCarriedOutIsMadeAgain) {
  const auto store = open();
  fail_commits(CallFault::kUnavailable, 2);
  EXPECT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(server_.calls(CallKind::kCommit), 3);
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, AStormOfContentionPassesOrWritesNothing) {
  const auto store = open();
  fail_commits(CallFault::kAborted, 5);
  EXPECT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  fail_commits(CallFault::kAborted, 1'000'000);
  const CommitReply reply = commit_one(*store, "m-2");
  EXPECT_EQ(reply.outcome, CommitOutcome::kNotCommitted);
  server_.clear_faults();
  EXPECT_FALSE(must(await(store->lookup({"m-2"}))).at(0).has_value());
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, ARefusalWritesNothingAndSaysWhatIsMissing) {
  const auto store = open();
  fail_commits(CallFault::kPermission);
  const CommitReply reply = commit_one(*store);
  EXPECT_EQ(reply.outcome, CommitOutcome::kNotCommitted);
  EXPECT_NE(reply.message.find("roles/datastore.user"), std::string::npos) << reply.message;
  EXPECT_TRUE(await(store->close()).ok());
}

// A commit that nobody could resolve may still arrive. It then belongs to the log of an engine id
// that has ended, and the chain of the next one is whole.
TEST_F(FirestoreFaultTest, ACommitThatArrivesAfterItWasGivenUpForksNoChain) {
  const auto store = open();
  ASSERT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  const std::string before = must(await(store->head())).engine_id;
  // Every attempt fails at once and is carried out later; no look-up is answered.
  server_.set_faults([](CallKind kind) {
    return kind == CallKind::kCommit ? CallFault::kAppliedLater : CallFault::kUnavailable;
  });
  const CommitReply reply = commit_one(*store, "m-2");
  EXPECT_EQ(reply.outcome, CommitOutcome::kUnknown);
  EXPECT_FALSE(reply.fatal) << "the process need not end";
  server_.clear_faults();
  server_.finish_late_commits();
  EXPECT_TRUE(must(await(store->lookup({"m-2"}))).at(0).has_value()) << "it did arrive";
  const StoreHead head = must(await(store->head()));
  EXPECT_NE(head.engine_id, before);
  EXPECT_EQ(head.hash, genesis_hash());

  BatchBuilder next(head.engine_id);
  next.accept("m-3", "a", 3);
  CommitBatch batch = *next.take();
  batch.entries[0].seq = head.seq + 1;
  batch.entries[0].hash = entry_hash(batch.entries[0]);
  auto snapshot = std::make_shared<Snapshot>(*batch.snapshots[0]);
  snapshot->seq = head.seq + 1;
  batch.snapshots[0] = snapshot;
  EXPECT_EQ(await(store->commit(std::make_shared<const CommitBatch>(batch))).outcome,
            CommitOutcome::kStale)
      << "version 1 of the key is not the last one";
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, AnAbsentServiceIsUnavailableAndComesBackWithoutARestart) {
  const auto store = open();
  ASSERT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  server_.stop();
  const auto lookup = await(store->lookup({"m-1"}));
  ASSERT_FALSE(lookup.ok());
  EXPECT_EQ(lookup.error().code, ErrorCode::kUnavailable);
  server_.start();
  for (int i = 0; i < 100 && !await(store->lookup({"m-1"})).ok(); ++i) {
  }
  EXPECT_TRUE(must(await(store->lookup({"m-1"}))).at(0).has_value());
  EXPECT_EQ(commit_one(*store, "m-2").outcome, CommitOutcome::kCommitted);
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, AKeyThatAnotherEngineChangedIsStale) {
  const auto mine = open("engine-1");
  const auto other = open("engine-2");
  ASSERT_EQ(commit_one(*mine).outcome, CommitOutcome::kCommitted);
  BatchBuilder others("engine-2");
  others.accept("o-1", "a", "stolen");
  EXPECT_EQ(await(other->commit(others.take())).outcome, CommitOutcome::kStale)
      << "it never saw version 1";
  EXPECT_EQ(must(await(other->refresh({"a"}, 0))).snapshots.at(0)->version, 1);
  EXPECT_EQ(must(await(mine->read({"a"}))).at(0)->value, json::Value(1));
  EXPECT_TRUE(await(mine->close()).ok());
  EXPECT_TRUE(await(other->close()).ok());
}

TEST_F(FirestoreFaultTest, AnIdThatAnotherEngineRecordedIsStale) {
  const auto mine = open("engine-1");
  const auto other = open("engine-2");
  ASSERT_EQ(commit_one(*mine, "same").outcome, CommitOutcome::kCommitted);
  BatchBuilder others("engine-2");
  others.accept("same", "b", 1);
  EXPECT_EQ(await(other->commit(others.take())).outcome, CommitOutcome::kStale);
  EXPECT_EQ(must(await(mine->read({"b"}))).at(0), nullptr) << "nothing of the batch is there";
  EXPECT_TRUE(await(mine->close()).ok());
  EXPECT_TRUE(await(other->close()).ok());
}

TEST_F(FirestoreFaultTest, WhatIsOverALimitIsToldApartAndWritesNothing) {
  const auto store = open();
  batches_.accept("m-1", "a", 1);
  CommitBatch batch = *batches_.take();
  batch.effects.push_back({.id = "fx-1",
                           .rule_id = "r",
                           .cause_id = "m-1",
                           .cause_seq = 1,
                           .type = "t",
                           .payload = std::string(2 * 1024 * 1024, 'x'),
                           .correlation_id = "",
                           .created_at = {}});
  const CommitReply reply = await(store->commit(std::make_shared<const CommitBatch>(batch)));
  EXPECT_EQ(reply.outcome, CommitOutcome::kTooLarge);
  EXPECT_EQ(server_.calls(CallKind::kCommit), 0);

  BatchBuilder many;
  for (int i = 0; i < 60; ++i) {
    many.accept("m-" + std::to_string(i), "k" + std::to_string(i),
                json::Value(std::string(250 * 1024, 'v')));
  }
  EXPECT_EQ(await(store->commit(many.take())).outcome, CommitOutcome::kTooLarge);
  EXPECT_TRUE(must(await(store->scan_snapshots("", 10))).empty());
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, ALiveEngineTakesOverTheEffectsOfADeadOne) {
  {
    const auto dead = open("engine-dead");
    BatchBuilder batches("engine-dead");
    batches.accept("m-1", "a", 1);
    batches.effect("rule-1");
    ASSERT_EQ(await(dead->commit(batches.take())).outcome, CommitOutcome::kCommitted);
    EXPECT_TRUE(await(dead->close()).ok());
  }
  const auto live = open("engine-live");
  const auto rows = must(await(live->pending_effects(0, 10)));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].effect.cause_id, "m-1");
  const SystemClock clock;
  ASSERT_TRUE(
      await(live->mark_effects({rows[0].effect.id}, EffectState::kSent, clock.wall_now(), {}))
          .ok());
  EXPECT_TRUE(must(await(live->pending_effects(0, 10))).empty());
  EXPECT_TRUE(await(live->close()).ok());
}

TEST_F(FirestoreFaultTest, AKeyWhoseDocumentWasRemovedGoesOnWithItsVersions) {
  const auto store = open();
  ASSERT_EQ(commit_one(*store).outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(must(await(store->refresh({"never"}, 0))).snapshots.at(0), nullptr);
  EXPECT_EQ(must(await(store->read({"a", "never", "a"}))).at(2)->version, 1);
  EXPECT_TRUE(await(store->close()).ok());
}

TEST_F(FirestoreFaultTest, OverdueKeysAreFoundByTheirDeadline) {
  const auto store = open();
  batches_.accept("m-1", "soon", 1, {.ttl = milliseconds{1000}});
  batches_.accept("m-2", "late", 1, {.ttl = milliseconds{900'000'000}});
  batches_.accept("m-3", "never", 1);
  const Timestamp deadline = *batches_.state().at("soon")->expires_at;
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  EXPECT_TRUE(must(await(store->overdue(deadline, 10))).empty());
  EXPECT_EQ(must(await(store->overdue(deadline + milliseconds{1}, 10))),
            std::vector<std::string>{"soon"});
  EXPECT_TRUE(await(store->close()).ok());
}

TEST(FirestoreOpenTest, SaysWhatIsMissing) {
  SystemClock clock;
  SystemRandom random;
  NullLog log;
  FirestoreOptions options;
  options.clock = &clock;
  options.random = &random;
  options.log = &log;
  const auto nameless = FirestoreStateStore::open(options);
  ASSERT_FALSE(nameless.ok());
  EXPECT_NE(nameless.error().message.find("--firestore-project"), std::string::npos);
  options.project = "p";
  options.emulator = "127.0.0.1:1";
  const auto absent = FirestoreStateStore::open(options);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace state_engine::test
