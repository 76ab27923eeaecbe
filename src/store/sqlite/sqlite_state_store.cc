// Hands every call to the writing or the reading thread and brings its answer back.

#include "store/sqlite/sqlite_state_store.h"

#include <atomic>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/assert.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/database.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/start_check.h"
#include "store/sqlite/unfolded_log.h"
#include "store/sqlite/wal_vfs.h"
#include "store/sqlite/work_thread.h"
#include "store/sqlite/writer.h"

namespace state_engine {
namespace {

// Idle for so long, the log is folded and the WAL is emptied: what it holds is protected by
// checksums only.
constexpr std::chrono::milliseconds kIdleBeforeCheckpoint{500};
constexpr std::size_t kRowsWhenIdle = 256;  // some milliseconds, for which a commit may wait

Error stopped_error() {
  return {ErrorCode::kDataLoss,
          "the store stopped after an I/O error: restart the engine, which recovers"};
}

// Says why the tables by key stay behind the log, if they do. Nothing is lost: a later fold, or the
// next start, goes on.
void note_behind(const Status& folded, Log& log) {
  if (folded.ok()) return;
  log.warn("the state in the file stays behind the log for now",
           {{"error", folded.error().message}});
}

Status require_wal(sqlite::Database& database, const std::filesystem::path& file) {
  auto mode = database.prepare("PRAGMA journal_mode", false);
  if (!mode.ok()) return std::move(mode).error();
  if (const int code = mode->step(); code != SQLITE_ROW) {
    return database.to_error(code, "read the journal mode");
  }
  if (mode->text(0) == "wal") return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("{} cannot use a write-ahead log (its journal mode is {}): another "
                           "program has it open, or its file system has no shared memory; use a "
                           "local disk",
                           file.string(), mode->text(0))};
}

struct Opened {
  std::unique_ptr<sqlite::WalVfs> vfs;  // first: outlives the connections
  std::unique_ptr<sqlite::UnfoldedLog> unfolded;
  std::unique_ptr<sqlite::Writer> writer;
  std::unique_ptr<sqlite::Reader> reader;
};

Result<Opened> open_connections(const SqliteStoreOptions& options) {
  // Its statistics cost a lock for each allocation. Refused once SQLite is in use: then they stay.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  const std::filesystem::path file = sqlite::database_file(options.directory);
  SE_RETURN_IF_ERROR(sqlite::create_database_file(options.directory));
  auto vfs = std::make_unique<sqlite::WalVfs>(options.vfs_for_test);
  auto writing = sqlite::Database::open(file, sqlite::OpenMode::kWriter, vfs->name());
  if (!writing.ok()) return std::move(writing).error();
  SE_RETURN_IF_ERROR(require_wal(*writing, file));
  const sqlite::SchemaPlan plan =
      options.schema_for_test != nullptr ? *options.schema_for_test : sqlite::current_schema();
  const sqlite::NewStore fresh{new_uuid(*options.random), options.clock->wall_now()};
  SE_RETURN_IF_ERROR(sqlite::ensure_schema(*writing, file, plan, fresh));
  auto tail = sqlite::check_log_at_start(*writing, options.entries_checked_at_start);
  if (!tail.ok()) return std::move(tail).error();
  auto writer = sqlite::Writer::create(std::move(*writing), tail->end, *tail->unfolded,
                                       options.unfolded_entries_max);
  if (!writer.ok()) return std::move(writer).error();
  const Status folded = (*writer)->fold_all();
  note_behind(folded, *options.log);
  // On a full disk the engine still serves what it has.
  if (!folded.ok() && folded.error().code != ErrorCode::kUnavailable) return folded.error();
  auto reading = sqlite::Database::open(file, sqlite::OpenMode::kReader, options.vfs_for_test);
  if (!reading.ok()) return std::move(reading).error();
  if (folded.ok()) {
    SE_RETURN_IF_ERROR(sqlite::check_state_at_start(*reading, *tail));
  }
  auto reader = sqlite::Reader::create(std::move(*reading), tail->unfolded.get());
  if (!reader.ok()) return std::move(reader).error();
  return Opened{std::move(vfs), std::move(tail->unfolded), std::move(*writer), std::move(*reader)};
}

}  // namespace

// Members are destroyed last to first: the threads end before the connections close, and the lock
// goes last.
struct SqliteStateStore::Core {
  Core(sqlite::DataDirLock held, Opened opened, const SqliteStoreOptions& options)
      : file(sqlite::database_file(options.directory)),
        vfs_for_test(options.vfs_for_test),
        lock(std::move(held)),
        vfs(std::move(opened.vfs)),
        unfolded(std::move(opened.unfolded)),
        writer(std::move(opened.writer)),
        reader(std::move(opened.reader)),
        log(*options.log),
        writing(
            "store write", [this] { after_write(true); }, kIdleBeforeCheckpoint),
        reading("store read", {}, kIdleBeforeCheckpoint) {}

  // Runs `work(reader)` on the read thread.
  template <typename Work>
  auto read(Work work) {
    return reading.run([this, work = std::move(work)]() mutable -> decltype(work(*reader)) {
      if (stopped.load()) return stopped_error();
      SE_ASSERT(reader != nullptr);
      auto result = work(*reader);
      if (!result.ok() && result.error().code == ErrorCode::kDataLoss) {
        log.error("state.db cannot be read", {{"error", result.error().message}});
      }
      return result;
    });
  }

  // Runs `work(writer)` on the write thread, then checkpoints if it is time, after the caller has
  // been answered.
  template <typename Work>
  auto write(Work work) {
    return writing.run([this, work = std::move(work)]() mutable {
      SE_ASSERT(writer != nullptr);
      auto result = work(*writer);
      note_failure();
      writing.post([this] { after_write(false); });
      return result;
    });
  }

  void after_write(bool idle) {
    if (writer == nullptr) return;  // closed
    bool folded = false;
    if (idle && writer->folds_wait()) {
      const Status step = writer->fold(kRowsWhenIdle);
      note_behind(step, log);
      folded = step.ok();
    }
    if (folded) writing.post([this] { after_write(true); });  // behind what came meanwhile
    if (idle && !folded) {
      writer->checkpoint_all();
    } else {
      writer->checkpoint_if_large();
    }
    note_failure();
  }

  void note_failure() {
    if (!writer->failed() || stopped.exchange(true)) return;
    log.error("the store stopped after an I/O error; restart the engine");
  }

  const std::filesystem::path file;
  const std::string vfs_for_test;
  sqlite::DataDirLock lock;
  std::unique_ptr<sqlite::WalVfs> vfs;
  std::unique_ptr<sqlite::UnfoldedLog> unfolded;
  std::unique_ptr<sqlite::Writer> writer;
  std::unique_ptr<sqlite::Reader> reader;
  Log& log;
  std::atomic<bool> stopped{false};  // set by the write thread, seen by the read thread
  sqlite::WorkThread writing;
  sqlite::WorkThread reading;
};

SqliteStateStore::SqliteStateStore(std::unique_ptr<Core> core) : core_(std::move(core)) {}

SqliteStateStore::~SqliteStateStore() = default;

Result<std::unique_ptr<SqliteStateStore>> SqliteStateStore::open(
    const SqliteStoreOptions& options) {
  SE_ASSERT(options.clock != nullptr);
  SE_ASSERT(options.random != nullptr);
  SE_ASSERT(options.log != nullptr);
  auto lock = sqlite::DataDirLock::acquire(options.directory);
  if (!lock.ok()) return std::move(lock).error();
  auto opened = open_connections(options);
  if (!opened.ok()) return std::move(opened).error();
  return std::unique_ptr<SqliteStateStore>(
      new SqliteStateStore(std::make_unique<Core>(std::move(*lock), std::move(*opened), options)));
}

StateStore::Awaitable<Result<StoreHead>> SqliteStateStore::head() {
  return core_->read([](sqlite::Reader& reader) { return reader.head(); });
}

StateStore::Awaitable<CommitReply> SqliteStateStore::commit(
    std::shared_ptr<const CommitBatch> batch) {
  return core_->write(
      [batch = std::move(batch)](sqlite::Writer& writer) { return writer.commit(*batch); });
}

StateStore::Awaitable<Result<std::vector<std::optional<LogEntry>>>> SqliteStateStore::lookup(
    std::vector<std::string> mutation_ids) {
  return core_->read(
      [ids = std::move(mutation_ids)](sqlite::Reader& reader) { return reader.lookup(ids); });
}

StateStore::Awaitable<Result<std::vector<SnapshotPtr>>> SqliteStateStore::scan_snapshots(
    std::string after_key, std::size_t limit) {
  return core_->read([after_key = std::move(after_key), limit](sqlite::Reader& reader) {
    return reader.scan_snapshots(after_key, limit);
  });
}

StateStore::Awaitable<Result<LoadedState>> SqliteStateStore::load_state() {
  const Status folded =
      co_await core_->write([](sqlite::Writer& writer) { return writer.fold_all(); });
  if (!folded.ok()) co_return co_await StateStore::load_state();
  co_return co_await core_->read([this](sqlite::Reader& reader) {
    return reader.load_state([this] {
      return sqlite::Database::open(core_->file, sqlite::OpenMode::kReader, core_->vfs_for_test);
    });
  });
}

StateStore::Awaitable<Result<std::vector<LogEntry>>> SqliteStateStore::read_log(LogQuery query) {
  return core_->read(
      [query = std::move(query)](sqlite::Reader& reader) { return reader.read_log(query); });
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> SqliteStateStore::pending_effects(
    std::int64_t after_position, std::size_t limit) {
  return core_->read([after_position, limit](sqlite::Reader& reader) {
    return reader.pending_effects(after_position, limit);
  });
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> SqliteStateStore::effects_of(
    std::vector<std::string> mutation_ids) {
  return core_->read(
      [ids = std::move(mutation_ids)](sqlite::Reader& reader) { return reader.effects_of(ids); });
}

StateStore::Awaitable<Status> SqliteStateStore::mark_effects(std::vector<std::string> effect_ids,
                                                             EffectState state, Timestamp at,
                                                             Timestamp forget_before) {
  return core_->write(
      [ids = std::move(effect_ids), state, at, forget_before](sqlite::Writer& writer) {
        return writer.mark_effects(ids, state, at, forget_before);
      });
}

StateStore::Awaitable<Result<std::vector<RuleState>>> SqliteStateStore::rule_states() {
  return core_->read([](sqlite::Reader& reader) { return reader.rule_states(); });
}

StateStore::Awaitable<Status> SqliteStateStore::save_source(SourceRevision source) {
  return core_->write(
      [source = std::move(source)](sqlite::Writer& writer) { return writer.save_source(source); });
}

StateStore::Awaitable<Result<SourceRevision>> SqliteStateStore::source(std::string kind,
                                                                       std::string revision) {
  return core_->read([kind = std::move(kind), revision = std::move(revision)](
                         sqlite::Reader& reader) { return reader.source(kind, revision); });
}

StateStore::Awaitable<Result<std::int64_t>> SqliteStateStore::cursor(std::string name) {
  return core_->read(
      [name = std::move(name)](sqlite::Reader& reader) { return reader.cursor(name); });
}

StateStore::Awaitable<Status> SqliteStateStore::save_cursor(std::string name, std::int64_t seq) {
  return core_->write([name = std::move(name), seq](sqlite::Writer& writer) {
    return writer.save_cursor(name, seq);
  });
}

StateStore::Awaitable<Status> SqliteStateStore::close() {
  // The reader first, so that the writer is the last connection and may delete the WAL.
  co_await core_->reading.run([this] {
    core_->reader.reset();
    return true;
  });
  co_return co_await core_->writing.run([this]() -> Status {
    if (!core_->writer->failed()) note_behind(core_->writer->fold_all(), core_->log);
    Status closed = core_->writer->close();
    core_->writer.reset();
    core_->lock.release();
    return closed;
  });
}

}  // namespace state_engine
