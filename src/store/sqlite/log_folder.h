// LogFolder: brings the tables by key up to the log, a few rows at a time.
//
// Tables: folded_state has the state of each key, log_keys the entries of each key; both hold at
// least the log up to meta.folded_seq. Rows of later entries may be there, too: a fold that did not
// end is done again from its beginning, and writes the same.
// Rows are written in key order, so that those of one page come together.
//
// Ownership: the database and the log outlive it. Threads: the writer's.

#ifndef STATE_ENGINE_STORE_SQLITE_LOG_FOLDER_H_
#define STATE_ENGINE_STORE_SQLITE_LOG_FOLDER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "store/sqlite/database.h"
#include "store/sqlite/unfolded_log.h"

namespace state_engine::sqlite {

class LogFolder {
 public:
  explicit LogFolder(UnfoldedLog& log) : log_(log) {}

  Status prepare(Database& database);

  // Begins to fold all that has gathered, unless a fold is under way or nothing has.
  void begin();

  bool under_way() const { return log_.frozen() != nullptr; }

  // Writes about `rows` rows of the fold under way, if one is. REQUIRES: a transaction is open.
  // Returns SQLITE_OK or the code of the first failure.
  int write(std::size_t rows);

  // The transaction of the last write() is committed. Otherwise the next one writes the same again.
  void committed();

  // Frees the statements; nothing may be called afterwards.
  void close();

 private:
  using Keys = std::map<std::string, UnfoldedLog::Layer::OfKey, std::less<>>;

  // What is to be written next.
  struct Position {
    Keys::const_iterator key;
    bool state_written = false;
    std::uint32_t entry = UnfoldedLog::kNone;  // of the key, once its state is written
  };

  int write_state(std::int64_t seq);
  int write_key(const std::string& key, std::int64_t seq);
  int write_end(std::int64_t seq);

  UnfoldedLog& log_;
  Position done_;     // by committed transactions
  Position written_;  // by the last write()
  Statement upsert_state_;
  Statement insert_key_;
  Statement update_end_;
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_LOG_FOLDER_H_
