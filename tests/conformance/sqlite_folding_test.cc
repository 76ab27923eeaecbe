// Commits write to the log only, the tables by key follow: that nobody can tell, except by looking.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <sys/wait.h>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "store/sqlite/integrity.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/unfolded_log.h"
#include "tests/conformance/fault_vfs.h"
#include "tests/conformance/sqlite_home.h"

namespace state_engine::test {
namespace {

namespace fs = std::filesystem;

std::int64_t number(const fs::path& file, const std::string& sql) {
  auto database = must(sqlite::Database::open(file, sqlite::OpenMode::kSnapshot));
  return must(database.query_integer(sql)).value_or(-1);
}

void run_sql(const fs::path& file, const std::string& sql) {
  auto database = must(sqlite::Database::open(file, sqlite::OpenMode::kWriter));
  ASSERT_EQ(database.execute(sql), SQLITE_OK) << sql << ": " << database.message();
}

std::int64_t folded_seq(const SqliteHome& home) {
  return number(home.file(), "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'folded_seq'");
}

std::string problems(const sqlite::VerifyReport& report) {
  std::string out;
  for (const auto& problem : report.problems) {
    out += fmt::format("seq {} key '{}': {}\n", problem.seq, problem.key, problem.message);
  }
  return out;
}

void expect_verified(const SqliteHome& home) {
  const auto report = must(sqlite::verify(home.directory()));
  EXPECT_TRUE(report.ok()) << problems(report);
}

// --- UnfoldedLog --------------------------------------------------------------------------------

using Seqs = std::vector<std::int64_t>;

TEST(UnfoldedLogTest, FindsTheEntriesOfAKeyInBothLayersNewestFirst) {
  sqlite::UnfoldedLog log(10);
  log.append({{"a", true}, {"b", false}, {"a", false}});
  ASSERT_TRUE(log.freeze());
  EXPECT_FALSE(log.freeze()) << "one fold at a time";
  log.append({{"a", true}, {"ab", true}});
  EXPECT_EQ(log.young_size(), 2U);
  EXPECT_EQ(log.of_key("a", {}, 10).seqs, (Seqs{14, 13, 11}));
  EXPECT_EQ(log.of_key("a", {}, 2).seqs, (Seqs{14, 13}));
  EXPECT_EQ(log.of_key("a", {.after = 11, .before = 14}, 10).seqs, (Seqs{13}));
  EXPECT_EQ(log.of_key("nobody", {}, 10).seqs, Seqs{});
  EXPECT_EQ(log.with_prefix("a", {}).seqs, (Seqs{15, 14, 13, 11}));
  EXPECT_EQ(log.with_prefix("", {.after = 12}).seqs, (Seqs{15, 14, 13}));
  EXPECT_EQ(log.of_key("a", {}, 10).folded_seq, 10);
  EXPECT_EQ(log.frozen()->keys.at("a").last_accepted, 11);
  EXPECT_EQ(log.frozen()->keys.at("b").last_accepted, 0);
  EXPECT_EQ(log.frozen()->last_seq(), 13);
  log.drop_frozen();
  EXPECT_EQ(log.of_key("a", {}, 10).folded_seq, 13);
  EXPECT_EQ(log.of_key("a", {}, 10).seqs, (Seqs{14}));
  for (int i = 0; i < 3; ++i) log.forget(1);
}

// --- the store ----------------------------------------------------------------------------------

// Random batches on a store that folds all the time. After each, what the store answers and what
// people and other processes read from its file is what was committed.
class SqliteFoldingTest : public testing::Test {
 protected:
  explicit SqliteFoldingTest(std::uint64_t seed = 7) : random_(seed) {}

  void commit_some(StateStore& store) {
    const auto count = 1 + random_.below(9);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string id = fmt::format("m-{}", ++ids_);
      const std::string key = fmt::format("{}.{}", random_.below(2) ? "a" : "b", random_.below(6));
      const Extra extra{.actor = random_.below(3) ? "ann" : "bob"};
      const auto kind = random_.below(8);
      const auto before = batches_.state().find(key);
      const bool there = before != batches_.state().end() && !before->second->deleted;
      if (kind == 0) {
        keep(batches_.reject(id, key, RejectionCode::kVersionConflict));
      } else if (kind == 1 && there) {
        keep(batches_.accept(id, key, std::nullopt, {.op = Op::kDelete}));
      } else if (kind == 2) {
        keep(batches_.accept(id, key, ids_, {.ttl = std::chrono::milliseconds{random_.below(99)}}));
      } else {
        keep(batches_.accept(id, key, json::Value(std::string(random_.below(40), 'v')), extra));
      }
    }
    ASSERT_EQ(await(store.commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  }

  void keep(const LogEntry& entry) { entries_.push_back(entry); }

  Seqs wanted(const LogQuery& query) const {
    Seqs out;
    for (const LogEntry& entry : entries_) {
      const bool before = query.before_seq == 0 || entry.seq < query.before_seq;
      if (entry.seq > query.after_seq && before && entry.proposal.key.starts_with(query.prefix) &&
          (query.key.empty() || entry.proposal.key == query.key) &&
          (query.actor.empty() || entry.proposal.actor == query.actor)) {
        out.push_back(entry.seq);
      }
    }
    if (query.newest_first) std::reverse(out.begin(), out.end());
    if (out.size() > query.limit) out.resize(query.limit);
    return out;
  }

  LogQuery random_query() {
    LogQuery query;
    if (random_.below(2)) {
      query.key = fmt::format("{}.{}", random_.below(2) ? "a" : "b", random_.below(6));
    } else {
      query.prefix = random_.below(2) ? "a." : "b.1";
    }
    if (random_.below(3) == 0) query.actor = "bob";
    const auto last = static_cast<std::uint64_t>(batches_.seq());
    if (random_.below(2)) query.after_seq = static_cast<std::int64_t>(random_.below(last + 2));
    if (random_.below(2)) query.before_seq = static_cast<std::int64_t>(random_.below(last + 2));
    query.newest_first = random_.below(2) != 0;
    query.limit = 1 + random_.below(6);
    return query;
  }

  static Seqs seqs_of(const std::vector<LogEntry>& entries) {
    Seqs out;
    for (const LogEntry& entry : entries) out.push_back(entry.seq);
    return out;
  }

  void expect_answers(StateStore& store) {
    auto database = must(sqlite::Database::open(home_.file(), sqlite::OpenMode::kSnapshot));
    auto other = must(sqlite::Reader::create(std::move(database)));
    for (int i = 0; i < 6; ++i) {
      const LogQuery query = random_query();
      SCOPED_TRACE(fmt::format("key '{}' prefix '{}' actor '{}' ({}, {}) {} {}", query.key,
                               query.prefix, query.actor, query.after_seq, query.before_seq,
                               query.newest_first, query.limit));
      EXPECT_EQ(seqs_of(must(await(store.read_log(query)))), wanted(query));
      EXPECT_EQ(seqs_of(must(other->read_log(query))), wanted(query)) << "another process";
    }
    const auto limit = 1 + random_.below(9);
    expect_state(must(await(store.scan_snapshots("a.2", limit))), "a.2", limit);
    expect_state(must(other->scan_snapshots("", 100)), "", 100);
  }

  void expect_state(const std::vector<SnapshotPtr>& found, const std::string& after,
                    std::size_t limit) {
    std::vector<SnapshotPtr> wanted;
    for (const auto& [key, snapshot] : batches_.state()) {
      if (key > after && wanted.size() < limit) wanted.push_back(snapshot);
    }
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) expect_same(*found[i], *wanted[i]);
  }

  void expect_loaded(StateStore& store) {
    const LoadedState loaded = must(await(store.load_state()));
    std::map<std::string, std::int64_t> versions;
    for (const SnapshotPage& page : loaded.pages) {
      for (std::size_t i = 0; i < page.size(); ++i) {
        versions[std::string(page.at(i).key())] = page.at(i).version();
      }
    }
    EXPECT_EQ(versions.size(), batches_.state().size());
    for (const auto& [key, snapshot] : batches_.state())
      EXPECT_EQ(versions[key], snapshot->version);
  }

  SqliteHome home_;
  SeededRandom random_;
  BatchBuilder batches_;
  std::vector<LogEntry> entries_;
  std::int64_t ids_ = 0;
};

TEST_F(SqliteFoldingTest, NobodyCanTellHowFarItIs) {
  std::int64_t lagging = 0;
  std::int64_t moved = 0;
  for (const std::size_t together : {1UL, 20UL, 60UL, 1000UL}) {
    SCOPED_TRACE(together);
    home_.unfolded_entries_max = together;
    auto store = home_.open();
    const std::int64_t from = folded_seq(home_);
    for (int i = 0; i < 40; ++i) {
      commit_some(*store);
      expect_answers(*store);
      lagging += folded_seq(home_) < batches_.seq() ? 1 : 0;
    }
    moved += folded_seq(home_) > from ? 1 : 0;
    expect_verified(home_);
    // People see the same in plain SQL.
    EXPECT_EQ(number(home_.file(), "SELECT sum(version) FROM state"),
              number(home_.file(), "SELECT count(*) FROM mutation_log WHERE status = 'accepted'"));
    ASSERT_TRUE(await(store->close()).ok());
    EXPECT_EQ(folded_seq(home_), batches_.seq()) << "close() folds all";
    expect_verified(home_);
  }
  EXPECT_GT(lagging, 50);
  EXPECT_GE(moved, 2) << "commits carry the fold";
}

TEST_F(SqliteFoldingTest, AStartAfterACrashFoldsWhatIsMissing) {
  for (int run = 0; run < 6; ++run) {
    home_.unfolded_entries_max = 30;
    auto store = home_.open();
    EXPECT_EQ(folded_seq(home_), batches_.seq());
    expect_answers(*store);
    for (int i = 0; i < 17; ++i) commit_some(*store);
    EXPECT_LT(folded_seq(home_), batches_.seq());
    store.reset();  // without close(), in the midst of a fold
  }
  auto store = home_.open();
  EXPECT_EQ(folded_seq(home_), batches_.seq());
  expect_answers(*store);
  ASSERT_TRUE(await(store->close()).ok());
  expect_verified(home_);
}

// Commits with folds in them, and says of each that it was acknowledged, until it is killed.
[[noreturn]] void commit_until_killed(SqliteHome& home, int acknowledged) {
  auto store = home.open();
  BatchBuilder batches;
  for (std::int64_t number = 0;; ++number) {
    for (int i = 0; i < 5; ++i) {
      batches.accept(fmt::format("m-{}-{}", number, i), fmt::format("k.{}.{}", number % 7, i), i);
    }
    if (await(store->commit(batches.take())).outcome != CommitOutcome::kCommitted) ::_exit(1);
    const std::int64_t last = batches.seq();
    if (::write(acknowledged, &last, sizeof last) != sizeof last) ::_exit(1);
  }
}

// I4, I5.
TEST_F(SqliteFoldingTest, AfterAKillWhatWasAcknowledgedIsThereAndFolds) {
  std::int64_t folds_seen = 0;
  for (int run = 0; run < 8; ++run) {
    SCOPED_TRACE(run);
    SqliteHome home;
    home.unfolded_entries_max = 40;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_until_killed(home, ends[1]);
    ::close(ends[1]);
    const auto enough = static_cast<std::int64_t>(100 + random_.below(1500));
    std::int64_t acknowledged = 0;
    std::int64_t last = 0;
    bool killed = false;
    while (::read(ends[0], &last, sizeof last) == sizeof last) {
      acknowledged = last;
      if (acknowledged < enough || killed) continue;
      EXPECT_EQ(::kill(child, SIGKILL), 0);
      killed = true;
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    expect_verified(home);
    folds_seen += folded_seq(home) > 0 ? 1 : 0;
    auto store = home.open();
    const std::int64_t seq = must(await(store->head())).seq;
    EXPECT_GE(seq, acknowledged);
    EXPECT_EQ(seq % 5, 0) << "half a batch";
    EXPECT_EQ(folded_seq(home), seq);
    EXPECT_EQ(number(home.file(), "SELECT sum(version) FROM state"), seq);
    ASSERT_TRUE(await(store->close()).ok());
    expect_verified(home);
  }
  EXPECT_GT(folds_seen, 4);
}

TEST_F(SqliteFoldingTest, LoadingTheStateSeesWhatIsNotFolded) {
  auto store = home_.open();
  for (int i = 0; i < 5; ++i) commit_some(*store);
  expect_loaded(*store);
}

// The policy's default ttl is in the snapshot only, not in the proposal.
TEST_F(SqliteFoldingTest, ADeadlineThatNobodyProposedIsKept) {
  auto store = home_.open();
  batches_.accept("m-1", "k", 1, {.ttl = std::chrono::milliseconds{5000}});
  batches_.amend([](LogEntry& entry) { entry.proposal.ttl.reset(); });
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  store.reset();
  store = home_.open();
  const auto found = must(await(store->scan_snapshots("", 10)));
  ASSERT_EQ(found.size(), 1U);
  expect_same(*found[0], *batches_.state().at("k"));
  EXPECT_TRUE(found[0]->expires_at.has_value());
}

// While the disk is full nothing folds; later it goes on, and nothing was lost.
TEST_F(SqliteFoldingTest, AFullDiskDelaysTheFoldOnly) {
  FaultVfs vfs;
  home_.vfs = vfs.name();
  home_.unfolded_entries_max = 4;
  auto store = home_.open();
  for (int i = 0; i < 10; ++i) commit_some(*store);
  vfs.arm({.fail_at = 0, .write_code = SQLITE_FULL, .sticky = true});
  expect_loaded(*store);
  // Also a process that starts now serves all there is.
  store.reset();
  store = home_.open();
  expect_loaded(*store);
  expect_answers(*store);
  batches_.accept("m-full", "a.1", 1);
  const BatchPtr late = batches_.take();
  EXPECT_EQ(await(store->commit(late)).outcome, CommitOutcome::kNotCommitted);
  vfs.disarm();
  EXPECT_EQ(await(store->commit(late)).outcome, CommitOutcome::kCommitted);
  keep(late->entries.at(0));
  for (int i = 0; i < 10; ++i) commit_some(*store);
  expect_answers(*store);
  ASSERT_TRUE(await(store->close()).ok());
  home_.vfs.clear();
  expect_verified(home_);
  EXPECT_EQ(folded_seq(home_), batches_.seq());
}

// A row that lags is compared with the entry that it is of.
TEST_F(SqliteFoldingTest, ADamagedRowIsFoundAlsoWhileItLags) {
  auto store = home_.open();
  batches_.accept("m-1", "k", 1);
  batches_.accept("m-2", "other", 1);
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  ASSERT_TRUE(await(store->close()).ok());
  store = home_.open();
  batches_.accept("m-3", "k", 2);
  ASSERT_EQ(await(store->commit(batches_.take())).outcome, CommitOutcome::kCommitted);
  store.reset();
  expect_verified(home_);
  for (const char* sql :
       {"UPDATE folded_state SET value = '7' WHERE key = 'k'",
        "UPDATE folded_state SET version = 2 WHERE key = 'k'",
        "UPDATE folded_state SET seq = 2 WHERE key = 'k'",
        "UPDATE folded_state SET updated_by = 'eve' WHERE key = 'k'",
        "DELETE FROM folded_state WHERE key = 'k'", "DELETE FROM log_keys WHERE key = 'k'"}) {
    SCOPED_TRACE(sql);
    const TemporaryDirectory temporary;
    fs::copy(home_.directory(), temporary.path() / "data", fs::copy_options::recursive);
    run_sql(temporary.path() / "data" / "state.db", sql);
    EXPECT_FALSE(must(sqlite::verify(temporary.path() / "data")).ok());
  }
}

}  // namespace
}  // namespace state_engine::test
