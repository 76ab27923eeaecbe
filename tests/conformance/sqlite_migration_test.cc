// The path from older schemas to newer ones, tried with an injected version 2.

#include <string>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/sqlite/integrity.h"
#include "store/sqlite/schema.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

namespace fs = std::filesystem;

constexpr sqlite::MigrationStep kGood[] = {
    {.from = 1, .sql = "ALTER TABLE sources ADD COLUMN note TEXT"}};
constexpr sqlite::MigrationStep kBad[] = {
    {.from = 1, .sql = "ALTER TABLE sources ADD COLUMN note TEXT; INSERT INTO nowhere VALUES(1)"}};

std::int64_t number(const fs::path& file, const std::string& sql) {
  auto database = must(sqlite::Database::open(file, sqlite::OpenMode::kSnapshot));
  return must(database.query_integer(sql)).value_or(-1);
}

class SqliteMigrationTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = home_.open();
    batches_.accept("m-1", "a", 1);
    ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
    ASSERT_TRUE(await(store->close()).ok());
  }

  fs::path copy() const { return home_.directory() / "state.db.before-v2"; }

  SqliteHome home_;
  BatchBuilder batches_;
  const sqlite::SchemaPlan version2_{.version = 2, .steps = kGood};
};

TEST_F(SqliteMigrationTest, AnOlderFileIsMigratedAfterACopy) {
  home_.schema = &version2_;
  auto store = home_.open();
  EXPECT_EQ(must(await(store->head())).seq, 1);
  batches_.accept("m-2", "a", 2);
  EXPECT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  ASSERT_TRUE(await(store->close()).ok());
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 2);
  EXPECT_EQ(number(home_.file(), "SELECT value FROM meta WHERE key = 'schema_version'"), 2);
  EXPECT_EQ(number(home_.file(), "SELECT count(*) FROM pragma_table_info('sources')"), 4);
  ASSERT_TRUE(fs::exists(copy()));
  const auto report = must(sqlite::verify_file(copy()));
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.head_seq, 1);
}

TEST_F(SqliteMigrationTest, AMigratedFileIsNotMigratedAgain) {
  home_.schema = &version2_;
  ASSERT_TRUE(await(home_.open()->close()).ok());
  fs::remove(copy());
  ASSERT_TRUE(await(home_.open()->close()).ok());
  EXPECT_FALSE(fs::exists(copy()));
}

TEST_F(SqliteMigrationTest, ANewDirectoryIsMadeAtTheNewestVersion) {
  SqliteHome fresh;
  fresh.schema = &version2_;
  ASSERT_TRUE(await(fresh.open()->close()).ok());
  EXPECT_EQ(number(fresh.file(), "PRAGMA user_version"), 2);
  EXPECT_FALSE(fs::exists(fresh.directory() / "state.db.before-v2"));
}

TEST_F(SqliteMigrationTest, AFailedStepLeavesTheFileAsItWas) {
  const sqlite::SchemaPlan bad{.version = 2, .steps = kBad};
  home_.schema = &bad;
  ASSERT_FALSE(home_.try_open().ok());
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 1);
  EXPECT_EQ(number(home_.file(), "SELECT count(*) FROM pragma_table_info('sources')"), 3);
  home_.schema = nullptr;
  EXPECT_EQ(must(await(home_.open()->head())).seq, 1);
  EXPECT_TRUE(must(sqlite::verify(home_.directory())).ok());
}

TEST_F(SqliteMigrationTest, AMissingStepIsRefused) {
  const sqlite::SchemaPlan gap{.version = 3, .steps = kGood};
  home_.schema = &gap;
  const auto opened = home_.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 1);
}

TEST_F(SqliteMigrationTest, ANewerFileIsRefusedByAllDoors) {
  home_.schema = &version2_;
  ASSERT_TRUE(await(home_.open()->close()).ok());
  home_.schema = nullptr;
  const auto opened = home_.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(opened.error().message.find("schema version 2"), std::string::npos);
  const auto verified = sqlite::verify(home_.directory());
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(verified.error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(SqliteMigrationTest, AnotherProgramsDatabaseIsRefused) {
  SqliteHome foreign;
  fs::create_directories(foreign.directory());
  {
    auto database = must(sqlite::Database::open(foreign.file(), sqlite::OpenMode::kWriter));
    ASSERT_EQ(database.execute("CREATE TABLE theirs(x); PRAGMA user_version=1"), SQLITE_OK);
  }
  const auto opened = foreign.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(opened.error().message.find("not one of state-engine"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::test
