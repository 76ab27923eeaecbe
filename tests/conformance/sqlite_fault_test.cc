// The disk fails: what the store answers, and what a later process finds.

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sys/mount.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/sqlite/integrity.h"
#include "tests/conformance/fault_vfs.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

CommitReply commit(StateStore& store, const BatchPtr& batch) { return await(store.commit(batch)); }

BatchPtr make_batch(BatchBuilder& batches, int number) {
  for (int i = 0; i < 3; ++i) {
    batches.accept(fmt::format("m-{}-{}", number, i), fmt::format("key.{}", i), number);
  }
  batches.effect("rule-1");
  batches.rule_state({.rule_id = "rule-1", .key = "key.0", .truth = true});
  return batches.take();
}

void expect_verified(const SqliteHome& home) {
  const auto report = must(sqlite::verify(home.directory()));
  EXPECT_TRUE(report.ok()) << report.problems.at(0).message;
}

// I15.
TEST(SqliteFaultTest, AFailedSyncIsUnknownAndStopsTheStore) {
  FaultVfs vfs;
  SqliteHome home;
  home.vfs = vfs.name();
  auto store = home.open();
  BatchBuilder batches;
  ASSERT_EQ(commit(*store, make_batch(batches, 1)).outcome, CommitOutcome::kCommitted);
  vfs.arm({.fail_at = 0, .syncs_only = true});
  const CommitReply reply = commit(*store, make_batch(batches, 2));
  ASSERT_TRUE(vfs.fired());
  EXPECT_EQ(reply.outcome, CommitOutcome::kUnknown);
  EXPECT_TRUE(reply.fatal);
  EXPECT_FALSE(reply.message.empty());
  vfs.disarm();

  const CommitReply later = commit(*store, make_batch(batches, 3));
  EXPECT_NE(later.outcome, CommitOutcome::kCommitted) << "a failed fsync is never tried again";
  EXPECT_TRUE(later.fatal);
  const auto head = await(store->head());
  ASSERT_FALSE(head.ok());
  EXPECT_EQ(head.error().code, ErrorCode::kDataLoss);
  EXPECT_FALSE(await(store->mark_effects({}, EffectState::kSent, Timestamp{}, Timestamp{})).ok());
  EXPECT_FALSE(await(store->close()).ok());
  store.reset();

  home.vfs.clear();
  store = home.open();
  const std::int64_t seq = must(await(store->head())).seq;
  EXPECT_TRUE(seq == 3 || seq == 6) << seq;
  const auto found = must(await(store->lookup({"m-2-0", "m-2-1", "m-2-2"})));
  for (const auto& entry : found) EXPECT_EQ(entry.has_value(), seq == 6);
  expect_verified(home);
  ASSERT_TRUE(await(store->close()).ok());
}

TEST(SqliteFaultTest, AFullDiskRefusesTheBatchAndTheStoreGoesOn) {
  FaultVfs vfs;
  SqliteHome home;
  home.vfs = vfs.name();
  auto store = home.open();
  BatchBuilder batches;
  batches.accept("m-large", "large", json::Value(std::string(400'000, 'v')));  // several writes
  const BatchPtr first = make_batch(batches, 1);
  for (int at = 0; at < 4; ++at) {
    vfs.arm({.fail_at = at, .write_code = SQLITE_FULL, .torn = true, .sticky = true});
    const CommitReply reply = commit(*store, first);
    ASSERT_TRUE(vfs.fired()) << at;
    ASSERT_EQ(reply.outcome, CommitOutcome::kNotCommitted) << at;
    EXPECT_NE(reply.message.find("disk full"), std::string::npos) << reply.message;
    vfs.disarm();
    EXPECT_EQ(must(await(store->head())).seq, 0);
    EXPECT_TRUE(must(await(store->scan_snapshots("", 10))).empty());
    EXPECT_TRUE(must(await(store->pending_effects(0, 10))).empty());
  }
  vfs.disarm();
  ASSERT_EQ(commit(*store, first).outcome, CommitOutcome::kCommitted);
  ASSERT_EQ(commit(*store, make_batch(batches, 2)).outcome, CommitOutcome::kCommitted);
  ASSERT_TRUE(await(store->close()).ok());
  expect_verified(home);
}

// One run with a fault at operation `at`: commits until a failure, then recovers with a good disk.
// Returns false once the fault lies behind the last operation.
bool run_with_fault(const FaultPlan& plan, bool during_open) {
  FaultVfs vfs;
  SqliteHome home;
  home.unfolded_entries_max = 2;  // commits carry folds
  home.vfs = vfs.name();
  if (during_open) vfs.arm(plan);
  std::int64_t acknowledged = 0;
  BatchBuilder batches;
  auto opened = home.try_open();
  if (opened.ok()) {
    if (!during_open) vfs.arm(plan);
    for (int number = 1; number <= 3; ++number) {
      const CommitReply reply = commit(**opened, make_batch(batches, number));
      if (reply.outcome != CommitOutcome::kCommitted) {
        EXPECT_TRUE(vfs.fired()) << reply.message;
        break;
      }
      acknowledged = batches.seq();
    }
    const Status closed = await((*opened)->close());
    if (!vfs.fired()) {
      EXPECT_TRUE(closed.ok());
    }
  }
  opened = Error{};
  const bool fired = vfs.fired();
  vfs.disarm();
  home.vfs.clear();
  auto store = home.open();
  const std::int64_t seq = must(await(store->head())).seq;
  EXPECT_GE(seq, acknowledged) << "an acknowledged commit is gone (I5)";
  EXPECT_LE(seq, batches.seq());
  EXPECT_EQ(seq % 3, 0) << "half a batch (I8)";
  EXPECT_EQ(static_cast<std::int64_t>(must(await(store->pending_effects(0, 10))).size()), seq / 3);
  EXPECT_TRUE(await(store->close()).ok());
  expect_verified(home);
  return fired;
}

void sweep(FaultPlan plan, bool during_open) {
  int at = 0;
  for (;; ++at) {
    plan.fail_at = at;
    SCOPED_TRACE(fmt::format("fault at operation {}", at));
    if (!run_with_fault(plan, during_open) || testing::Test::HasFailure()) break;
    ASSERT_LT(at, 1000);
  }
  EXPECT_GT(at, 5) << "the fault was never met";
}

// I5, I8, I15: a fault at each write and sync in turn leaves whole batches.
TEST(SqliteFaultTest, EveryIoErrorWhileCommittingLeavesWholeBatches) {
  sweep({.write_code = SQLITE_IOERR_WRITE, .torn = true, .sticky = true}, false);
}

TEST(SqliteFaultTest, EveryPassingIoErrorWhileCommittingLeavesWholeBatches) {
  sweep({.write_code = SQLITE_IOERR_WRITE}, false);
}

TEST(SqliteFaultTest, EveryIoErrorWhileCreatingLeavesAUsableDirectory) {
  sweep({.write_code = SQLITE_IOERR_WRITE, .torn = true, .sticky = true}, true);
}

// Commits until something fails or the WAL was copied into the file more than once.
std::int64_t commit_much(StateStore& store, BatchBuilder& batches) {
  for (int number = 0; number < 60; ++number) {
    batches.accept(fmt::format("m-{}", number), "big", json::Value(std::string(250'000, 'v')));
    const std::int64_t before = batches.seq() - 1;
    if (commit(store, batches.take()).outcome != CommitOutcome::kCommitted) return before;
  }
  return batches.seq();
}

// I5, I15: a commit meets the fault, or the checkpoint between two of them.
TEST(SqliteFaultTest, AnIoErrorInACheckpointLosesNothing) {
  int fired = 0;
  for (const int at : {20, 100, 400, 700, 1000, 1500, 2500, 4000}) {
    SCOPED_TRACE(fmt::format("fault at operation {}", at));
    FaultVfs vfs;
    SqliteHome home;
    home.vfs = vfs.name();
    auto store = home.open();
    vfs.arm({.fail_at = at, .write_code = SQLITE_IOERR_WRITE, .sticky = true});
    BatchBuilder batches;
    const std::int64_t acknowledged = commit_much(*store, batches);
    const Status closed = await(store->close());
    store.reset();
    fired += vfs.fired() ? 1 : 0;
    EXPECT_EQ(closed.ok(), !vfs.fired());
    vfs.disarm();
    home.vfs.clear();
    store = home.open();
    EXPECT_GE(must(await(store->head())).seq, acknowledged) << "an acknowledged commit is gone";
    EXPECT_TRUE(await(store->close()).ok());
    expect_verified(home);
  }
  EXPECT_GT(fired, 2);
}

// A small file system of its own, as long as the test runs.
class SmallDisk {
 public:
  explicit SmallDisk(const std::filesystem::path& path) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=600k") == 0;
    failure_ = mounted_ ? 0 : errno;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  int failure() const { return failure_; }

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
  int failure_ = 0;
};

TEST(SqliteFaultTest, ARealFullDiskDegradesAndRecoversWithoutRestart) {
  const TemporaryDirectory temporary;
  const SmallDisk disk(temporary.path() / "disk");
  if (!disk.mounted()) {
    std::cerr << "SKIP: no tmpfs can be mounted here (" << std::strerror(disk.failure())
              << "): run as root to test a real full disk\n";
    GTEST_SKIP();
  }
  const std::filesystem::path filler = temporary.path() / "disk" / "filler";
  std::ofstream(filler) << std::string(200 * 1024, 'f');
  SqliteHome home(temporary.path() / "disk" / "data");
  auto store = home.open();
  BatchBuilder batches;
  BatchPtr refused;
  for (int i = 0; i < 100 && refused == nullptr; ++i) {
    batches.accept(fmt::format("m-{}", i), "key", json::Value(std::string(20'000, 'v')));
    const BatchPtr batch = batches.take();
    const CommitReply reply = commit(*store, batch);
    if (reply.outcome == CommitOutcome::kCommitted) continue;
    ASSERT_EQ(reply.outcome, CommitOutcome::kNotCommitted) << reply.message;
    EXPECT_FALSE(reply.fatal);
    EXPECT_NE(reply.message.find("disk full"), std::string::npos) << reply.message;
    refused = batch;
  }
  ASSERT_NE(refused, nullptr) << "the disk never filled";
  EXPECT_EQ(must(await(store->head())).seq, batches.seq() - 1) << "reads go on";
  std::filesystem::remove(filler);
  EXPECT_EQ(commit(*store, refused).outcome, CommitOutcome::kCommitted);
  ASSERT_TRUE(await(store->close()).ok());
  expect_verified(home);
}

}  // namespace
}  // namespace state_engine::test
