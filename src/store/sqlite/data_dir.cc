// flock and not a pid file: the kernel lets go of it however the owner ends.

#include "store/sqlite/data_dir.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace state_engine::sqlite {
namespace {

Error system_error(std::string_view doing, const std::filesystem::path& path, int number) {
  return {ErrorCode::kUnavailable, fmt::format("cannot {} {}: {}", doing, path.string(),
                                               std::generic_category().message(number))};
}

Status sync_path(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) return system_error("open", path, errno);
  const int synced = ::fsync(descriptor);
  const int number = errno;
  ::close(descriptor);
  if (synced != 0) {
    return Error{ErrorCode::kDataLoss, system_error("sync", path, number).message};
  }
  return {};
}

// The process id that the holder wrote, or "unknown".
std::string read_holder(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t count = ::pread(descriptor, text.data(), text.size() - 1, 0);
  if (count <= 0) return "unknown";
  std::string holder(text.data(), static_cast<std::size_t>(count));
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder.empty() ? "unknown" : holder;
}

Error held_error(const std::filesystem::path& directory, const std::string& holder) {
  return {ErrorCode::kFailedPrecondition,
          fmt::format("data directory {} is in use by process {}: talk to that engine, stop it "
                      "(kill {}), or choose another directory with --data-dir",
                      directory.string(), holder, holder)};
}

Status write_holder(int descriptor, const std::filesystem::path& path) {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) != 0) return system_error("truncate", path, errno);
  const ssize_t written = ::pwrite(descriptor, text.data(), text.size(), 0);
  // The lock holds without the text; a full disk must not keep the engine from starting.
  if (written < 0 && errno != ENOSPC) return system_error("write", path, errno);
  return {};
}

}  // namespace

Status sync_directory(const std::filesystem::path& directory) {
  return sync_path(directory, O_RDONLY | O_DIRECTORY);
}

Status sync_file(const std::filesystem::path& file) { return sync_path(file, O_RDONLY); }

Result<DataDirLock> DataDirLock::acquire(const std::filesystem::path& directory) {
  std::error_code failure;
  const bool created = std::filesystem::create_directories(directory, failure);
  if (failure) return system_error("create", directory, failure.value());
  if (created && ::chmod(directory.c_str(), S_IRWXU) != 0) {
    return system_error("protect", directory, errno);
  }
  const std::filesystem::path path = lock_file(directory);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return system_error("open", path, errno);
  DataDirLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return held_error(directory, read_holder(descriptor));
    return system_error("lock", path, errno);
  }
  SE_RETURN_IF_ERROR(write_holder(descriptor, path));
  return lock;
}

DataDirLock::DataDirLock(DataDirLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

DataDirLock& DataDirLock::operator=(DataDirLock&& other) noexcept {
  if (this != &other) {
    release();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

DataDirLock::~DataDirLock() { release(); }

void DataDirLock::release() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Status create_private_file(const std::filesystem::path& path) {
  const int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) {
    if (errno != EEXIST) return system_error("create", path, errno);
    return Error{ErrorCode::kFailedPrecondition, path.string() + " exists"};
  }
  ::close(descriptor);
  return {};
}

Status create_database_file(const std::filesystem::path& directory) {
  const Status created = create_private_file(database_file(directory));
  if (created.ok()) return sync_directory(directory);
  return created.error().code == ErrorCode::kFailedPrecondition ? Status{} : created;
}

}  // namespace state_engine::sqlite
