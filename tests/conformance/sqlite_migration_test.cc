// The path from older schemas to newer ones: from version 1, and to an injected version 3.

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/sqlite/integrity.h"
#include "store/sqlite/schema.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

namespace fs = std::filesystem;

constexpr sqlite::MigrationStep kGood = {.from = 2,
                                         .sql = "ALTER TABLE sources ADD COLUMN note TEXT"};
constexpr sqlite::MigrationStep kBad = {
    .from = 2, .sql = "ALTER TABLE sources ADD COLUMN note TEXT; INSERT INTO nowhere VALUES(1)"};

// The steps of this program, and `next`.
std::vector<sqlite::MigrationStep> steps_and(const sqlite::MigrationStep& next) {
  const sqlite::SchemaPlan plan = sqlite::current_schema();
  std::vector<sqlite::MigrationStep> steps(plan.steps.begin(), plan.steps.end());
  steps.push_back(next);
  return steps;
}

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

  fs::path copy() const { return home_.directory() / "state.db.before-v3"; }

  SqliteHome home_;
  BatchBuilder batches_;
  const std::vector<sqlite::MigrationStep> good_ = steps_and(kGood);
  const sqlite::SchemaPlan version3_{.version = 3, .steps = good_};
};

TEST_F(SqliteMigrationTest, AnOlderFileIsMigratedAfterACopy) {
  home_.schema = &version3_;
  auto store = home_.open();
  EXPECT_EQ(must(await(store->head())).seq, 1);
  batches_.accept("m-2", "a", 2);
  EXPECT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  ASSERT_TRUE(await(store->close()).ok());
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 3);
  EXPECT_EQ(number(home_.file(), "SELECT value FROM meta WHERE key = 'schema_version'"), 3);
  EXPECT_EQ(number(home_.file(), "SELECT count(*) FROM pragma_table_info('sources')"), 4);
  ASSERT_TRUE(fs::exists(copy()));
  EXPECT_EQ(fs::status(copy()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const auto report = must(sqlite::verify_file(copy()));
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.head_seq, 1);
}

// A file as version 1 wrote it, made from one of version 2.
constexpr const char* kBackToVersion1 =
    "DROP VIEW state; DROP VIEW unfolded_state; DROP VIEW state_of_entry;"
    "ALTER TABLE folded_state RENAME TO state;"
    "DROP TABLE log_keys; CREATE INDEX log_by_key ON mutation_log(key);"
    "ALTER TABLE mutation_log DROP COLUMN state_ttl_ms;"
    "ALTER TABLE mutation_log DROP COLUMN state_expires_at;"
    "DELETE FROM meta WHERE key = 'folded_seq';"
    "UPDATE meta SET value = '1' WHERE key = 'schema_version'; PRAGMA user_version = 1";

TEST_F(SqliteMigrationTest, AFileOfVersion1GoesOn) {
  {
    auto store = home_.open();
    batches_.accept("m-2", "b", 1, {.ttl = std::chrono::milliseconds{5000}});
    batches_.reject("m-3", "a", RejectionCode::kVersionConflict);
    ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
    ASSERT_TRUE(await(store->close()).ok());
  }
  {
    auto database = must(sqlite::Database::open(home_.file(), sqlite::OpenMode::kWriter));
    ASSERT_EQ(database.execute(kBackToVersion1), SQLITE_OK) << database.message();
  }
  EXPECT_FALSE(sqlite::verify(home_.directory()).ok()) << "an older schema is not read";
  auto store = home_.open();
  EXPECT_TRUE(fs::exists(home_.directory() / "state.db.before-v2"));
  batches_.accept("m-4", "a", 2);
  EXPECT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  const auto of_a = must(await(store->read_log({.key = "a"})));
  ASSERT_EQ(of_a.size(), 3U);
  EXPECT_EQ(of_a.at(1).proposal.id, "m-3");
  EXPECT_EQ(of_a.at(2).proposal.id, "m-4");
  const auto snapshots = must(await(store->scan_snapshots("", 10)));
  ASSERT_EQ(snapshots.size(), 2U);
  expect_same(*snapshots.at(0), *batches_.state().at("a"));
  expect_same(*snapshots.at(1), *batches_.state().at("b"));
  ASSERT_TRUE(await(store->close()).ok());
  EXPECT_TRUE(must(sqlite::verify(home_.directory())).ok());
}

TEST_F(SqliteMigrationTest, AMigratedFileIsNotMigratedAgain) {
  home_.schema = &version3_;
  ASSERT_TRUE(await(home_.open()->close()).ok());
  fs::remove(copy());
  ASSERT_TRUE(await(home_.open()->close()).ok());
  EXPECT_FALSE(fs::exists(copy()));
}

TEST_F(SqliteMigrationTest, ANewDirectoryIsMadeAtTheNewestVersion) {
  SqliteHome fresh;
  fresh.schema = &version3_;
  ASSERT_TRUE(await(fresh.open()->close()).ok());
  EXPECT_EQ(number(fresh.file(), "PRAGMA user_version"), 3);
  EXPECT_FALSE(fs::exists(fresh.directory() / "state.db.before-v3"));
}

TEST_F(SqliteMigrationTest, AFailedStepLeavesTheFileAsItWas) {
  const auto steps = steps_and(kBad);
  const sqlite::SchemaPlan bad{.version = 3, .steps = steps};
  home_.schema = &bad;
  ASSERT_FALSE(home_.try_open().ok());
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 2);
  EXPECT_EQ(number(home_.file(), "SELECT count(*) FROM pragma_table_info('sources')"), 3);
  home_.schema = nullptr;
  EXPECT_EQ(must(await(home_.open()->head())).seq, 1);
  EXPECT_TRUE(must(sqlite::verify(home_.directory())).ok());
}

TEST_F(SqliteMigrationTest, AMissingStepIsRefused) {
  const sqlite::SchemaPlan gap{.version = 4, .steps = good_};
  home_.schema = &gap;
  const auto opened = home_.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(number(home_.file(), "PRAGMA user_version"), 2);
}

TEST_F(SqliteMigrationTest, ANewerFileIsRefusedByAllDoors) {
  home_.schema = &version3_;
  ASSERT_TRUE(await(home_.open()->close()).ok());
  home_.schema = nullptr;
  const auto opened = home_.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(opened.error().message.find("schema version 3"), std::string::npos);
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
