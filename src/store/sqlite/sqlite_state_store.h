// SqliteStateStore: the embedded default, one file DIR/state.db.
//
//   (1) Exactly one connection, on one thread, writes and checkpoints (avoids SQLite's WAL-reset
//       bug, and keeps the disk off the engine's strand). Reads have their own connection and
//       thread, so that history never waits behind a commit.
//   (2) WAL with synchronous=FULL: a commit is answered after its fsync.
//   (3) Exactly one process: an exclusive flock on DIR/engine.lock.
//   (4) A commit writes to the end of the log; what is kept by key follows later (log_folder.h), at
//       the latest at the next start. Every read sees it as if it had been written at once.
//   (5) After an I/O error nothing is written any more (fail-stop): commit answers kUnknown + fatal
//       once, later calls fail with kDataLoss; the next process recovers and looks ids up.
//
// A person asks the file with `sqlite3 -readonly DIR/state.db`; see the tables in schema.cc.
// Ownership: outlives every awaitable it returned. The clock, random and log of the options are
// used by open() only, the log also later.
// Threads: as StateStore. Destroying it without close() is safe and drains what is queued.

#ifndef STATE_ENGINE_STORE_SQLITE_SQLITE_STATE_STORE_H_
#define STATE_ENGINE_STORE_SQLITE_SQLITE_STATE_STORE_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "ports/state_store.h"
#include "store/sqlite/schema.h"

namespace state_engine {

struct SqliteStoreOptions {
  std::filesystem::path directory;  // created if missing, for its owner only
  const Clock* clock = nullptr;     // when a new store was made
  Random* random = nullptr;         // its engine id
  Log* log = nullptr;
  std::size_t entries_checked_at_start = 1000;
  // So many entries gather before the tables by key are brought up to the log (log_folder.h). More
  // make fewer writes in all, and a longer start after a crash (4 to 15 us for each).
  std::size_t unfolded_entries_max = 131'072;
  std::string vfs_for_test;  // a registered SQLite VFS; empty = the system's
  const sqlite::SchemaPlan* schema_for_test = nullptr;
};

class SqliteStateStore final : public StateStore {
 public:
  // Takes the lock, creates or migrates the file, and checks the end of the log (integrity.h).
  // REQUIRES: clock, random and log are set.
  // Errors: kFailedPrecondition (another process owns it; newer schema), kDataLoss (damaged),
  // kUnavailable (disk, permissions). Cost: O(entries_checked_at_start), blocking I/O.
  static Result<std::unique_ptr<SqliteStateStore>> open(const SqliteStoreOptions& options);

  ~SqliteStateStore() override;

  std::string_view name() const override { return "sqlite"; }
  Awaitable<Result<StoreHead>> head() override;
  Awaitable<CommitReply> commit(std::shared_ptr<const CommitBatch> batch) override;
  Awaitable<Result<std::vector<std::optional<LogEntry>>>> lookup(
      std::vector<std::string> mutation_ids) override;
  // Cost: O(limit), and O(entries that are not folded yet).
  Awaitable<Result<std::vector<SnapshotPtr>>> scan_snapshots(std::string after_key,
                                                             std::size_t limit) override;
  Awaitable<Result<LoadedState>> load_state() override;
  // Cost: O(limit) for one criterion; a rare prefix costs O(entries under it).
  Awaitable<Result<std::vector<LogEntry>>> read_log(LogQuery query) override;
  Awaitable<Result<std::vector<OutboxRow>>> pending_effects(std::int64_t after_position,
                                                            std::size_t limit) override;
  Awaitable<Result<std::vector<OutboxRow>>> effects_of(
      std::vector<std::string> mutation_ids) override;
  Awaitable<Status> mark_effects(std::vector<std::string> effect_ids, EffectState state,
                                 Timestamp at, Timestamp forget_before) override;
  Awaitable<Result<std::vector<RuleState>>> rule_states() override;
  Awaitable<Status> save_source(SourceRevision source) override;
  Awaitable<Result<SourceRevision>> source(std::string kind, std::string revision) override;
  Awaitable<Result<std::int64_t>> cursor(std::string name) override;
  Awaitable<Status> save_cursor(std::string name, std::int64_t seq) override;

  // Empties the WAL into the file. Errors: kDataLoss if the store had stopped.
  Awaitable<Status> close() override;

 private:
  struct Core;
  explicit SqliteStateStore(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_STORE_SQLITE_SQLITE_STATE_STORE_H_
