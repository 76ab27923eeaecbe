#include "store/sqlite/wal_vfs.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "store/sqlite/database.h"

namespace state_engine::sqlite {
namespace {

// A directory of its own, gone with the test.
class WalVfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "se-wal-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Database open(const WalVfs& vfs) {
    auto database = Database::open(directory_ / "test.db", OpenMode::kWriter, vfs.name());
    EXPECT_TRUE(database.ok());
    return std::move(*database);
  }
  static void run(Database& database, const std::string& sql) {
    ASSERT_EQ(database.execute(sql), 0) << sql << ": " << database.message();
  }
  static std::int64_t ask(Database& database, const std::string& sql) {
    auto found = database.query_integer(sql);
    return found.ok() ? found->value_or(-1) : -1;
  }

  std::filesystem::path directory_;
};

constexpr const char* kFill =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
    "INSERT INTO t SELECT i, hex(zeroblob(200)) FROM n";

// A cache that is too small spills pages into the WAL before the commit and reads them back, from
// what is not written yet as well.
TEST_F(WalVfsTest, ATransactionLargerThanTheCacheReadsWhatItWrote) {
  const WalVfs vfs("");
  {
    Database database = open(vfs);
    run(database, "PRAGMA cache_size=5; CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT)");
    run(database, "BEGIN IMMEDIATE");
    run(database, kFill);
    for (int round = 1; round <= 3; ++round) {
      run(database, "UPDATE t SET v = v || 'x' WHERE i % 7 = " + std::to_string(round));
      EXPECT_EQ(ask(database, "SELECT sum(length(v)) FROM t"), 3000 * 400 + round * 429);
    }
    run(database, "COMMIT");
  }
  Database again = open(vfs);
  EXPECT_EQ(ask(again, "SELECT count(*) FROM t WHERE v LIKE '%x'"), 3 * 429);
  EXPECT_EQ(ask(again, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
            1);
}

TEST_F(WalVfsTest, WhatIsRolledBackAfterASpillIsGone) {
  const WalVfs vfs("");
  Database database = open(vfs);
  run(database, "PRAGMA cache_size=5; CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT)");
  run(database, "INSERT INTO t VALUES(0, 'kept')");
  run(database, "BEGIN IMMEDIATE");
  run(database, kFill);
  run(database, "ROLLBACK");
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 1);
  run(database, kFill);
  EXPECT_EQ(ask(database, "SELECT count(*) FROM t"), 3001);
}

// Another connection sees a commit as soon as it is answered, and nothing of one that is not.
TEST_F(WalVfsTest, AReaderSeesWhatIsCommittedAndNoMore) {
  const WalVfs vfs("");
  Database writer = open(vfs);
  run(writer, "CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT)");
  auto reader = Database::open(directory_ / "test.db", OpenMode::kReader);
  ASSERT_TRUE(reader.ok());
  run(writer, "BEGIN IMMEDIATE");
  run(writer, kFill);
  EXPECT_EQ(ask(*reader, "SELECT count(*) FROM t"), 0);
  run(writer, "COMMIT");
  EXPECT_EQ(ask(*reader, "SELECT count(*) FROM t"), 3000);
}

}  // namespace
}  // namespace state_engine::sqlite
