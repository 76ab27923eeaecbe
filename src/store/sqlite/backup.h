// Online backup of a data directory into one file.
//
// To restore: stop the engine, put the file as `state.db` into an empty directory, and start the
// engine with that --data-dir. The copy keeps the engine id and the whole log, so it goes on where
// the backup was made; never run it beside the original on one bus.

#ifndef STATE_ENGINE_STORE_SQLITE_BACKUP_H_
#define STATE_ENGINE_STORE_SQLITE_BACKUP_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "store/sqlite/integrity.h"

namespace state_engine::sqlite {

struct BackupReport {
  std::filesystem::path file;
  std::int64_t bytes = 0;
  VerifyReport verified;  // of the copy; ok()
};

// Copies one snapshot of DIR/state.db to `target`, while an engine may be running, then verifies
// the copy in full. `target` appears complete and durable, or not at all.
// Errors: kFailedPrecondition if `target` exists; kDataLoss if the copy does not verify (it is left
// as `target`.unverified then); kUnavailable. Cost: O(file).
Result<BackupReport> backup(const std::filesystem::path& directory,
                            const std::filesystem::path& target);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_BACKUP_H_
