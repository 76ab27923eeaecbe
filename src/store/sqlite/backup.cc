// VACUUM INTO a draft, sync, rename, sync the directory: the target is whole or not there.

#include "store/sqlite/backup.h"

#include <cerrno>
#include <sys/stat.h>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "store/sqlite/data_dir.h"
#include "store/sqlite/database.h"
#include "store/sqlite/schema.h"

namespace state_engine::sqlite {
namespace {

namespace fs = std::filesystem;

Error system_error(std::string_view doing, const fs::path& path, int number) {
  return {ErrorCode::kUnavailable, fmt::format("cannot {} {}: {}", doing, path.string(),
                                               std::generic_category().message(number))};
}

Error exists_error(const fs::path& target) {
  return {
      ErrorCode::kFailedPrecondition,
      fmt::format("{} exists: a backup never overwrites, choose another name", target.string())};
}

Status copy_into(const fs::path& source, const fs::path& copy) {
  auto database = Database::open(source, OpenMode::kSnapshot);
  if (!database.ok()) return std::move(database).error();
  SE_RETURN_IF_ERROR(require_schema(*database, source, current_schema()));
  auto statement = database->prepare("VACUUM INTO ?1", false);
  if (!statement.ok()) return std::move(statement).error();
  const std::string name = copy.string();
  statement->bind_text(1, name);
  if (const int code = statement->run(); code != SQLITE_OK) {
    return database->to_error(code, fmt::format("copy {} to {}", source.string(), name));
  }
  return sync_file(copy);
}

// Renames without ever replacing a file.
Status publish(const fs::path& copy, const fs::path& target) {
  if (::renameat2(AT_FDCWD, copy.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
    return sync_directory(target.parent_path());
  }
  if (errno == EEXIST) return exists_error(target);
  if (errno != EINVAL && errno != ENOSYS) return system_error("rename to", target, errno);
  // A file system without that flag: a hard link refuses to replace, too.
  if (::link(copy.c_str(), target.c_str()) != 0) {
    if (errno == EEXIST) return exists_error(target);
    return system_error("link to", target, errno);
  }
  if (::unlink(copy.c_str()) != 0) return system_error("remove", copy, errno);
  return sync_directory(target.parent_path());
}

std::string first_problem(const VerifyReport& report) {
  if (report.problems.empty()) return "no problem";
  const VerifyProblem& problem = report.problems.front();
  return fmt::format("seq {} key '{}': {}", problem.seq, problem.key, problem.message);
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;  // leaving the file behind is what the error already says
  fs::remove(path, ignored);
}

}  // namespace

Result<BackupReport> backup(const fs::path& directory, const fs::path& target) {
  const fs::path source = database_file(directory);
  if (!fs::exists(source)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} does not exist: no engine has started here", source.string())};
  }
  const fs::path final_path = fs::absolute(target);
  if (fs::exists(final_path)) return exists_error(target);
  fs::path copy = final_path;
  copy += ".unverified";
  if (const Status created = create_private_file(copy); !created.ok()) {
    if (created.error().code != ErrorCode::kFailedPrecondition) return created.error();
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("{} is left from an unfinished backup: remove it", copy.string())};
  }
  if (const Status copied = copy_into(source, copy); !copied.ok()) {
    remove_quietly(copy);
    return copied.error();
  }
  auto verified = verify_file(copy);
  if (!verified.ok()) return std::move(verified).error();
  if (!verified->ok()) {
    return Error{ErrorCode::kDataLoss,
                 fmt::format("the copy does not verify ({} problems, first: {}); it is kept as {}",
                             verified->problem_count, first_problem(*verified), copy.string())};
  }
  std::error_code failure;
  const auto bytes = fs::file_size(copy, failure);
  if (failure) return system_error("measure", copy, failure.value());
  SE_RETURN_IF_ERROR(publish(copy, final_path));
  return BackupReport{final_path, static_cast<std::int64_t>(bytes), std::move(*verified)};
}

}  // namespace state_engine::sqlite
