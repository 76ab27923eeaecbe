// What a failure means:
//   disk full, busy, no memory, a constraint: SQLite rolls back, the batch is surely not there;
//   an I/O error or damage, also while rolling back: the last frame may have reached the disk and
//   come back after a restart, so the outcome is unknown and this process must stop writing. A
//   failed fsync is never tried again: the kernel may have dropped the pages it could not write.

#include "store/sqlite/writer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/assert.h"

namespace state_engine::sqlite {
namespace {

constexpr int kWalPagesMax = 2048;  // 8 MiB of 4 KiB pages, then a checkpoint
constexpr int kBusyTimeoutMs = 5000;

// A commit carries twice as many rows of the fold as it has entries, and at least so many: for each
// entry of a layer there are at most two rows, so a fold ends before the next layer is full.
constexpr std::size_t kRowsPerEntry = 2;
constexpr std::size_t kRowsPerCommitMin = 16;
constexpr std::size_t kRowsTogether = 65'536;  // where nobody waits

// The snapshots of a batch that expire, by the entry that made them.
std::unordered_map<std::int64_t, const Snapshot*> deadlines_of(const CommitBatch& batch) {
  std::unordered_map<std::int64_t, const Snapshot*> out;
  for (const SnapshotPtr& snapshot : batch.snapshots) {
    if (snapshot->ttl || snapshot->expires_at) out.emplace(snapshot->seq, snapshot.get());
  }
  return out;
}

std::string failure_hint(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return "disk full: free some space in the data directory's file system; the engine goes on "
             "by itself";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another program holds a write lock on state.db: close it (open it with "
             "`sqlite3 -readonly`)";
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "state.db may not be written: check the permissions of the data directory";
    default:
      return "nothing was written";
  }
}

}  // namespace

Writer::Writer(Database database, LogEnd end, UnfoldedLog& unfolded, std::size_t unfolded_max)
    : database_(std::move(database)),
      end_(std::move(end)),
      unfolded_(unfolded),
      unfolded_max_(unfolded_max),
      folder_(unfolded) {}

Result<std::unique_ptr<Writer>> Writer::create(Database database, LogEnd end, UnfoldedLog& unfolded,
                                               std::size_t unfolded_max) {
  std::unique_ptr<Writer> writer(
      new Writer(std::move(database), std::move(end), unfolded, unfolded_max));
  SE_RETURN_IF_ERROR(writer->prepare());
  sqlite3_wal_hook(
      writer->database_.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Writer*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      writer.get());
  return writer;
}

Status Writer::prepare() {
  const std::pair<Statement*, std::string> statements[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&insert_log_,
       fmt::format("INSERT INTO mutation_log({}, {}) VALUES({})", kLogColumns, kLogDeadlineColumns,
                   parameters(kLogColumnCount + kLogDeadlineColumnCount))},
      {&insert_effect_,
       "INSERT INTO outbox(id, rule_id, cause_id, cause_seq, type, payload, correlation_id, "
       "created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
      {&upsert_rule_state_,
       fmt::format("INSERT INTO rule_state({}) VALUES({}) ON CONFLICT(rule_id, key) DO UPDATE SET "
                   "truth=excluded.truth, since=excluded.since, deadline=excluded.deadline, "
                   "cooldown_until=excluded.cooldown_until",
                   kRuleStateColumns, parameters(6))},
      {&update_meta_, "UPDATE meta SET value=?2 WHERE key=?1"},
      {&mark_effect_, "UPDATE outbox SET state=?2, delivered_at=?3 WHERE id=?1"},
      {&forget_effects_,
       "DELETE FROM outbox INDEXED BY outbox_delivered "
       "WHERE delivered_at IS NOT NULL AND delivered_at < ?1"},
      {&insert_source_,
       "INSERT INTO sources(kind, revision, text) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING"},
      {&upsert_cursor_,
       "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET "
       "value=excluded.value"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database_.prepare(sql);
    if (!prepared.ok()) return std::move(prepared).error();
    *statement = std::move(prepared).value();
  }
  return folder_.prepare(database_);
}

void Writer::fail(int code) {
  failed_ = true;
  database_.keep_wal_on_close();
  SE_ASSERT(code != SQLITE_OK);
}

CommitReply Writer::after_failure(int code, std::string_view doing, bool in_commit) {
  const Error error = database_.to_error(code, doing);
  bool unknown = is_fatal(code);
  if (!database_.in_autocommit()) {
    const int rolled_back = database_.execute("ROLLBACK");
    // A rollback that fails has been done all the same if the transaction is over.
    unknown = unknown || is_fatal(rolled_back) || !database_.in_autocommit();
  } else if (in_commit && (code & 0xff) != SQLITE_FULL) {
    unknown = true;  // over, and neither by us nor for want of space: do not guess
  }
  if (unknown) {
    fail(code);
    return {CommitOutcome::kUnknown, true,
            fmt::format("{}; the store stops: restart the engine, which then looks up what was "
                        "written",
                        error.message)};
  }
  return {CommitOutcome::kNotCommitted, false,
          fmt::format("{}; {}", error.message, failure_hint(code))};
}

CommitReply Writer::transact(std::string_view doing, const std::function<int()>& body) {
  if (failed_) {
    return {CommitOutcome::kNotCommitted, true,
            fmt::format("cannot {}: the store stopped after an I/O error", doing)};
  }
  if (const int code = begin_.run(); code != SQLITE_OK) return after_failure(code, doing, false);
  if (const int code = body(); code != SQLITE_OK) return after_failure(code, doing, false);
  if (const int code = commit_.run(); code != SQLITE_OK) return after_failure(code, doing, true);
  SE_ASSERT(database_.in_autocommit());
  return {CommitOutcome::kCommitted, false, {}};
}

int Writer::write_head(const LogEntry& last) {
  const std::string seq = std::to_string(last.seq);
  const std::pair<std::string_view, std::string_view> rows[] = {{"head_seq", seq},
                                                                {"head_hash", last.hash}};
  for (const auto& [key, value] : rows) {
    update_meta_.bind_text(1, key);
    update_meta_.bind_text(2, value);
    if (const int code = update_meta_.run(); code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}

int Writer::write_batch(const CommitBatch& batch) {
  const auto deadlines = deadlines_of(batch);
  for (const LogEntry& entry : batch.entries) {
    bind_log_entry(insert_log_, entry, scratch_);
    const auto deadline = deadlines.find(entry.seq);
    bind_log_deadline(insert_log_, deadline != deadlines.end() ? deadline->second : nullptr,
                      scratch_.back());
    if (const int code = insert_log_.run(); code != SQLITE_OK) return code;
  }
  for (const Effect& effect : batch.effects) {
    bind_effect(insert_effect_, effect, scratch_);
    if (const int code = insert_effect_.run(); code != SQLITE_OK) return code;
  }
  for (const RuleState& state : batch.rule_states) {
    bind_rule_state(upsert_rule_state_, state, scratch_);
    if (const int code = upsert_rule_state_.run(); code != SQLITE_OK) return code;
  }
  if (batch.entries.empty()) return SQLITE_OK;
  if (const int code = write_head(batch.entries.back()); code != SQLITE_OK) return code;
  return folder_.write(std::max(kRowsPerCommitMin, batch.entries.size() * kRowsPerEntry));
}

void Writer::gather(const CommitBatch& batch) {
  std::vector<UnfoldedLog::Entry> entries;
  entries.reserve(batch.entries.size());
  for (const LogEntry& entry : batch.entries) {
    entries.push_back({entry.proposal.key, entry.accepted});
  }
  unfolded_.append(entries);
  folder_.committed();
  if (unfolded_.young_size() >= unfolded_max_) folder_.begin();
}

CommitReply Writer::commit(const CommitBatch& batch) {
  if (const Status status = check_batch(end_, batch); !status.ok()) {
    return {CommitOutcome::kNotCommitted, failed_, status.error().message};
  }
  CommitReply reply = transact("commit a batch", [&] { return write_batch(batch); });
  if (reply.outcome == CommitOutcome::kCommitted && !batch.entries.empty()) {
    end_ = {batch.entries.back().seq, batch.entries.back().hash};
    gather(batch);
  }
  return reply;
}

Status Writer::fold(std::size_t rows) {
  folder_.begin();
  if (!folder_.under_way()) return {};
  const CommitReply reply =
      transact("bring the state up to the log", [&] { return folder_.write(rows); });
  if (reply.outcome == CommitOutcome::kCommitted) folder_.committed();
  return to_status(reply);
}

Status Writer::fold_all() {
  while (folds_wait()) SE_RETURN_IF_ERROR(fold(kRowsTogether));
  return {};
}

bool Writer::folds_wait() const { return folder_.under_way() || unfolded_.young_size() != 0; }

int Writer::write_marks(const std::vector<std::string>& effect_ids, EffectState state, Timestamp at,
                        Timestamp forget_before) {
  scratch_[0].clear();
  write_time(scratch_[0], at);
  for (const std::string& id : effect_ids) {
    mark_effect_.bind_text(1, id);
    mark_effect_.bind_text(2, to_string(state));
    if (state == EffectState::kPending) {
      mark_effect_.bind_null(3);
    } else {
      mark_effect_.bind_text(3, scratch_[0]);
    }
    if (const int code = mark_effect_.run(); code != SQLITE_OK) return code;
  }
  scratch_[1].clear();
  write_time(scratch_[1], forget_before);
  forget_effects_.bind_text(1, scratch_[1]);
  return forget_effects_.run();
}

Status Writer::to_status(const CommitReply& reply) const {
  if (reply.outcome == CommitOutcome::kCommitted) return {};
  return Error{reply.fatal ? ErrorCode::kDataLoss : ErrorCode::kUnavailable, reply.message};
}

Status Writer::mark_effects(const std::vector<std::string>& effect_ids, EffectState state,
                            Timestamp at, Timestamp forget_before) {
  return to_status(transact("record the delivery of effects",
                            [&] { return write_marks(effect_ids, state, at, forget_before); }));
}

Status Writer::save_source(const SourceRevision& source) {
  return to_status(transact("save a source", [&] {
    insert_source_.bind_text(1, source.kind);
    insert_source_.bind_text(2, source.revision);
    insert_source_.bind_text(3, source.text);
    return insert_source_.run();
  }));
}

Status Writer::save_cursor(const std::string& name, std::int64_t seq) {
  return to_status(transact("save a publish cursor", [&] {
    const std::string key = cursor_key(name);
    const std::string value = std::to_string(seq);
    upsert_cursor_.bind_text(1, key);
    upsert_cursor_.bind_text(2, value);
    return upsert_cursor_.run();
  }));
}

void Writer::checkpoint_if_large() {
  if (failed_ || wal_pages_ < kWalPagesMax) return;
  int left = 0;
  int done = 0;
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             &left, &done);
  if (is_fatal(code)) fail(code);
  // Fully copied: the next commit starts the WAL over. Otherwise a reader holds it, or the disk is
  // full: the WAL grows, and the next commit tries again.
}

void Writer::checkpoint_all() {
  if (failed_ || wal_pages_ == 0) return;
  sqlite3_busy_timeout(database_.handle(), 0);
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr,
                                             SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(database_.handle(), kBusyTimeoutMs);
  if (is_fatal(code)) fail(code);
  if (code == SQLITE_OK) wal_pages_ = 0;
}

Status Writer::close() {
  checkpoint_all();
  const bool failed = failed_;
  folder_.close();
  for (Statement* statement :
       {&begin_, &commit_, &insert_log_, &insert_effect_, &upsert_rule_state_, &update_meta_,
        &mark_effect_, &forget_effects_, &insert_source_, &upsert_cursor_}) {
    *statement = Statement{};
  }
  Database closing = std::move(database_);
  if (failed) return Error{ErrorCode::kDataLoss, "the store had stopped after an I/O error"};
  return {};
}

}  // namespace state_engine::sqlite
