// The fast check of a data directory at every start, in two parts.

#ifndef STATE_ENGINE_STORE_SQLITE_START_CHECK_H_
#define STATE_ENGINE_STORE_SQLITE_START_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "ports/batch_check.h"
#include "store/sqlite/database.h"
#include "store/sqlite/unfolded_log.h"

namespace state_engine::sqlite {

// The end of the log, as it was checked at start.
struct CheckedTail {
  struct Write {
    std::int64_t seq = 0;
    std::int64_t version = 0;
    std::string id;
  };

  LogEnd end;
  std::unordered_map<std::string, Write> written;  // the last one to each key
  std::unique_ptr<UnfoldedLog> unfolded;           // what is not folded yet
};

// The first part. The last `tail` entries, and all that are not folded yet,
// hash and chain, and meta names the last of them; small files get SQLite's quick_check too.
// Errors: kDataLoss. Cost: O(tail).
Result<CheckedTail> check_log_at_start(Database& database, std::size_t tail);

// The second, once all is folded: each snapshot that those entries wrote is the one stored.
Status check_state_at_start(Database& database, const CheckedTail& tail);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_START_CHECK_H_
