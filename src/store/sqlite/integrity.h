// The full verification of a data directory.
//
// It reads only and may run beside a live engine: it works on one snapshot of the file.

#ifndef STATE_ENGINE_STORE_SQLITE_INTEGRITY_H_
#define STATE_ENGINE_STORE_SQLITE_INTEGRITY_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace state_engine::sqlite {

// One thing that is not as it must be.
struct VerifyProblem {
  std::int64_t seq = 0;  // of the log entry; 0 if it is not about one
  std::string key;       // of the state, if it is about one
  std::string message;   // what was found and what was expected
};

struct VerifyReport {
  std::string engine_id;
  std::int64_t head_seq = 0;
  std::string head_hash;
  std::int64_t entries = 0;  // log entries checked
  std::int64_t keys = 0;     // snapshots checked, tombstones included
  std::int64_t effects = 0;  // outbox rows checked
  std::int64_t problem_count = 0;
  std::vector<VerifyProblem> problems;  // the first 1000 of them

  bool ok() const { return problem_count == 0; }
};

struct VerifyProgress {
  std::int64_t entries_done = 0;
  std::int64_t entries_total = 0;
};
// Called now and then, and at the end; may be empty.
using VerifyProgressCallback = std::function<void(const VerifyProgress&)>;

// Checks all of DIR/state.db: SQLite's own integrity_check; that seq is dense and every entry
// hashes and chains (I2); that versions per key are dense (I1); that the log, folded by apply_op,
// gives exactly the stored results and snapshots (I2), as far as they are folded; that every folded
// entry is found by its key; one record per id (I3); that every effect has its accepted cause
// (I10); that meta names the end of the log. Damage is a finding in the report, not an error.
// Errors: kNotFound, kFailedPrecondition (another schema), kUnavailable, kDataLoss if not even the
// tables can be opened. Cost: O(log), memory O(state).
Result<VerifyReport> verify(const std::filesystem::path& directory,
                            const VerifyProgressCallback& progress = {});

// The same for a single file, such as a backup.
Result<VerifyReport> verify_file(const std::filesystem::path& file,
                                 const VerifyProgressCallback& progress = {});

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_INTEGRITY_H_
