// A data directory that a test may open, copy and damage; removed with its content at the end.

#ifndef STATE_ENGINE_TESTS_CONFORMANCE_SQLITE_HOME_H_
#define STATE_ENGINE_TESTS_CONFORMANCE_SQLITE_HOME_H_

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/sqlite_state_store.h"
#include "tests/conformance/state_store_suite.h"

namespace state_engine::test {

// A fresh directory under the system's temporary one.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "se-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;  // the directory may be read-only by a test's wish
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class SqliteHome final : public StoreHome {
 public:
  SqliteHome() : directory_(temporary_.path() / "data") {}
  explicit SqliteHome(std::filesystem::path directory) : directory_(std::move(directory)) {}

  std::unique_ptr<StateStore> open() override { return must(try_open()); }

  Result<std::unique_ptr<SqliteStateStore>> try_open() { return SqliteStateStore::open(options()); }

  SqliteStoreOptions options() {
    return {.directory = directory_,
            .clock = &clock_,
            .random = &random_,
            .log = &log_,
            .unfolded_entries_max = unfolded_entries_max,
            .vfs_for_test = vfs,
            .schema_for_test = schema};
  }

  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path file() const { return sqlite::database_file(directory_); }

  std::string vfs;
  std::size_t unfolded_entries_max = 131'072;
  const sqlite::SchemaPlan* schema = nullptr;

 private:
  TemporaryDirectory temporary_;
  std::filesystem::path directory_;
  ManualClock clock_;
  SeededRandom random_{1};
  NullLog log_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_CONFORMANCE_SQLITE_HOME_H_
