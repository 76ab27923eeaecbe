// Every file is the real one with our method table in front of it: the real sqlite3_file lies
// behind ours in the same allocation.

#include "tests/conformance/fault_vfs.h"

#include <stdexcept>

#include <sqlite3.h>

#include "store/sqlite/vfs_forward.h"

namespace state_engine::test {
namespace {

struct FaultFile {
  sqlite3_file base;
  FaultVfs* owner;
};

using Forwarded = sqlite::ForwardedFile<FaultFile>;
FaultFile* ours(sqlite3_file* file) { return &Forwarded::head(file); }
sqlite3_file* real(sqlite3_file* file) { return Forwarded::real(file); }

int write_file(sqlite3_file* file, const void* data, int count, sqlite3_int64 at) {
  FaultVfs& owner = *ours(file)->owner;
  if (!owner.next_fails(false)) return real(file)->pMethods->xWrite(real(file), data, count, at);
  if (owner.plan().torn && count > 1) {
    static_cast<void>(real(file)->pMethods->xWrite(real(file), data, count / 2, at));
  }
  return owner.plan().write_code;
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (ours(file)->owner->next_fails(false)) return SQLITE_IOERR_TRUNCATE;
  return real(file)->pMethods->xTruncate(real(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  if (ours(file)->owner->next_fails(true)) return SQLITE_IOERR_FSYNC;
  return real(file)->pMethods->xSync(real(file), flags);
}
const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods table = [] {
    sqlite3_io_methods out = Forwarded::methods(2);
    out.xWrite = write_file;
    out.xTruncate = truncate_file;
    out.xSync = sync_file;
    return out;
  }();
  return &table;
}

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  file->pMethods = nullptr;
  real(file)->pMethods = nullptr;
  const int code = system->xOpen(system, path, real(file), flags, out_flags);
  if (real(file)->pMethods == nullptr) return code;
  ours(file)->owner = static_cast<FaultVfs*>(vfs->pAppData);
  file->pMethods = methods();
  return code;
}

}  // namespace

struct FaultVfs::Registration {
  sqlite3_vfs vfs{};
};

FaultVfs::FaultVfs() : registration_(std::make_unique<Registration>()) {
  static std::atomic<int> number{0};
  name_ = "fault-" + std::to_string(number++);
  sqlite3_vfs& vfs = registration_->vfs;
  vfs = *sqlite3_vfs_find(nullptr);
  vfs.pNext = nullptr;
  vfs.zName = name_.c_str();
  vfs.szOsFile += static_cast<int>(Forwarded::kHeadBytes);
  vfs.pAppData = this;
  vfs.xOpen = open_file;
  // The others ignore the VFS they are called with, or find the system's by themselves.
  vfs.xDelete = [](sqlite3_vfs*, const char* path, int sync) {
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    return system->xDelete(system, path, sync);
  };
  vfs.xAccess = [](sqlite3_vfs*, const char* path, int flags, int* out) {
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    return system->xAccess(system, path, flags, out);
  };
  vfs.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
    return system->xFullPathname(system, path, size, out);
  };
  if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) throw std::runtime_error("vfs_register failed");
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&registration_->vfs); }

void FaultVfs::arm(const FaultPlan& plan) {
  plan_ = plan;
  fired_ = false;
  count_ = 0;
}

bool FaultVfs::next_fails(bool is_sync) {
  if (plan_.fail_at < 0 || (plan_.syncs_only && !is_sync)) return false;
  const int number = count_++;
  if (number != plan_.fail_at && !(plan_.sticky && number > plan_.fail_at)) return false;
  fired_ = true;
  return true;
}

}  // namespace state_engine::test
