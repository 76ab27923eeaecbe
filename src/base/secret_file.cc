// Replacing by rename and sync keeps the old tokens until the new ones are on disk: a token service
// may have made the old ones worthless already, so losing both would lock everybody out.

#include "base/secret_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

namespace state_engine {
namespace {

constexpr std::size_t kBytesMax = 1024 * 1024;

Error failed(std::string_view doing, const std::string& path, int error) {
  return {error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
          "cannot " + std::string(doing) + " " + path + ": " + std::strerror(error)};
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::string> read_secret_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed("read", path, errno);
  std::string text;
  std::array<char, 16 * 1024> chunk;
  ssize_t count = 0;
  while ((count = ::read(file, chunk.data(), chunk.size())) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || text.size() > kBytesMax) break;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  const int error = errno;
  ::close(file);
  if (count < 0) return failed("read", path, error);
  if (count > 0) return failed("read", path, EFBIG);
  return text;
}

Status write_secret_file(const std::string& path, std::string_view text) {
  const std::string draft = path + ".new";
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed("write", draft, errno);
  const bool written = ::fchmod(file, 0600) == 0 && write_all(file, text) && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  if (!written) return failed("write", draft, error);
  if (::rename(draft.c_str(), path.c_str()) != 0) return failed("write", path, errno);
  return {};
}

}  // namespace state_engine
