// Files that hold secrets: read with a bound, replaced whole, readable by their owner only.

#ifndef STATE_ENGINE_BASE_SECRET_FILE_H_
#define STATE_ENGINE_BASE_SECRET_FILE_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine {

// The content of `path`, at most 1 MiB.
// Errors: kNotFound if there is no such file, kUnavailable if it cannot be read.
Result<std::string> read_secret_file(const std::string& path);

// Writes beside `path` with mode 0600 and renames, so that a reader never sees half a file.
// Errors: kUnavailable; the file is then as it was.
Status write_secret_file(const std::string& path, std::string_view text);

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_SECRET_FILE_H_
