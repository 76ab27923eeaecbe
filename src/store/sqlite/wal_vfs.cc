// Only a WAL gets our method table; the real sqlite3_file lies behind ours in the same allocation.
// Every other file is opened by the base VFS in the place SQLite gave us, and costs nothing.

#include "store/sqlite/wal_vfs.h"

#include <atomic>
#include <cstring>
#include <new>
#include <vector>

#include <sqlite3.h>

#include "base/assert.h"
#include "store/sqlite/vfs_forward.h"

namespace state_engine::sqlite {
namespace {

// A larger commit is several writes: SQLite's own VFS takes no more than 0x1ffff bytes at once.
constexpr std::size_t kCollectedMax = 0x1f000;

struct WalFile {
  sqlite3_file base;  // first: SQLite sees only this
  std::vector<char>* collected;
  sqlite3_int64 begin;  // where in the file `collected` starts
};

using Forwarded = ForwardedFile<WalFile>;
WalFile& ours(sqlite3_file* file) { return Forwarded::head(file); }
sqlite3_file* real(sqlite3_file* file) { return Forwarded::real(file); }

// Writes what was collected. What fails is forgotten: SQLite ends the transaction it belongs to.
int flush(sqlite3_file* file) {
  std::vector<char>& collected = *ours(file).collected;
  if (collected.empty()) return SQLITE_OK;
  const int code = real(file)->pMethods->xWrite(
      real(file), collected.data(), static_cast<int>(collected.size()), ours(file).begin);
  collected.clear();
  return code;
}

int close_file(sqlite3_file* file) {
  const int flushed = flush(file);
  delete ours(file).collected;
  const int closed = real(file)->pMethods->xClose(real(file));
  return flushed != SQLITE_OK ? flushed : closed;
}

int read_file(sqlite3_file* file, void* out, int count, sqlite3_int64 at) {
  const WalFile& wal = ours(file);
  const auto held = static_cast<sqlite3_int64>(wal.collected->size());
  if (at >= wal.begin && at + count <= wal.begin + held) {
    std::memcpy(out, wal.collected->data() + (at - wal.begin), static_cast<std::size_t>(count));
    return SQLITE_OK;
  }
  if (at < wal.begin + held && at + count > wal.begin) {
    if (const int code = flush(file); code != SQLITE_OK) return code;
  }
  return real(file)->pMethods->xRead(real(file), out, count, at);
}

int write_file(sqlite3_file* file, const void* data, int count, sqlite3_int64 at) {
  WalFile& wal = ours(file);
  const auto held = static_cast<sqlite3_int64>(wal.collected->size());
  const auto size = static_cast<std::size_t>(count);
  if (held != 0 && (at != wal.begin + held || wal.collected->size() + size > kCollectedMax)) {
    if (const int code = flush(file); code != SQLITE_OK) return code;
  }
  if (wal.collected->empty()) wal.begin = at;
  const auto* bytes = static_cast<const char*>(data);
  try {
    wal.collected->insert(wal.collected->end(), bytes, bytes + size);
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
  return SQLITE_OK;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = flush(file); code != SQLITE_OK) return code;
  return real(file)->pMethods->xTruncate(real(file), size);
}

int sync_file(sqlite3_file* file, int flags) {
  if (const int code = flush(file); code != SQLITE_OK) return code;
  return real(file)->pMethods->xSync(real(file), flags);
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  if (const int code = flush(file); code != SQLITE_OK) return code;
  return real(file)->pMethods->xFileSize(real(file), size);
}

const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods kTable = [] {
    sqlite3_io_methods out = Forwarded::methods(1);
    out.xClose = close_file;
    out.xRead = read_file;
    out.xWrite = write_file;
    out.xTruncate = truncate_file;
    out.xSync = sync_file;
    out.xFileSize = file_size;
    return out;
  }();
  return &kTable;
}

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  auto* base = static_cast<sqlite3_vfs*>(vfs->pAppData);
  if ((flags & SQLITE_OPEN_WAL) == 0) return base->xOpen(base, path, file, flags, out_flags);
  file->pMethods = nullptr;
  real(file)->pMethods = nullptr;
  auto collected = std::unique_ptr<std::vector<char>>(new (std::nothrow) std::vector<char>);
  if (collected == nullptr) return SQLITE_NOMEM;
  const int code = base->xOpen(base, path, real(file), flags, out_flags);
  if (code != SQLITE_OK) {
    // SQLite closes only files whose methods it sees.
    if (real(file)->pMethods != nullptr) real(file)->pMethods->xClose(real(file));
    return code;
  }
  ours(file).collected = collected.release();
  ours(file).begin = 0;
  file->pMethods = methods();
  return SQLITE_OK;
}

}  // namespace

struct WalVfs::Registration {
  sqlite3_vfs vfs{};
};

WalVfs::WalVfs(const std::string& base) : registration_(std::make_unique<Registration>()) {
  sqlite3_vfs* below = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
  SE_ASSERT(below != nullptr);
  static std::atomic<int> number{0};
  name_ = "state-engine-wal-" + std::to_string(number++);
  sqlite3_vfs& vfs = registration_->vfs;
  vfs = *below;
  vfs.pNext = nullptr;
  vfs.zName = name_.c_str();
  vfs.szOsFile += static_cast<int>(Forwarded::kHeadBytes);
  vfs.pAppData = below;
  vfs.xOpen = open_file;
  // The system's methods ignore the VFS they are called with, but those of a test's VFS may not.
  vfs.xDelete = [](sqlite3_vfs* self, const char* path, int sync) {
    auto* next = static_cast<sqlite3_vfs*>(self->pAppData);
    return next->xDelete(next, path, sync);
  };
  vfs.xAccess = [](sqlite3_vfs* self, const char* path, int flags, int* out) {
    auto* next = static_cast<sqlite3_vfs*>(self->pAppData);
    return next->xAccess(next, path, flags, out);
  };
  vfs.xFullPathname = [](sqlite3_vfs* self, const char* path, int size, char* out) {
    auto* next = static_cast<sqlite3_vfs*>(self->pAppData);
    return next->xFullPathname(next, path, size, out);
  };
  SE_ASSERT(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

WalVfs::~WalVfs() { sqlite3_vfs_unregister(&registration_->vfs); }

}  // namespace state_engine::sqlite
