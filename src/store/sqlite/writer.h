// Writer: what the one writing connection does, synchronously.
//
// Threads: the writer's WorkThread only. Once failed() it refuses every call: after an I/O error
// the files are left for the next process to recover.

#ifndef STATE_ENGINE_STORE_SQLITE_WRITER_H_
#define STATE_ENGINE_STORE_SQLITE_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ports/batch_check.h"
#include "ports/state_store.h"
#include "store/sqlite/database.h"
#include "store/sqlite/row_codec.h"

namespace state_engine::sqlite {

// A passive checkpoint: everything that no reader's view keeps in the WAL is copied.
struct CheckpointOutcome {
  int code = 0;     // SQLite's
  int pages = -1;   // in the WAL; -1: not known
  int copied = -1;  // of these, in the database file
};
CheckpointOutcome checkpoint_passively(const Database& database);

enum class CheckpointNeed {
  kNone,
  kBeside,  // much to copy: better by another connection, beside the commits
  kHere,    // little is left to copy: between two commits, after which the WAL starts over
};

class Writer {
 public:
  // REQUIRES: the schema of `database` is current and its log ends in `end`.
  static Result<std::unique_ptr<Writer>> create(Database database, LogEnd end);

  CommitReply commit(const CommitBatch& batch);
  Status mark_effects(const std::vector<std::string>& effect_ids, EffectState state, Timestamp at,
                      Timestamp forget_before);
  Status save_source(const SourceRevision& source);
  Status save_cursor(const std::string& name, std::int64_t seq);

  // What the WAL asks for now. REQUIRES: no checkpoint runs beside.
  CheckpointNeed checkpoint_need() const;

  // Copies the WAL into the database file; never waits for readers.
  void checkpoint();

  // Takes note of a checkpoint that another connection made.
  void note_checkpoint(const CheckpointOutcome& outcome);

  // Copies all, and empties the WAL file if no reader needs it.
  void checkpoint_all();

  // Empties the WAL and closes the connection. Nothing may be called afterwards.
  Status close();

  bool failed() const { return failed_; }

 private:
  Writer(Database database, LogEnd end);

  Status prepare();
  // Each returns SQLITE_OK or the code of the first failure.
  int begin();
  int write_batch(const CommitBatch& batch);
  int write_head(const LogEntry& last);
  int write_marks(const std::vector<std::string>& effect_ids, EffectState state, Timestamp at,
                  Timestamp forget_before);
  // Runs `body` in a transaction. Returns what became of it.
  CommitReply transact(std::string_view doing, const std::function<int()>& body);
  CommitReply after_failure(int code, std::string_view doing, bool in_commit);
  Status to_status(const CommitReply& reply) const;
  void fail(int code);
  void note_wal(int pages);

  Database database_;
  LogEnd end_;
  bool failed_ = false;
  int wal_pages_ = 0;     // set by SQLite's hook after each commit
  int copied_pages_ = 0;  // of these, in the database file
  RowScratch scratch_;
  Statement begin_;
  Statement commit_;
  Statement insert_log_;
  Statement upsert_state_;
  Statement insert_effect_;
  Statement upsert_rule_state_;
  Statement update_meta_;
  Statement mark_effect_;
  Statement forget_effects_;
  Statement insert_source_;
  Statement upsert_cursor_;
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_WRITER_H_
