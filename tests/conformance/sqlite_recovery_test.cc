// Who owns the data directory, and what is there after a crash.

#include <fstream>
#include <sys/stat.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "store/sqlite/integrity.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

namespace fs = std::filesystem;

void commit_some(StateStore& store, BatchBuilder& batches, int count) {
  for (int i = 0; i < count; ++i) {
    batches.accept(fmt::format("m-{}", batches.seq()), "counter", 1, {.op = Op::kIncrement});
    batches.accept(fmt::format("m-{}", batches.seq()), fmt::format("k{}", i), i);
    const CommitReply reply = await(store.commit(batches.take()));
    ASSERT_EQ(reply.outcome, CommitOutcome::kCommitted) << reply.message;
  }
}

TEST(SqliteRecoveryTest, ASecondOwnerIsRefusedAndToldWhoHoldsIt) {
  SqliteHome home;
  auto store = home.open();
  const auto second = home.try_open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(second.error().message.find(fmt::format("process {}", ::getpid())), std::string::npos)
      << second.error().message;
  EXPECT_NE(second.error().message.find("--data-dir"), std::string::npos);
  ASSERT_TRUE(await(store->close()).ok());
  EXPECT_TRUE(home.try_open().ok()) << "close() releases the lock";
}

TEST(SqliteRecoveryTest, DestroyingTheStoreWithoutCloseReleasesAllAndKeepsTheData) {
  SqliteHome home;
  BatchBuilder batches;
  auto store = home.open();
  commit_some(*store, batches, 3);
  store.reset();
  store = home.open();
  EXPECT_EQ(must(await(store->head())).seq, 6);
}

TEST(SqliteRecoveryTest, OnlyTheOwnerMayReadTheFiles) {
  SqliteHome home;
  auto store = home.open();
  BatchBuilder batches;
  commit_some(*store, batches, 1);
  for (const char* name : {"", "state.db", "state.db-wal", "engine.lock"}) {
    struct stat status {};
    ASSERT_EQ(::stat((home.directory() / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 077U, 0U) << name;
  }
}

TEST(SqliteRecoveryTest, CloseLeavesOneFileWithoutWal) {
  SqliteHome home;
  BatchBuilder batches;
  auto store = home.open();
  commit_some(*store, batches, 3);
  ASSERT_TRUE(await(store->close()).ok());
  store.reset();
  EXPECT_FALSE(fs::exists(home.directory() / "state.db-wal"));
}

TEST(SqliteRecoveryTest, ALongRunKeepsTheWalBounded) {
  SqliteHome home;
  BatchBuilder batches;
  auto store = home.open();
  for (int i = 0; i < 120; ++i) {
    batches.accept(fmt::format("m-{}", i), "big", json::Value(std::string(250'000, 'v')));
    ASSERT_EQ(await(store->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  }
  EXPECT_LT(fs::file_size(home.directory() / "state.db-wal"), 16U * 1024 * 1024);
  EXPECT_GT(fs::file_size(home.file()), 16U * 1024 * 1024) << "nothing was copied";
}

// Copies what a crashed process would leave: the file and `wal_bytes` of its WAL.
void copy_crashed(const SqliteHome& from, const fs::path& to, std::uintmax_t wal_bytes) {
  fs::create_directories(to);
  fs::copy_file(from.file(), to / "state.db", fs::copy_options::overwrite_existing);
  fs::copy_file(from.directory() / "state.db-wal", to / "state.db-wal",
                fs::copy_options::overwrite_existing);
  fs::resize_file(to / "state.db-wal", wal_bytes);
}

// I5.
TEST(SqliteRecoveryTest, AfterACrashEveryAcknowledgedCommitIsThere) {
  SqliteHome home;
  home.unfolded_entries_max = 4;  // commits carry folds
  BatchBuilder batches;
  auto store = home.open();
  commit_some(*store, batches, 20);
  const TemporaryDirectory other;
  copy_crashed(home, other.path() / "data", fs::file_size(home.directory() / "state.db-wal"));
  SqliteHome crashed(other.path() / "data");
  auto recovered = crashed.open();
  const StoreHead head = must(await(recovered->head()));
  EXPECT_EQ(head.seq, 40);
  EXPECT_EQ(head.hash, batches.hash());
  const auto report = must(sqlite::verify(crashed.directory()));
  EXPECT_TRUE(report.ok()) << report.problems.at(0).message;
}

// Frames are written to the WAL in pieces of less than 128 KiB.
TEST(SqliteRecoveryTest, ALargeCommitIsWholeAfterACrash) {
  SqliteHome home;
  BatchBuilder batches;
  auto store = home.open();
  for (int i = 0; i < 20; ++i) {
    batches.accept(fmt::format("m-{}", i), fmt::format("key.{}", i),
                   json::Value(std::string(100'000 + static_cast<std::size_t>(i) * 37, 'v')));
  }
  ASSERT_EQ(await(store->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  const TemporaryDirectory other;
  copy_crashed(home, other.path() / "data", fs::file_size(home.directory() / "state.db-wal"));
  SqliteHome crashed(other.path() / "data");
  auto recovered = crashed.open();
  EXPECT_EQ(must(await(recovered->head())).hash, batches.hash());
  const auto report = must(sqlite::verify(crashed.directory()));
  EXPECT_TRUE(report.ok()) << report.problems.at(0).message;
}

// I8: a WAL torn anywhere gives a prefix of whole batches.
TEST(SqliteRecoveryTest, ATornWalGivesWholeBatches) {
  SqliteHome home;
  home.unfolded_entries_max = 4;  // commits carry folds
  BatchBuilder batches;
  auto store = home.open();
  commit_some(*store, batches, 6);
  const std::uintmax_t whole = fs::file_size(home.directory() / "state.db-wal");
  const TemporaryDirectory other;
  std::int64_t last = 0;
  for (int part = 4; part <= 16; ++part) {
    const fs::path copy = other.path() / std::to_string(part);
    copy_crashed(home, copy, whole * static_cast<unsigned>(part) / 16 - (part % 2));
    SqliteHome crashed(copy);
    auto opened = crashed.try_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const std::int64_t seq = must(await((*opened)->head())).seq;
    EXPECT_EQ(seq % 2, 0);
    EXPECT_GE(seq, last);
    last = seq;
    const auto report = must(sqlite::verify(copy));
    EXPECT_TRUE(report.ok()) << report.problems.at(0).message;
  }
  EXPECT_GT(last, 0);
}

TEST(SqliteRecoveryTest, AFileThatIsNoDatabaseIsRefused) {
  SqliteHome home;
  fs::create_directories(home.directory());
  std::ofstream(home.file()) << std::string(10'000, 'x');
  const auto opened = home.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
}

TEST(SqliteRecoveryTest, ADirectoryThatCannotBeMadeIsAnError) {
  SqliteHome home("/dev/null/data");
  const auto opened = home.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("/dev/null/data"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::test
