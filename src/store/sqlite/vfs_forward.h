// ForwardedFile: a file of a SQLite VFS that lies on top of another one's.
//
// The real file stands behind a `Head` in the same allocation. methods() forwards every call to it;
// who wants to change some replaces them in the table.
//
// Source: https://sqlite.org/vfs.html and https://sqlite.org/c3ref/io_methods.html (SQLite 3.40).

#ifndef STATE_ENGINE_STORE_SQLITE_VFS_FORWARD_H_
#define STATE_ENGINE_STORE_SQLITE_VFS_FORWARD_H_

#include <cstddef>

#include <sqlite3.h>

namespace state_engine::sqlite {

// REQUIRES: the first member of `Head` is a sqlite3_file, the only one that SQLite sees.
template <typename Head>
struct ForwardedFile {
  // Rounded, so that the real file is aligned. What szOsFile grows by.
  static constexpr std::size_t kHeadBytes =
      (sizeof(Head) + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);

  static Head& head(sqlite3_file* file) { return *reinterpret_cast<Head*>(file); }
  static sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + kHeadBytes);
  }

  // Version 2 has shared memory, which the database file needs and the WAL does not. Pages are
  // never mapped.
  static sqlite3_io_methods methods(int version) {
    sqlite3_io_methods out{};
    out.iVersion = version;
    out.xClose = [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); };
    out.xRead = [](sqlite3_file* f, void* to, int count, sqlite3_int64 at) {
      return real(f)->pMethods->xRead(real(f), to, count, at);
    };
    out.xWrite = [](sqlite3_file* f, const void* from, int count, sqlite3_int64 at) {
      return real(f)->pMethods->xWrite(real(f), from, count, at);
    };
    out.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
      return real(f)->pMethods->xTruncate(real(f), size);
    };
    out.xSync = [](sqlite3_file* f, int flags) { return real(f)->pMethods->xSync(real(f), flags); };
    out.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return real(f)->pMethods->xFileSize(real(f), size);
    };
    out.xLock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); };
    out.xUnlock = [](sqlite3_file* f, int level) {
      return real(f)->pMethods->xUnlock(real(f), level);
    };
    out.xCheckReservedLock = [](sqlite3_file* f, int* held) {
      return real(f)->pMethods->xCheckReservedLock(real(f), held);
    };
    out.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return real(f)->pMethods->xFileControl(real(f), op, arg);
    };
    out.xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); };
    out.xDeviceCharacteristics = [](sqlite3_file* f) {
      return real(f)->pMethods->xDeviceCharacteristics(real(f));
    };
    if (version >= 2) add_shared_memory(out);
    return out;
  }

 private:
  static void add_shared_memory(sqlite3_io_methods& out) {
    out.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** to) {
      return real(f)->pMethods->xShmMap(real(f), page, size, extend, to);
    };
    out.xShmLock = [](sqlite3_file* f, int offset, int count, int flags) {
      return real(f)->pMethods->xShmLock(real(f), offset, count, flags);
    };
    out.xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); };
    out.xShmUnmap = [](sqlite3_file* f, int remove) {
      return real(f)->pMethods->xShmUnmap(real(f), remove);
    };
  }
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_VFS_FORWARD_H_
