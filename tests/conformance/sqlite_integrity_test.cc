// What verify, the check at start and the backup find, and what people read with plain SQL.

#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/sqlite/backup.h"
#include "store/sqlite/integrity.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

namespace fs = std::filesystem;

void run_sql(const fs::path& file, const std::string& sql) {
  auto database = must(sqlite::Database::open(file, sqlite::OpenMode::kWriter));
  ASSERT_EQ(database.execute(sql), SQLITE_OK) << sql << ": " << database.message();
}

// The rows of a query, columns joined by '|', as the sqlite3 shell prints them.
std::string query(const fs::path& file, const std::string& sql, int columns) {
  auto database = must(sqlite::Database::open(file, sqlite::OpenMode::kSnapshot));
  auto statement = must(database.prepare(sql, false));
  std::string out;
  while (statement.step() == SQLITE_ROW) {
    for (int i = 0; i < columns; ++i) out += fmt::format("{}{}", i ? "|" : "", statement.text(i));
    out += '\n';
  }
  return out;
}

// A store with one of everything, closed.
class SqliteIntegrityTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = home_.open();
    batches_.accept("m-1", "stream.state", "off", {.actor = "alice", .reason = "start"});
    batches_.effect("rule-1");
    batches_.accept("m-2", "counter", 2, {.op = Op::kIncrement});
    batches_.accept("m-3", "counter", 3, {.op = Op::kIncrement});
    batches_.reject("m-4", "counter", RejectionCode::kVersionConflict);
    batches_.accept("m-5", "stream.state", "on", {.actor = "bob", .reason = "went live"});
    batches_.accept("m-6", "title", "MARKER-VALUE", {.ttl = std::chrono::milliseconds{5000}});
    batches_.accept("m-7", "gone", 1);
    batches_.accept("m-8", "gone", std::nullopt, {.op = Op::kDelete});
    ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
    ASSERT_TRUE(await(store->close()).ok());
  }

  sqlite::VerifyReport verify() { return must(sqlite::verify(home_.directory())); }

  SqliteHome home_;
  BatchBuilder batches_;
};

std::string all_messages(const sqlite::VerifyReport& report) {
  std::string out;
  for (const auto& problem : report.problems) {
    out += fmt::format("seq {} key '{}': {}\n", problem.seq, problem.key, problem.message);
  }
  return out;
}

TEST_F(SqliteIntegrityTest, ASoundDirectoryVerifiesAndReportsWhatWasChecked) {
  int calls = 0;
  sqlite::VerifyProgress last;
  const auto report = must(sqlite::verify(home_.directory(), [&](const auto& progress) {
    ++calls;
    last = progress;
  }));
  EXPECT_TRUE(report.ok()) << all_messages(report);
  EXPECT_EQ(report.entries, 8);
  EXPECT_EQ(report.keys, 4);
  EXPECT_EQ(report.effects, 1);
  EXPECT_EQ(report.head_seq, 8);
  EXPECT_EQ(report.head_hash, batches_.hash());
  EXPECT_FALSE(report.engine_id.empty());
  EXPECT_GT(calls, 0);
  EXPECT_EQ(last.entries_done, 8);
  EXPECT_EQ(last.entries_total, 8);
}

TEST_F(SqliteIntegrityTest, VerifyRunsBesideALiveEngine) {
  auto store = home_.open();
  batches_.accept("m-9", "late", 1);
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(verify().entries, 9) << "sees what is still in the WAL";
  EXPECT_TRUE(verify().ok());
  batches_.accept("m-10", "late", 2);
  EXPECT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
}

TEST_F(SqliteIntegrityTest, VerifyOfNothingSaysThatNothingIsThere) {
  const TemporaryDirectory empty;
  const auto report = sqlite::verify(empty.path());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
}

struct Tampering {
  const char* sql;
  std::int64_t seq;     // that the report must name
  const char* message;  // that it must hold
  bool found_at_start;  // also by the fast check
};

// I1, I2, I3, I10: each change by hand is found, with its place.
TEST_F(SqliteIntegrityTest, EveryTamperingIsFoundWithItsPlace) {
  const Tampering cases[] = {
      {"UPDATE mutation_log SET value = '\"maybe\"' WHERE seq = 5", 5, "it was altered", true},
      {"UPDATE mutation_log SET value = 'broken' WHERE seq = 1", 1, "value", true},
      {"UPDATE mutation_log SET actor = 'mallory' WHERE seq = 1", 1, "it was altered", true},
      {"UPDATE mutation_log SET reason = '' WHERE seq = 5", 5, "it was altered", true},
      {"UPDATE mutation_log SET result = '6' WHERE seq = 3", 3, "not what increment gives", true},
      {"UPDATE mutation_log SET hash = prev_hash WHERE seq = 2", 2, "hash is", true},
      {"UPDATE mutation_log SET prev_hash = hash WHERE seq = 2", 2, "prev_hash is", true},
      {"UPDATE mutation_log SET version = 3 WHERE seq = 3", 3, "from version 1 to 3", true},
      {"UPDATE mutation_log SET status = 'accepted' WHERE seq = 4", 4, "it was altered", true},
      {"UPDATE mutation_log SET op = 'paint' WHERE seq = 4", 4, "unknown op", true},
      {"DELETE FROM mutation_log WHERE seq = 4", 5, "entries are missing", true},
      {"DELETE FROM mutation_log WHERE seq = 8", 7, "meta expects entry 8", true},
      {"UPDATE meta SET value = '9' WHERE key = 'head_seq'", 8, "meta expects entry 9", true},
      {"UPDATE folded_state SET value = '6' WHERE key = 'counter'", 3, "not what the log gives",
       false},
      {"UPDATE folded_state SET value = 'x' WHERE key = 'counter'", 3, "value", false},
      {"UPDATE folded_state SET version = 7 WHERE key = 'counter'", 3, "the log gives 2", true},
      {"UPDATE folded_state SET deleted = 0 WHERE key = 'gone'", 8, "not what the log gives",
       false},
      {"UPDATE folded_state SET updated_by = 'eve' WHERE key = 'title'", 6, "actor", false},
      {"UPDATE folded_state SET expires_at = NULL WHERE key = 'title'", 6, "deadline", false},
      {"DELETE FROM folded_state WHERE key = 'title'", 6, "no row", true},
      {"UPDATE folded_state SET key = 'stray' WHERE key = 'title'", 0, "no accepted entry", true},
      {"DELETE FROM log_keys WHERE seq = 5", 5, "not found by its key", false},
      {"UPDATE log_keys SET key = 'title' WHERE seq = 5", 5, "not of this key", false},
      {"UPDATE meta SET value = '9' WHERE key = 'folded_seq'", 0, "the log ends in entry 8", true},
      {"UPDATE meta SET value = 'x' WHERE key = 'folded_seq'", 0, "folded_seq 'x'", true},
      {"UPDATE outbox SET cause_id = 'm-4', cause_seq = 4", 4, "no accepted cause", false},
      {"DELETE FROM mutation_log", 0, "meta expects entry 8", true},
  };
  for (const Tampering& tampering : cases) {
    SCOPED_TRACE(tampering.sql);
    const TemporaryDirectory temporary;
    const fs::path copy = temporary.path() / "data";
    fs::create_directories(copy);
    fs::copy_file(home_.file(), copy / "state.db");
    run_sql(copy / "state.db", tampering.sql);
    const auto report = must(sqlite::verify(copy));
    EXPECT_GT(report.problem_count, 0);
    bool named = false;
    for (const auto& problem : report.problems) {
      named = named || (problem.seq == tampering.seq &&
                        problem.message.find(tampering.message) != std::string::npos);
    }
    EXPECT_TRUE(named) << all_messages(report);
    SqliteHome damaged(copy);
    const auto opened = damaged.try_open();
    EXPECT_EQ(opened.ok(), !tampering.found_at_start);
    if (!opened.ok()) {
      EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
      EXPECT_NE(opened.error().message.find("verify"), std::string::npos);
    }
  }
}

std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// One flipped bit in the text of a value, in the log or in the state, is found.
TEST_F(SqliteIntegrityTest, AFlippedBitInAValueIsFound) {
  const std::string sound = read_bytes(home_.file());
  int flips = 0;
  for (std::size_t at = sound.find("MARKER-VALUE"); at != std::string::npos;
       at = sound.find("MARKER-VALUE", at + 1)) {
    std::string bytes = sound;
    bytes[at + 3] = static_cast<char>(bytes[at + 3] ^ 1);
    const TemporaryDirectory temporary;
    std::ofstream(temporary.path() / "state.db", std::ios::binary) << bytes;
    const auto report = must(sqlite::verify(temporary.path()));
    EXPECT_FALSE(report.ok()) << "flip at byte " << at;
    ++flips;
  }
  EXPECT_GE(flips, 2) << "the value is in the log and in the state";
}

// Any flipped bit is found, or the log and the state are as they were (free space, unused bytes).
TEST_F(SqliteIntegrityTest, ARandomFlippedBitIsFoundOrHarmless) {
  const std::string sound = read_bytes(home_.file());
  constexpr std::uint64_t kSeed = 42;
  SeededRandom random(kSeed);
  int found = 0;
  const TemporaryDirectory temporary;
  for (int i = 0; i < 150; ++i) {
    const auto bit = random.below(sound.size() * 8);
    SCOPED_TRACE(fmt::format("seed {} bit {}", kSeed, bit));
    std::string bytes = sound;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    std::ofstream(temporary.path() / "state.db", std::ios::binary) << bytes;
    const auto report = sqlite::verify(temporary.path());
    if (!report.ok() || !report->ok()) {
      ++found;
      continue;
    }
    EXPECT_EQ(report->head_hash, batches_.hash());
    EXPECT_EQ(report->entries, 8);
    EXPECT_EQ(report->keys, 4);
  }
  EXPECT_GT(found, 0);
}

TEST_F(SqliteIntegrityTest, ABackupOfALiveEngineVerifiesOpensAndGoesOn) {
  auto store = home_.open();
  batches_.accept("m-9", "late", 1);
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  const TemporaryDirectory other;
  const fs::path target = other.path() / "copy.db";
  const auto report = must(sqlite::backup(home_.directory(), target));
  EXPECT_TRUE(report.verified.ok());
  EXPECT_EQ(report.verified.head_seq, 9);
  EXPECT_EQ(report.verified.head_hash, batches_.hash());
  EXPECT_EQ(report.bytes, static_cast<std::int64_t>(fs::file_size(target)));
  struct stat status {};
  ASSERT_EQ(::stat(target.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 077U, 0U);
  int files = 0;
  for (const auto& file : fs::directory_iterator(other.path())) files += file.exists() ? 1 : 0;
  EXPECT_EQ(files, 1) << "nothing is left beside the copy";

  const auto again = sqlite::backup(home_.directory(), target);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kFailedPrecondition);

  // Restore as the header of backup.h says.
  fs::create_directories(other.path() / "data");
  fs::copy_file(target, other.path() / "data" / "state.db");
  SqliteHome restored(other.path() / "data");
  auto second = restored.open();
  EXPECT_EQ(must(await(second->head())).engine_id, must(await(store->head())).engine_id);
  batches_.accept("m-10", "late", 2);
  EXPECT_EQ(await(second->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
}

TEST_F(SqliteIntegrityTest, ABackupOfDamagedDataIsNotPublished) {
  run_sql(home_.file(), "UPDATE mutation_log SET actor = 'mallory' WHERE seq = 1");
  const TemporaryDirectory other;
  const auto report = sqlite::backup(home_.directory(), other.path() / "copy.db");
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(report.error().message.find("it was altered"), std::string::npos);
  EXPECT_FALSE(fs::exists(other.path() / "copy.db"));
}

TEST_F(SqliteIntegrityTest, OneLineOfSqlSaysWhoChangedAKeyAndWhy) {
  EXPECT_EQ(query(home_.file(),
                  "SELECT actor, op, value, reason FROM history WHERE key = 'stream.state' AND "
                  "committed_at >= date('2025-10-09')",
                  4),
            "alice|set|\"off\"|start\nbob|set|\"on\"|went live\n");
  EXPECT_EQ(query(home_.file(), "SELECT value, version FROM history WHERE key = 'counter'", 2),
            "2|1\n5|2\n");
  EXPECT_EQ(query(home_.file(), "SELECT code, actor, expected_version FROM rejections", 3),
            "version_conflict|tester|41\n");
}

// Every criterion of a log query has its index, and rows come in order without sorting.
TEST_F(SqliteIntegrityTest, LogQueriesUseTheirIndexWithoutSorting) {
  for (const char* where :
       {"actor = 'a'", "causation_id = 'a'", "transaction_id = 'a'", "id = 'a'"}) {
    const std::string plan = query(
        home_.file(),
        fmt::format("EXPLAIN QUERY PLAN SELECT * FROM mutation_log WHERE seq > 0 AND seq < 99 "
                    "AND {} ORDER BY seq DESC LIMIT 5",
                    where),
        4);
    EXPECT_NE(plan.find("USING INDEX"), std::string::npos) << where << ": " << plan;
    if (std::string_view(where) != "id = 'a'") {
      EXPECT_EQ(plan.find("TEMP B-TREE"), std::string::npos) << where << ": " << plan;
    }
  }
  const std::string by_key = query(
      home_.file(),
      "EXPLAIN QUERY PLAN SELECT * FROM (SELECT seq AS at FROM log_keys WHERE key = 'a' AND seq > "
      "0 "
      "AND seq < 99) CROSS JOIN mutation_log ON mutation_log.seq = at ORDER BY at DESC LIMIT 5",
      4);
  EXPECT_NE(by_key.find("USING PRIMARY KEY (key=?"), std::string::npos) << by_key;
  EXPECT_EQ(by_key.find("TEMP B-TREE"), std::string::npos) << by_key;
}

}  // namespace
}  // namespace state_engine::test
