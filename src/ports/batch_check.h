// The check that every StateStore makes before it writes a batch.

#ifndef STATE_ENGINE_PORTS_BATCH_CHECK_H_
#define STATE_ENGINE_PORTS_BATCH_CHECK_H_

#include <cstdint>
#include <string>

#include "base/result.h"
#include "ports/state_store.h"

namespace state_engine {

// Where a log ends.
struct LogEnd {
  std::int64_t seq = 0;
  std::string hash;
};

// Refuses a batch that does not keep the promises of CommitBatch: entries follow `end` without a
// gap in seq and hash chain, an accepted entry has version + 1 and a value unless it deletes, a
// snapshot comes from an accepted entry of the batch and its key is there once.
// Errors: kInvalidArgument. Cost: O(batch), without hashing.
Status check_batch(const LogEnd& end, const CommitBatch& batch);

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_BATCH_CHECK_H_
