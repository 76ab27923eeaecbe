// The tables of state.db, and the path from older versions of them to the present one.
//
// The tables are a public interface: people query them with plain SQL. The version
// is in `PRAGMA user_version` and, for people, in meta.schema_version.

#ifndef STATE_ENGINE_STORE_SQLITE_SCHEMA_H_
#define STATE_ENGINE_STORE_SQLITE_SCHEMA_H_

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "store/sqlite/database.h"

namespace state_engine::sqlite {

// Brings a file from version `from` to `from` + 1. All steps run in one transaction.
struct MigrationStep {
  std::int64_t from = 0;
  const char* sql = "";
};

// What this program writes: the version, and the steps that lead to it from older ones.
struct SchemaPlan {
  std::int64_t version = 1;
  std::span<const MigrationStep> steps;
};

SchemaPlan current_schema();

struct NewStore {
  std::string engine_id;
  Timestamp created{};
};

// Creates the tables in an empty file, migrates an older one after a backup copy beside it
// (`state.db.before-v<N>`), leaves a current one alone.
// Errors: kFailedPrecondition for a newer file or another program's database.
Status ensure_schema(Database& database, const std::filesystem::path& file, const SchemaPlan& plan,
                     const NewStore& fresh);

// Refuses a file that this program cannot read as it is (newer, older, foreign, empty).
Status require_schema(Database& database, const std::filesystem::path& file,
                      const SchemaPlan& plan);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_SCHEMA_H_
