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
#include "store/sqlite/log_folder.h"
#include "store/sqlite/row_codec.h"
#include "store/sqlite/unfolded_log.h"

namespace state_engine::sqlite {

class Writer {
 public:
  // Once `unfolded_max` entries have gathered in `unfolded`, commits carry their fold.
  // REQUIRES: the schema of `database` is current, its log ends in `end`, and `unfolded` has all
  // that is not folded. It outlives the writer.
  static Result<std::unique_ptr<Writer>> create(Database database, LogEnd end,
                                                UnfoldedLog& unfolded, std::size_t unfolded_max);

  CommitReply commit(const CommitBatch& batch);
  Status mark_effects(const std::vector<std::string>& effect_ids, EffectState state, Timestamp at,
                      Timestamp forget_before);
  Status save_source(const SourceRevision& source);
  Status save_cursor(const std::string& name, std::int64_t seq);

  // Brings the tables by key a step further, by about `rows` rows, in a transaction of its own.
  Status fold(std::size_t rows);
  // All the way. Errors: kUnavailable (disk full: goes on at the next call), kDataLoss (stopped).
  Status fold_all();
  // Whether anything is left to fold.
  bool folds_wait() const;

  // Copies the WAL into the database file if it has grown over its bound; never waits for readers.
  void checkpoint_if_large();

  // The same whatever its size, and empties the WAL file if no reader needs it.
  void checkpoint_all();

  // Empties the WAL and closes the connection. Nothing may be called afterwards.
  Status close();

  bool failed() const { return failed_; }

 private:
  Writer(Database database, LogEnd end, UnfoldedLog& unfolded, std::size_t unfolded_max);

  Status prepare();
  // Each returns SQLITE_OK or the code of the first failure.
  int write_batch(const CommitBatch& batch);
  int write_head(const LogEntry& last);
  int write_marks(const std::vector<std::string>& effect_ids, EffectState state, Timestamp at,
                  Timestamp forget_before);
  // Notes what a committed batch added to the log, and what it carried of a fold.
  void gather(const CommitBatch& batch);
  // Runs `body` in a transaction. Returns what became of it.
  CommitReply transact(std::string_view doing, const std::function<int()>& body);
  CommitReply after_failure(int code, std::string_view doing, bool in_commit);
  Status to_status(const CommitReply& reply) const;
  void fail(int code);

  Database database_;
  LogEnd end_;
  UnfoldedLog& unfolded_;
  const std::size_t unfolded_max_;
  LogFolder folder_;
  bool failed_ = false;
  int wal_pages_ = 0;  // set by SQLite's hook after each commit
  RowScratch scratch_;
  Statement begin_;
  Statement commit_;
  Statement insert_log_;
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
