// WalVfs: a SQLite VFS that writes the frames of a commit to the WAL in one piece.
//
// SQLite writes each page of a commit with two system calls, its header and itself. They follow one
// another in the file, so they are collected and written together before the sync that makes them
// durable. Nothing is promised earlier or later than without it: a frame counts from its sync on,
// and until then no other connection looks at it.
//
// Ownership: outlives every connection opened with name(). The VFS `base` outlives this.
// Threads:   as SQLite's VFS; each file is used by one connection at a time.
// Errors:    a write that fails is reported by the sync (or the read) that forced it, with the
//            code of the base VFS; SQLite rolls the transaction back either way.
// Source:    https://sqlite.org/vfs.html and https://sqlite.org/walformat.html (SQLite 3.40).

#ifndef STATE_ENGINE_STORE_SQLITE_WAL_VFS_H_
#define STATE_ENGINE_STORE_SQLITE_WAL_VFS_H_

#include <memory>
#include <string>

namespace state_engine::sqlite {

class WalVfs {
 public:
  // `base` empty = the system's default.
  // REQUIRES: a VFS of that name is registered.
  explicit WalVfs(const std::string& base);
  ~WalVfs();
  WalVfs(const WalVfs&) = delete;
  WalVfs& operator=(const WalVfs&) = delete;

  // What Database::open() takes.
  const std::string& name() const { return name_; }

 private:
  struct Registration;

  std::string name_;
  std::unique_ptr<Registration> registration_;
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_WAL_VFS_H_
