// migrate: SQLite to Firestore and back, interrupted, from the reference, and onto the wrong
// target.

#include "app/migrate.h"

#include <gtest/gtest.h>

#include "core/chain.h"
#include "store/firestore/client.h"
#include "store/firestore/value_codec.h"
#include "tests/conformance/firestore_home.h"
#include "tests/conformance/sqlite_home.h"
#include "tests/support/fake_firestore.h"

namespace state_engine::test {
namespace {

class MigrateTest : public testing::Test {
 protected:
  // 250 entries of some keys, with deletions, rejections, effects and memories of rules.
  void fill(StateStore& store) {
    const std::string engine_id = must(await(store.head())).engine_id;
    BatchBuilder batches(engine_id);
    for (int i = 0; i < 250; ++i) {
      const std::string id = "m-" + std::to_string(i);
      const std::string key = "key/" + std::to_string(i % 7);
      if (i % 10 == 9) {
        batches.reject(id, key, RejectionCode::kVersionConflict);
      } else {
        batches.accept(id, key, json::Value(json::Array{json::Array{i}, "v"}),
                       {.ttl = i % 5 == 0 ? std::optional(std::chrono::milliseconds{90'000'000'500})
                                          : std::nullopt,
                        .metadata = {{"n", i}}});
      }
      if (i % 50 == 0) batches.effect("rule-1");
    }
    batches.accept("gone-1", "gone", 1);
    batches.accept("gone-2", "gone", std::nullopt, {.op = Op::kDelete});
    batches.rule_state({.rule_id = "rule-1", .key = "key/1", .truth = true});
    const CommitReply reply = await(store.commit(batches.take()));
    ASSERT_EQ(reply.outcome, CommitOutcome::kCommitted) << reply.message;
    ASSERT_TRUE(await(store.save_source({"policy", "policy-1", "{}"})).ok());
  }

  std::unique_ptr<FirestoreStateStore> open_firestore(const std::string& engine_id = "") {
    return must(firestore_.open_as(engine_id));
  }

  FakeFirestore server_;
  FirestoreHome firestore_{server_.address()};
  SqliteHome sqlite_;
};

TEST_F(MigrateTest, FromSqliteItKeepsNumbersHashesEffectsAndMemories) {
  const auto from = sqlite_.open();
  fill(*from);
  const StoreHead head = must(await(from->head()));
  const auto to = open_firestore(head.engine_id);
  const MigrateReport report = must(await(migrate({*from, *to, true, {}})));
  EXPECT_TRUE(report.ok()) << report.problems.front();
  EXPECT_EQ(report.entries, 252);
  EXPECT_EQ(report.entries_copied, 252);
  EXPECT_EQ(report.keys, 8);
  EXPECT_EQ(report.effects, 5);
  EXPECT_EQ(must(await(to->head())).hash, head.hash);
  EXPECT_EQ(must(await(to->effects_of({"m-0"}))).size(), 1U);
  EXPECT_EQ(must(await(to->rule_states())).size(), 1U);
  EXPECT_EQ(must(await(to->source("policy", "policy-1"))).text, "{}");
  const auto again = must(await(migrate({*from, *to, true, {}})));
  EXPECT_TRUE(again.ok());
  EXPECT_EQ(again.entries_copied, 0) << "it is all there";
  EXPECT_TRUE(await(from->close()).ok());
  EXPECT_TRUE(await(to->close()).ok());
}

TEST_F(MigrateTest, AnInterruptedCopyGoesOnWhereItStopped) {
  const auto from = sqlite_.open();
  fill(*from);
  const std::string engine_id = must(await(from->head())).engine_id;
  {
    FirestoreOptions options = firestore_.options();
    options.engine_id = engine_id;
    options.commit_patience = std::chrono::milliseconds{50};
    const auto to = must(FirestoreStateStore::open(options));
    const auto commits = std::make_shared<int>(0);
    server_.set_faults([commits](CallKind kind) {
      return kind == CallKind::kCommit && ++*commits > 2 ? CallFault::kAborted : CallFault::kNone;
    });
    const auto stopped = await(migrate({*from, *to, true, {}}));
    ASSERT_FALSE(stopped.ok());
    EXPECT_NE(stopped.error().message.find("again to go on"), std::string::npos)
        << stopped.error().message;
    EXPECT_TRUE(await(to->close()).ok());
  }
  server_.clear_faults();
  const auto to = open_firestore(engine_id);
  const MigrateReport report = must(await(migrate({*from, *to, true, {}})));
  EXPECT_TRUE(report.ok()) << report.problems.front();
  EXPECT_GT(report.entries_copied, 0);
  EXPECT_LT(report.entries_copied, 252);
  EXPECT_TRUE(await(from->close()).ok());
  EXPECT_TRUE(await(to->close()).ok());
}

TEST_F(MigrateTest, TheLogsOfSeveralEnginesBecomeOneChainInSqlite) {
  for (const char* engine : {"engine-a", "engine-b"}) {
    const auto store = open_firestore(engine);
    const StoreHead head = must(await(store->head()));
    BatchBuilder batches(engine);
    for (int i = 0; i < 3; ++i) {
      batches.accept(std::string(engine) + "-" + std::to_string(i), std::string("of-") + engine, i);
    }
    CommitBatch batch = *batches.take();
    std::string hash = genesis_hash();
    for (LogEntry& entry : batch.entries) {
      entry.seq += head.seq;
      entry.prev_hash = hash;
      hash = entry.hash = entry_hash(entry);
    }
    auto snapshot = std::make_shared<Snapshot>(*batch.snapshots[0]);
    snapshot->seq += head.seq;
    batch.snapshots[0] = snapshot;
    const auto reply = await(store->commit(std::make_shared<const CommitBatch>(batch)));
    ASSERT_EQ(reply.outcome, CommitOutcome::kCommitted) << reply.message;
    EXPECT_TRUE(await(store->close()).ok());
  }
  const auto from = open_firestore();
  const auto to = sqlite_.open();
  const MigrateReport report = must(await(migrate({*from, *to, false, {}})));
  EXPECT_TRUE(report.ok()) << report.problems.front();
  EXPECT_EQ(report.entries, 6);
  EXPECT_EQ(report.keys, 2);
  EXPECT_EQ(must(await(to->head())).seq, 6);
  EXPECT_TRUE(await(from->close()).ok());
  EXPECT_TRUE(await(to->close()).ok());
}

TEST_F(MigrateTest, StateOfTheReferenceIsImportedWithARecord) {
  firestore::ClientOptions raw;
  raw.project = firestore_.options().project;
  raw.emulator = server_.address();
  const auto client = must(firestore::Client::create(raw));
  google::firestore::v1::CommitRequest commit;
  auto& document = *commit.add_writes()->mutable_update();
  document.set_name(client->name("state", "stream.title"));
  for (const auto& [name, value] : {std::pair{"value", json::Value("hi")},
                                    {"version", 5},
                                    {"updatedAt", "2026-02-18T13:02:00.000Z"},
                                    {"updatedBy", "llm-bot"}}) {
    (*document.mutable_fields())[name] = *firestore::to_native(value);
  }
  ASSERT_EQ(
      client->commit(commit, std::chrono::system_clock::now() + std::chrono::seconds{5}).index(),
      0U);
  const auto from = open_firestore();
  const auto to = sqlite_.open();
  const MigrateReport report = must(await(migrate({*from, *to, false, {}})));
  EXPECT_TRUE(report.ok()) << report.problems.front();
  EXPECT_EQ(report.imported, 1);
  const auto copied = must(await(to->scan_snapshots("", 10)));
  ASSERT_EQ(copied.size(), 1U);
  EXPECT_EQ(copied[0]->version, 5);
  EXPECT_EQ(copied[0]->value, json::Value("hi"));
  EXPECT_TRUE(await(from->close()).ok());
  EXPECT_TRUE(await(to->close()).ok());
}

TEST_F(MigrateTest, ATargetWithOtherContentIsRefused) {
  const auto from = sqlite_.open();
  fill(*from);
  {
    const auto other = open_firestore("engine-other");
    BatchBuilder batches("engine-other");
    batches.accept("theirs", "x", 1);
    ASSERT_EQ(await(other->commit(batches.take())).outcome, CommitOutcome::kCommitted);
    EXPECT_TRUE(await(other->close()).ok());
  }
  const auto to = open_firestore(must(await(from->head())).engine_id);
  const auto refused = await(migrate({*from, *to, true, {}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("theirs"), std::string::npos);
  EXPECT_TRUE(await(from->close()).ok());
  EXPECT_TRUE(await(to->close()).ok());
}

}  // namespace
}  // namespace state_engine::test
