// The data directory: its file names, and the lock that lets one process own it.

#ifndef STATE_ENGINE_STORE_SQLITE_DATA_DIR_H_
#define STATE_ENGINE_STORE_SQLITE_DATA_DIR_H_

#include <filesystem>

#include "base/result.h"

namespace state_engine::sqlite {

inline std::filesystem::path database_file(const std::filesystem::path& directory) {
  return directory / "state.db";
}
inline std::filesystem::path lock_file(const std::filesystem::path& directory) {
  return directory / "engine.lock";
}

// Makes entries of `directory` (created, renamed files) survive a power loss.
Status sync_directory(const std::filesystem::path& directory);

// Makes the content of `file` survive a power loss.
Status sync_file(const std::filesystem::path& file);

// An exclusive flock on DIR/engine.lock, which holds the owner's process id for people.
// The kernel releases it when the process ends, however it ends.
class DataDirLock {
 public:
  // Creates `directory` (0700) and the lock file (0600) if missing.
  // Errors: kFailedPrecondition naming the process that holds it; kUnavailable.
  static Result<DataDirLock> acquire(const std::filesystem::path& directory);

  DataDirLock(DataDirLock&& other) noexcept;
  DataDirLock& operator=(DataDirLock&& other) noexcept;
  DataDirLock(const DataDirLock&) = delete;
  DataDirLock& operator=(const DataDirLock&) = delete;
  ~DataDirLock();

  void release();

 private:
  explicit DataDirLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

// Creates `path`, empty and readable by its owner only, for SQLite to fill.
// Errors: kFailedPrecondition if it exists; kUnavailable.
Status create_private_file(const std::filesystem::path& path);

// Creates DIR/state.db, empty and readable by its owner only, if it is missing. SQLite gives the
// WAL the same permissions.
Status create_database_file(const std::filesystem::path& directory);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_DATA_DIR_H_
