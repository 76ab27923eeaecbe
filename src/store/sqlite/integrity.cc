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
#include "store/sqlite/row_codec.h"
#include "store/sqlite/schema.h"

namespace state_engine::sqlite {
namespace {

constexpr std::size_t kProblemsKept = 1000;
constexpr std::int64_t kProgressEvery = 10'000;
constexpr std::int64_t kQuickCheckBytesMax = 16 * 1024 * 1024;
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

Result<std::string> read_meta(Database& database, std::string_view key) {
  auto select = database.prepare("SELECT value FROM meta WHERE key = ?1", false);
  if (!select.ok()) return std::move(select).error();
  select->bind_text(1, key);
  const int code = select->step();
  if (code == SQLITE_ROW) return std::string(select->text(0));
  if (code != SQLITE_DONE) return database.to_error(code, "read meta");
  return Error{ErrorCode::kDataLoss, fmt::format("meta has no {}", key)};
}

// What is wrong with `entry` by itself and as the successor of `before`; empty if nothing.
std::string chain_fault(const LogEnd& before, const LogEntry& entry) {
  if (entry.seq != before.seq + 1) {
    return fmt::format("found seq {}, expected {}: entries are missing", entry.seq, before.seq + 1);
  }
  if (entry.prev_hash != before.hash) {
    return fmt::format("prev_hash is {}, expected {} (the hash of entry {})", entry.prev_hash,
                       before.hash, before.seq);
  }
  if (const std::string expected = entry_hash(entry); entry.hash != expected) {
    return fmt::format("hash is {}, but the entry hashes to {}: it was altered", entry.hash,
                       expected);
  }
  return {};
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
  void check_snapshot_source(const Snapshot& snapshot, const Folded& last);

  Database& database_;
  const std::filesystem::path& file_;
  VerifyReport& report_;
  const VerifyProgressCallback& progress_;
  std::int64_t total_ = 0;
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

// SQLite's own check; what it finds goes to `report`.
Status check_file(const std::filesystem::path& file, VerifyReport& report) {
  auto database = Database::open(file, OpenMode::kSnapshot);
  if (!database.ok()) return std::move(database).error();
  const std::string cache = fmt::format("PRAGMA cache_size=-{}", kFileCheckCacheKib);
  if (const int code = database->execute(cache); code != SQLITE_OK) {
    return database->to_error(code, "prepare to check the file");
  }
  return each_row(*database, report, "PRAGMA integrity_check(100)", "state.db",
                  [&](const Statement& row) {
                    if (row.text(0) == "ok") return;
                    add_problem(report, 0, {}, fmt::format("integrity_check: {}", row.text(0)));
                  });
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

void Verification::check_snapshot(const Snapshot& snapshot) {
  const auto found = folded_.find(snapshot.key);
  if (found == folded_.end()) {
    add_problem(report_, 0, snapshot.key, "the snapshot has no accepted entry in the log");
    return;
  }
  Folded& folded = found->second;
  folded.in_state = true;
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
  SE_RETURN_IF_ERROR(each_row(database_, report_,
                              fmt::format("SELECT {} FROM state ORDER BY key", kStateColumns),
                              "state", check));
  for (const auto& [key, folded] : folded_) {
    if (!folded.in_state) {
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

Error damage_at_start(std::string_view what) {
  return {ErrorCode::kDataLoss,
          fmt::format("state.db is damaged: {}. Keep a copy of the data directory, run "
                      "`state-engine verify` for the whole list, and restore a backup",
                      what)};
}

Status quick_check_if_small(Database& database) {
  auto pages = database.query_integer("PRAGMA page_count");
  if (!pages.ok()) return std::move(pages).error();
  auto page_size = database.query_integer("PRAGMA page_size");
  if (!page_size.ok()) return std::move(page_size).error();
  if (pages->value_or(0) * page_size->value_or(0) > kQuickCheckBytesMax) return {};
  auto check = database.prepare("PRAGMA quick_check(1)", false);
  if (!check.ok()) return std::move(check).error();
  if (const int code = check->step(); code != SQLITE_ROW) {
    return database.to_error(code, "run quick_check");
  }
  if (check->text(0) != "ok") return damage_at_start(check->text(0));
  return {};
}

// The last write to each key that the tail of the log holds.
struct Written {
  std::int64_t seq = 0;
  std::int64_t version = 0;
  std::string id;
};
using WrittenKeys = std::unordered_map<std::string, Written>;

Status check_written(Database& database, const WrittenKeys& written) {
  auto select =
      database.prepare("SELECT seq, version, mutation_id FROM state WHERE key = ?1", false);
  if (!select.ok()) return std::move(select).error();
  for (const auto& [key, last] : written) {
    select->bind_text(1, key);
    const int code = select->step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      return database.to_error(code, "read the state");
    }
    const bool same = code == SQLITE_ROW && select->integer(0) == last.seq &&
                      select->integer(1) == last.version && select->text(2) == last.id;
    select->reset();
    if (!same) {
      return damage_at_start(
          fmt::format("the snapshot of {} is not the one that log entry {} wrote", key, last.seq));
    }
  }
  return {};
}

Result<LogEnd> check_tail(Database& database, std::size_t tail, WrittenKeys& written) {
  // One entry more than asked: its hash is where the checked ones begin.
  auto select = database.prepare(
      fmt::format("SELECT {} FROM mutation_log WHERE seq >= (SELECT coalesce(max(seq), 0) FROM "
                  "mutation_log) - ?1 ORDER BY seq",
                  kLogColumns),
      false);
  if (!select.ok()) return std::move(select).error();
  select->bind_integer(1, static_cast<std::int64_t>(tail));
  LogEnd end{0, genesis_hash()};
  for (bool first = true;; first = false) {
    const int code = select->step();
    if (code == SQLITE_DONE) return end;
    if (code != SQLITE_ROW) return database.to_error(code, "read the end of the log");
    auto entry = read_log_entry(*select);
    if (!entry.ok()) return damage_at_start(entry.error().message);
    if (first && entry->seq > 1) end = {entry->seq - 1, entry->prev_hash};
    if (const std::string fault = chain_fault(end, *entry); !fault.empty()) {
      return damage_at_start(fmt::format("log entry {}: {}", entry->seq, fault));
    }
    end = {entry->seq, entry->hash};
    if (entry->accepted) {
      written[entry->proposal.key] = {entry->seq, entry->resulting_version.value_or(0),
                                      entry->proposal.id};
    }
  }
}

}  // namespace

Result<LogEnd> check_at_start(Database& database, std::size_t tail) {
  SE_RETURN_IF_ERROR(quick_check_if_small(database));
  WrittenKeys written;
  auto end = check_tail(database, tail, written);
  if (!end.ok()) return end;
  auto seq = read_meta(database, "head_seq");
  if (!seq.ok()) return damage_at_start(seq.error().message);
  auto hash = read_meta(database, "head_hash");
  if (!hash.ok()) return damage_at_start(hash.error().message);
  if (*seq != std::to_string(end->seq) || *hash != end->hash) {
    return damage_at_start(
        fmt::format("the log ends in entry {} with hash {}, meta expects entry {} with hash {}",
                    end->seq, end->hash, *seq, *hash));
  }
  SE_RETURN_IF_ERROR(check_written(database, written));
  return end;
}

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
