// One pass over the log folds it, chains it and checks versions; the tables are compared at the
// end.

#include "store/sqlite/integrity.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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
  LogEntry last;  // without values; they are in `value`
  json::Value value;
  bool deleted = true;
  bool known = false;
};

class Verification {
 public:
  Verification(Database& database, VerifyReport& report, const VerifyProgressCallback& progress)
      : database_(database), report_(report), progress_(progress) {}

  Status run();

 private:
  Status check_file();
  Status check_log();
  Status check_head();
  Status check_state();
  Status check_outbox();

  void check_entry(const Statement& row);
  void fold(LogEntry entry);
  void check_snapshot(const Snapshot& snapshot);
  void check_snapshot_source(const Snapshot& snapshot, const LogEntry& last);
  // Steps through `sql`; damage that SQLite meets becomes a problem.
  template <typename Visit>
  Status each_row(const std::string& sql, std::string_view table, Visit visit);

  Database& database_;
  VerifyReport& report_;
  const VerifyProgressCallback& progress_;
  std::int64_t total_ = 0;
  LogEnd end_{0, genesis_hash()};
  Timestamp last_committed_at_ = Timestamp::min();
  std::unordered_map<std::string, Folded> folded_;
  std::unordered_set<std::string> seen_;
};

template <typename Visit>
Status Verification::each_row(const std::string& sql, std::string_view table, Visit visit) {
  auto select = database_.prepare(sql, false);
  if (!select.ok()) return std::move(select).error();
  while (true) {
    const int code = select->step();
    if (code == SQLITE_DONE) return {};
    if (code == SQLITE_ROW) {
      visit(*select);
      continue;
    }
    const Error error = database_.to_error(code, fmt::format("read all of {}", table));
    if (!is_fatal(code)) return error;
    add_problem(report_, 0, {}, error.message);
    return {};
  }
}

Status Verification::check_file() {
  return each_row("PRAGMA integrity_check(100)", "state.db", [this](const Statement& row) {
    if (row.text(0) != "ok") {
      add_problem(report_, 0, {}, fmt::format("integrity_check: {}", row.text(0)));
    }
  });
}

Status Verification::check_log() {
  auto total = database_.query_integer("SELECT max(seq) FROM mutation_log");
  if (!total.ok()) return std::move(total).error();
  total_ = total->value_or(0);
  SE_RETURN_IF_ERROR(each_row(fmt::format("SELECT {} FROM mutation_log ORDER BY seq", kLogColumns),
                              "mutation_log", [this](const Statement& row) { check_entry(row); }));
  if (progress_) progress_({report_.entries, total_});
  report_.head_seq = end_.seq;
  report_.head_hash = end_.hash;
  return {};
}

void Verification::check_entry(const Statement& row) {
  ++report_.entries;
  if (progress_ && report_.entries % kProgressEvery == 0) progress_({report_.entries, total_});
  auto entry = read_log_entry(row);
  if (!entry.ok()) {
    add_problem(report_, row.integer(0), std::string(row.text(2)), entry.error().message);
    end_ = {row.integer(0), std::string(row.text(kHashColumn))};
    return;
  }
  if (std::string fault = chain_fault(end_, *entry); !fault.empty()) {
    add_problem(report_, entry->seq, entry->proposal.key, std::move(fault));
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
  const std::int64_t version = at.known ? *at.last.resulting_version : 0;
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
  at.known = true;
  at.deleted = !entry.resulting_value.has_value();
  at.value = at.deleted ? json::Value{} : std::move(*entry.resulting_value);
  entry.resulting_version = entry.resulting_version.value_or(version + 1);
  entry.resulting_value.reset();
  entry.proposal.value.reset();
  entry.rules.clear();
  at.last = std::move(entry);
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

void Verification::check_snapshot_source(const Snapshot& snapshot, const LogEntry& last) {
  const auto expect = [&](bool same, std::string_view what) {
    if (same) return;
    add_problem(report_, last.seq, snapshot.key,
                fmt::format("the snapshot's {} is not that of its last log entry", what));
  };
  expect(snapshot.seq == last.seq, "seq");
  expect(snapshot.mutation_id == last.proposal.id, "mutation id");
  expect(snapshot.updated_by == last.proposal.actor, "actor");
  expect(snapshot.updated_at == last.committed_at, "time");
  expect(snapshot.reason == last.proposal.reason, "reason");
  // A ttl may also come from the policy's default.
  if (last.proposal.ttl.has_value() && !snapshot.deleted) {
    expect(snapshot.ttl == last.proposal.ttl, "ttl");
  }
  if (snapshot.ttl.has_value() && !snapshot.deleted) {
    expect(snapshot.expires_at == snapshot.updated_at + *snapshot.ttl, "deadline");
  }
}

void Verification::check_snapshot(const Snapshot& snapshot) {
  seen_.insert(snapshot.key);
  const auto found = folded_.find(snapshot.key);
  if (found == folded_.end()) {
    add_problem(report_, 0, snapshot.key, "the snapshot has no accepted entry in the log");
    return;
  }
  const Folded& folded = found->second;
  if (snapshot.version != *folded.last.resulting_version) {
    add_problem(report_, folded.last.seq, snapshot.key,
                fmt::format("the snapshot has version {}, the log gives {}", snapshot.version,
                            *folded.last.resulting_version));
  }
  if (snapshot.deleted != folded.deleted || !json::equal(snapshot.value, folded.value)) {
    add_problem(report_, folded.last.seq, snapshot.key,
                "the snapshot's value is not what the log gives");
  }
  check_snapshot_source(snapshot, folded.last);
}

Status Verification::check_state() {
  SE_RETURN_IF_ERROR(each_row(fmt::format("SELECT {} FROM state ORDER BY key", kStateColumns),
                              "state", [this](const Statement& row) {
                                ++report_.keys;
                                auto snapshot = read_snapshot(row);
                                if (snapshot.ok()) {
                                  check_snapshot(*snapshot);
                                } else {
                                  seen_.insert(std::string(row.text(0)));
                                  add_problem(report_, row.integer(7), std::string(row.text(0)),
                                              snapshot.error().message);
                                }
                              }));
  for (const auto& [key, folded] : folded_) {
    if (!seen_.contains(key)) {
      add_problem(report_, folded.last.seq, key,
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
  SE_RETURN_IF_ERROR(check_file());
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
  SE_RETURN_IF_ERROR(Verification(*database, report, progress).run());
  return report;
}

Result<VerifyReport> verify(const std::filesystem::path& directory,
                            const VerifyProgressCallback& progress) {
  return verify_file(database_file(directory), progress);
}

}  // namespace state_engine::sqlite
