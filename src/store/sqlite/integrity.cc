// One pass over the log folds it, chains it and checks versions; the tables are compared at the
// end. Two things are done beside it, each on a thread of its own, because they cost as much as all
// the rest: SQLite's own check of the file, on a second connection, and the hashes of the entries
// that were read last.

#include "store/sqlite/integrity.h"

#include <algorithm>
#include <future>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/json.h"
#include "core/apply.h"
#include "core/chain.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/log_facts.h"
#include "store/sqlite/row_codec.h"
#include "store/sqlite/schema.h"

namespace state_engine::sqlite {
namespace {

constexpr std::size_t kProblemsKept = 1000;
constexpr std::int64_t kProgressEvery = 10'000;
constexpr int kHashColumn = 30;  // of kLogColumns
constexpr std::size_t kHashedTogether = 512;
// integrity_check looks every row up in every index: with room for these it does not read the same
// pages again and again.
constexpr int kFileCheckCacheKib = 256 * 1024;

void add_problem(VerifyReport& report, std::int64_t seq, std::string key, std::string message) {
  ++report.problem_count;
  if (report.problems.size() >= kProblemsKept) return;
  report.problems.push_back({seq, std::move(key), std::move(message)});
}

// The log, folded: what the snapshot of each key must be.
struct Folded {
  std::int64_t version = 0;
  std::int64_t seq = 0;
  Timestamp committed_at{};
  std::optional<std::chrono::milliseconds> ttl;
  std::string mutation_id;
  std::string actor;
  std::string reason;
  json::Value value;
  bool deleted = true;
  bool in_state = false;
  std::int64_t stored_from = 0;  // the last entry that the tables hold; 0 = none need be there
};

// One row of the log as it was read.
struct LogRow {
  std::int64_t seq = 0;
  std::string key;
  std::string hash;
  Result<LogEntry> entry;
};

// Rows whose hashes are computed meanwhile; their faults come in the order of the rows.
struct HashedRows {
  std::vector<LogRow> rows;
  std::future<std::vector<std::string>> faults;
};

std::vector<std::string> chain_faults(LogEnd before, const std::vector<LogRow>& rows) {
  std::vector<std::string> faults;
  faults.reserve(rows.size());
  for (const LogRow& row : rows) {
    faults.push_back(row.entry.ok() ? chain_fault(before, *row.entry) : std::string());
    before = {row.seq, row.hash};
  }
  return faults;
}

class Verification {
 public:
  Verification(Database& database, const std::filesystem::path& file, VerifyReport& report,
               const VerifyProgressCallback& progress)
      : database_(database), file_(file), report_(report), progress_(progress) {}

  Status run();

 private:
  Status run_checks();
  Status check_log();
  Status check_head();
  Status check_state();
  Status check_outbox();

  void read_row(const Statement& row);
  // Sends what was read to be hashed, and checks what was sent before.
  void hash_pending();
  void check_hashed();
  void check_row(LogRow& row, std::string chain_fault);
  void fold(LogEntry entry);
  void check_snapshot(const Snapshot& snapshot);
  // Of a key whose later entries are not folded yet: what its own entry gave.
  void check_older_snapshot(const Snapshot& snapshot, const Folded& last);
  void check_snapshot_source(const Snapshot& snapshot, const Folded& last);

  Database& database_;
  const std::filesystem::path& file_;
  VerifyReport& report_;
  const VerifyProgressCallback& progress_;
  std::int64_t total_ = 0;
  std::int64_t folded_seq_ = 0;
  LogEnd end_{0, genesis_hash()};
  Timestamp last_committed_at_ = Timestamp::min();
  std::vector<LogRow> pending_;
  LogEnd pending_end_{0, genesis_hash()};  // of the entry ahead of them
  HashedRows hashed_;
  std::unordered_map<std::string, Folded> folded_;
};

// Steps through `sql`; damage that SQLite meets becomes a problem of `report`.
template <typename Visit>
Status each_row(Database& database, VerifyReport& report, const std::string& sql,
                std::string_view table, Visit visit) {
  auto select = database.prepare(sql, false);
  if (!select.ok()) return std::move(select).error();
  while (true) {
    const int code = select->step();
    if (code == SQLITE_DONE) return {};
    if (code == SQLITE_ROW) {
      visit(*select);
      continue;
    }
    const Error error = database.to_error(code, fmt::format("read all of {}", table));
    if (!is_fatal(code)) return error;
    add_problem(report, 0, {}, error.message);
    return {};
  }
}

// A row of the log that is not found by its key would be missing from a history. The log is read in
// its order, and looked up in the smaller table; only if rows are left there are they named.
Status check_keys(Database& database, VerifyReport& report) {
  constexpr std::string_view kFolded =
      "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'folded_seq')";
  const std::int64_t before = report.problem_count;
  SE_RETURN_IF_ERROR(each_row(
      database, report,
      fmt::format("SELECT m.seq, m.key FROM mutation_log m WHERE m.seq <= {} AND NOT EXISTS "
                  "(SELECT 1 FROM log_keys k WHERE k.key = m.key AND k.seq = m.seq)",
                  kFolded),
      "log_keys", [&](const Statement& row) {
        add_problem(report, row.integer(0), std::string(row.text(1)),
                    "the entry is not in log_keys, so it is not found by its key");
      }));
  auto more = database.query_integer(
      fmt::format("SELECT (SELECT count(*) FROM log_keys WHERE seq <= {0}) - {0}", kFolded));
  if (!more.ok()) return std::move(more).error();
  const bool exact = report.problem_count == before && *more == 0;
  return each_row(
      database, report,
      fmt::format("SELECT k.key, k.seq FROM log_keys k LEFT JOIN mutation_log m ON m.seq = k.seq "
                  "WHERE m.key IS NOT k.key AND k.seq > {}",
                  exact ? kFolded : "0"),
      "log_keys", [&](const Statement& row) {
        add_problem(report, row.integer(1), std::string(row.text(0)),
                    "log_keys names an entry that is not of this key");
      });
}

// SQLite's own check, and the log by its keys; what they find goes to `report`.
Status check_file(const std::filesystem::path& file, VerifyReport& report) {
  auto database = Database::open(file, OpenMode::kSnapshot);
  if (!database.ok()) return std::move(database).error();
  const std::string cache = fmt::format("PRAGMA cache_size=-{}", kFileCheckCacheKib);
  if (const int code = database->execute(cache); code != SQLITE_OK) {
    return database->to_error(code, "prepare to check the file");
  }
  SE_RETURN_IF_ERROR(each_row(
      *database, report, "PRAGMA integrity_check(100)", "state.db", [&](const Statement& row) {
        if (row.text(0) == "ok") return;
        add_problem(report, 0, {}, fmt::format("integrity_check: {}", row.text(0)));
      }));
  return check_keys(*database, report);
}

Status Verification::check_log() {
  auto total = database_.query_integer("SELECT max(seq) FROM mutation_log");
  if (!total.ok()) return std::move(total).error();
  total_ = total->value_or(0);
  SE_RETURN_IF_ERROR(each_row(database_, report_,
                              fmt::format("SELECT {} FROM mutation_log ORDER BY seq", kLogColumns),
                              "mutation_log", [this](const Statement& row) { read_row(row); }));
  hash_pending();
  check_hashed();
  if (progress_) progress_({report_.entries, total_});
  report_.head_seq = end_.seq;
  report_.head_hash = end_.hash;
  return {};
}

void Verification::read_row(const Statement& row) {
  pending_.push_back({row.integer(0), std::string(row.text(2)), std::string(row.text(kHashColumn)),
                      read_log_entry(row)});
  if (pending_.size() == kHashedTogether) hash_pending();
}

void Verification::hash_pending() {
  if (pending_.empty()) return;
  const LogEnd before = std::exchange(pending_end_, {pending_.back().seq, pending_.back().hash});
  std::vector<LogRow> rows = std::exchange(pending_, {});
  pending_.reserve(kHashedTogether);
  check_hashed();
  hashed_.rows = std::move(rows);
  hashed_.faults =
      std::async(std::launch::async, [this, before] { return chain_faults(before, hashed_.rows); });
}

void Verification::check_hashed() {
  if (hashed_.rows.empty()) return;
  std::vector<std::string> faults = hashed_.faults.get();
  for (std::size_t i = 0; i < faults.size(); ++i) {
    check_row(hashed_.rows[i], std::move(faults[i]));
  }
  hashed_.rows.clear();
}

void Verification::check_row(LogRow& row, std::string chain_fault) {
  ++report_.entries;
  if (progress_ && report_.entries % kProgressEvery == 0) progress_({report_.entries, total_});
  auto& entry = row.entry;
  if (!entry.ok()) {
    add_problem(report_, row.seq, std::move(row.key), entry.error().message);
    end_ = {row.seq, std::move(row.hash)};
    return;
  }
  if (!chain_fault.empty()) {
    add_problem(report_, entry->seq, entry->proposal.key, std::move(chain_fault));
  }
  if (entry->committed_at < last_committed_at_) {
    add_problem(
        report_, entry->seq, entry->proposal.key,
        fmt::format("committed at {}, before the entry ahead of it ({})",
                    format_rfc3339(entry->committed_at), format_rfc3339(last_committed_at_)));
  }
  last_committed_at_ = std::max(last_committed_at_, entry->committed_at);
  end_ = {entry->seq, entry->hash};
  if (entry->accepted) fold(std::move(*entry));
}

void Verification::fold(LogEntry entry) {
  Folded& at = folded_[entry.proposal.key];
  const std::int64_t version = at.version;
  if (entry.previous_version != version || entry.resulting_version != version + 1) {
    add_problem(report_, entry.seq, entry.proposal.key,
                fmt::format("goes from version {} to {}, expected {} to {}", entry.previous_version,
                            entry.resulting_version.value_or(0), version, version + 1));
  }
  const auto outcome =
      apply_op(entry.proposal.op, at.deleted ? nullptr : &at.value, entry.proposal.value);
  if (const auto* fault = std::get_if<ApplyFault>(&outcome)) {
    add_problem(report_, entry.seq, entry.proposal.key,
                fmt::format("is accepted, but does not apply: {}", fault->message));
  } else {
    const Applied& applied = std::get<Applied>(outcome);
    const bool same = applied.deleted ? !entry.resulting_value.has_value()
                                      : entry.resulting_value.has_value() &&
                                            json::equal(*entry.resulting_value, applied.value);
    if (!same) {
      add_problem(report_, entry.seq, entry.proposal.key,
                  fmt::format("its result is not what {} gives on the value before it",
                              to_string(entry.proposal.op)));
    }
  }
  at.deleted = !entry.resulting_value.has_value();
  at.value = at.deleted ? json::Value{} : std::move(*entry.resulting_value);
  at.version = entry.resulting_version.value_or(version + 1);
  at.seq = entry.seq;
  if (entry.seq <= folded_seq_) at.stored_from = entry.seq;
  at.committed_at = entry.committed_at;
  at.ttl = entry.proposal.ttl;
  at.mutation_id = std::move(entry.proposal.id);
  at.actor = std::move(entry.proposal.actor);
  at.reason = std::move(entry.proposal.reason);
}

Status Verification::check_head() {
  auto seq = read_meta(database_, "head_seq");
  auto hash = read_meta(database_, "head_hash");
  if (!seq.ok() || !hash.ok()) {
    add_problem(report_, 0, {}, "meta does not name the end of the log");
    return {};
  }
  if (*seq != std::to_string(end_.seq) || *hash != end_.hash) {
    add_problem(report_, end_.seq, {},
                fmt::format("the log ends in entry {} with hash {}, meta expects entry {} with "
                            "hash {}",
                            end_.seq, end_.hash, *seq, *hash));
  }
  if (folded_seq_ > end_.seq) {
    add_problem(
        report_, 0, {},
        fmt::format("the log ends in entry {}, the state in entry {}", end_.seq, folded_seq_));
  }
  return {};
}

void Verification::check_snapshot_source(const Snapshot& snapshot, const Folded& last) {
  const auto expect = [&](bool same, std::string_view what) {
    if (same) return;
    add_problem(report_, last.seq, snapshot.key,
                fmt::format("the snapshot's {} is not that of its last log entry", what));
  };
  expect(snapshot.seq == last.seq, "seq");
  expect(snapshot.mutation_id == last.mutation_id, "mutation id");
  expect(snapshot.updated_by == last.actor, "actor");
  expect(snapshot.updated_at == last.committed_at, "time");
  expect(snapshot.reason == last.reason, "reason");
  // A ttl may also come from the policy's default.
  if (last.ttl.has_value() && !snapshot.deleted) expect(snapshot.ttl == last.ttl, "ttl");
  if (snapshot.ttl.has_value() && !snapshot.deleted) {
    expect(snapshot.expires_at == snapshot.updated_at + *snapshot.ttl, "deadline");
  }
}

void Verification::check_older_snapshot(const Snapshot& snapshot, const Folded& last) {
  LogEntry source;
  const auto find = [&] {
    auto select = database_.prepare(
        fmt::format("SELECT {} FROM mutation_log WHERE seq = ?1", kLogColumns), false);
    if (!select.ok()) return false;
    select->bind_integer(1, snapshot.seq);
    if (select->step() != SQLITE_ROW) return false;
    auto entry = read_log_entry(*select);
    if (entry.ok()) source = std::move(*entry);
    return entry.ok() && source.accepted && source.proposal.key == snapshot.key;
  };
  if (snapshot.seq < last.stored_from || !find()) {
    add_problem(report_, snapshot.seq, snapshot.key,
                fmt::format("the snapshot is of entry {}, expected {} or a later one of this key",
                            snapshot.seq, last.stored_from));
    return;
  }
  const bool same_value = snapshot.deleted
                              ? !source.resulting_value.has_value()
                              : source.resulting_value.has_value() &&
                                    json::equal(snapshot.value, *source.resulting_value);
  if (!same_value || snapshot.version != source.resulting_version ||
      snapshot.mutation_id != source.proposal.id || snapshot.updated_by != source.proposal.actor ||
      snapshot.updated_at != source.committed_at || snapshot.reason != source.proposal.reason) {
    add_problem(report_, snapshot.seq, snapshot.key,
                "the snapshot's value is not what the log gives");
  }
}

void Verification::check_snapshot(const Snapshot& snapshot) {
  const auto found = folded_.find(snapshot.key);
  if (found == folded_.end()) {
    add_problem(report_, 0, snapshot.key, "the snapshot has no accepted entry in the log");
    return;
  }
  Folded& folded = found->second;
  folded.in_state = true;
  if (folded.seq > folded_seq_ && snapshot.seq < folded.seq) {
    check_older_snapshot(snapshot, folded);
    return;
  }
  if (snapshot.version != folded.version) {
    add_problem(report_, folded.seq, snapshot.key,
                fmt::format("the snapshot has version {}, the log gives {}", snapshot.version,
                            folded.version));
  }
  if (snapshot.deleted != folded.deleted || !json::equal(snapshot.value, folded.value)) {
    add_problem(report_, folded.seq, snapshot.key,
                "the snapshot's value is not what the log gives");
  }
  check_snapshot_source(snapshot, folded);
}

Status Verification::check_state() {
  const auto check = [this](const Statement& row) {
    ++report_.keys;
    auto snapshot = read_snapshot(row);
    if (snapshot.ok()) {
      check_snapshot(*snapshot);
      return;
    }
    const std::string key(row.text(0));
    if (const auto found = folded_.find(key); found != folded_.end()) found->second.in_state = true;
    add_problem(report_, row.integer(7), key, snapshot.error().message);
  };
  SE_RETURN_IF_ERROR(each_row(
      database_, report_, fmt::format("SELECT {} FROM folded_state ORDER BY key", kStateColumns),
      "folded_state", check));
  for (const auto& [key, folded] : folded_) {
    if (folded.in_state) continue;
    if (folded.stored_from == 0) {
      ++report_.keys;  // not folded yet
    } else {
      add_problem(report_, folded.seq, key,
                  "the log has accepted entries of this key, the state has no row of it");
    }
  }
  return {};
}

Status Verification::check_outbox() {
  auto count = database_.query_integer("SELECT count(*) FROM outbox");
  if (!count.ok()) return std::move(count).error();
  report_.effects = count->value_or(0);
  return each_row(
      database_, report_,
      "SELECT o.id, o.cause_id, o.cause_seq FROM outbox o LEFT JOIN mutation_log m "
      "ON m.id = o.cause_id WHERE m.seq IS NULL OR m.seq <> o.cause_seq OR m.status <> 'accepted'",
      "outbox", [this](const Statement& row) {
        add_problem(report_, row.integer(2), {},
                    fmt::format("effect {} has no accepted cause {} at seq {}", row.text(0),
                                row.text(1), row.integer(2)));
      });
}

Status Verification::run() {
  auto engine_id = read_meta(database_, "engine_id");
  if (!engine_id.ok()) return std::move(engine_id).error();
  report_.engine_id = *engine_id;
  if (const auto folded_seq = read_folded_seq(database_); folded_seq.ok()) {
    folded_seq_ = *folded_seq;
  } else {
    add_problem(report_, 0, {}, folded_seq.error().message);
  }
  VerifyReport of_file;
  std::future<Status> file =
      std::async(std::launch::async, [&] { return check_file(file_, of_file); });
  const Status checked = run_checks();
  SE_RETURN_IF_ERROR(file.get());
  SE_RETURN_IF_ERROR(checked);
  // What is wrong with the file explains the rest: it comes first.
  report_.problem_count += of_file.problem_count;
  report_.problems.insert(report_.problems.begin(), of_file.problems.begin(),
                          of_file.problems.end());
  if (report_.problems.size() > kProblemsKept) report_.problems.resize(kProblemsKept);
  return {};
}

Status Verification::run_checks() {
  SE_RETURN_IF_ERROR(check_log());
  SE_RETURN_IF_ERROR(check_head());
  SE_RETURN_IF_ERROR(check_state());
  return check_outbox();
}

}  // namespace

Result<VerifyReport> verify_file(const std::filesystem::path& file,
                                 const VerifyProgressCallback& progress) {
  if (!std::filesystem::exists(file)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} does not exist: no engine has started here", file.string())};
  }
  auto database = Database::open(file, OpenMode::kSnapshot);
  if (!database.ok()) return std::move(database).error();
  if (const int code = database->execute("PRAGMA query_only=1; BEGIN"); code != SQLITE_OK) {
    return database->to_error(code, "begin to read");
  }
  SE_RETURN_IF_ERROR(require_schema(*database, file, current_schema()));
  VerifyReport report;
  SE_RETURN_IF_ERROR(Verification(*database, file, report, progress).run());
  return report;
}

Result<VerifyReport> verify(const std::filesystem::path& directory,
                            const VerifyProgressCallback& progress) {
  return verify_file(database_file(directory), progress);
}

}  // namespace state_engine::sqlite
