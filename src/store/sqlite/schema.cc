// The schema, and the steps from each older version to it; a file is migrated as a whole or not.

#include "store/sqlite/schema.h"

#include <system_error>

#include <fmt/format.h>
#include <sqlite3.h>

#include "store/sqlite/data_dir.h"

namespace state_engine::sqlite {
namespace {

// "SEng": tells our files from other SQLite databases (`file state.db` shows it).
constexpr std::int64_t kApplicationId = 0x53456e67;

// Version 1. Times are RFC 3339 in UTC with milliseconds, so that text order is time order.
// `value`, `result`, `metadata` and `rules` are JSON. An optional text is NULL when absent.
// `result` is NULL when it is the same as `value`. An outbox row's state is checked without IN,
// which makes a b-tree of three values for each row. Tables in key order are WITHOUT ROWID: one
// b-tree, scanned at start.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE meta(
  key   TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE state(
  key         TEXT NOT NULL PRIMARY KEY,
  value       TEXT NOT NULL,
  version     INTEGER NOT NULL,
  updated_at  TEXT NOT NULL,
  updated_by  TEXT NOT NULL,
  ttl_ms      INTEGER,
  expires_at  TEXT,
  seq         INTEGER NOT NULL,
  mutation_id TEXT NOT NULL,
  reason      TEXT NOT NULL,
  metadata    TEXT,
  deleted     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE mutation_log(
  seq              INTEGER PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  key              TEXT NOT NULL,
  op               TEXT NOT NULL,
  value            TEXT,
  result           TEXT,
  status           TEXT NOT NULL CHECK(status IN ('accepted', 'rejected')),
  code             TEXT,
  error            TEXT,
  actor            TEXT NOT NULL,
  principal        TEXT,
  reason           TEXT NOT NULL,
  expected_version INTEGER,
  previous_version INTEGER NOT NULL,
  version          INTEGER,
  ts               TEXT NOT NULL,
  committed_at     TEXT NOT NULL,
  ttl_ms           INTEGER,
  metadata         TEXT,
  correlation_id   TEXT,
  causation_id     TEXT,
  transaction_id   TEXT,
  traceparent      TEXT,
  policy_revision  TEXT,
  policy_rule      TEXT,
  rule_revision    TEXT,
  rules            TEXT,
  payload_hash     TEXT,
  salt             TEXT NOT NULL,
  prev_hash        TEXT NOT NULL,
  hash             TEXT NOT NULL,
  engine_id        TEXT NOT NULL,
  actor_verified   INTEGER NOT NULL
);
-- Each index ends in seq, the row's own number.
CREATE INDEX log_by_key ON mutation_log(key);
CREATE INDEX log_by_actor ON mutation_log(actor);
CREATE INDEX log_by_cause ON mutation_log(causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX log_by_transaction ON mutation_log(transaction_id) WHERE transaction_id IS NOT NULL;

CREATE TABLE outbox(
  position       INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT NOT NULL UNIQUE,
  rule_id        TEXT NOT NULL,
  cause_id       TEXT NOT NULL,
  cause_seq      INTEGER NOT NULL,
  type           TEXT NOT NULL,
  payload        TEXT NOT NULL,
  correlation_id TEXT,
  created_at     TEXT NOT NULL,
  state          TEXT NOT NULL DEFAULT 'pending'
                 CHECK(state = 'pending' OR state = 'sent' OR state = 'no_subscriber'),
  delivered_at   TEXT
);
CREATE INDEX outbox_pending ON outbox(position) WHERE state = 'pending';
CREATE INDEX outbox_delivered ON outbox(delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX outbox_by_cause ON outbox(cause_id);

CREATE TABLE rule_state(
  rule_id        TEXT NOT NULL,
  key            TEXT NOT NULL,
  truth          INTEGER NOT NULL,
  since          TEXT,
  deadline       TEXT,
  cooldown_until TEXT,
  PRIMARY KEY(rule_id, key)
) WITHOUT ROWID;

CREATE TABLE sources(
  kind     TEXT NOT NULL,
  revision TEXT NOT NULL,
  text     TEXT NOT NULL,
  PRIMARY KEY(kind, revision)
);

-- Who changed a key, when and why: the accepted changes, value as it was afterwards.
CREATE VIEW history AS
  SELECT seq, committed_at, key, op, version, actor, reason, coalesce(result, value) AS value,
         id, expected_version, causation_id, correlation_id, transaction_id, policy_rule
  FROM mutation_log WHERE status = 'accepted';

-- What was refused, and why.
CREATE VIEW rejections AS
  SELECT seq, committed_at, key, op, code, error, actor, reason, value, id, expected_version,
         previous_version AS current_version, policy_rule
  FROM mutation_log WHERE status = 'rejected';
)sql";

// Version 2: what follows from the log is written later, in key order (log_folder.h).
// `folded_state` and `log_keys` hold the log up to meta.folded_seq; the view `state` adds what came
// since, so that it is always true. A row of the log has the deadline of the state it made, if that
// expires.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE state RENAME TO folded_state;
ALTER TABLE mutation_log ADD COLUMN state_ttl_ms INTEGER;
ALTER TABLE mutation_log ADD COLUMN state_expires_at TEXT;

CREATE TABLE log_keys(
  key TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY(key, seq)
) WITHOUT ROWID;
INSERT INTO log_keys SELECT key, seq FROM mutation_log ORDER BY key, seq;
DROP INDEX log_by_key;
INSERT INTO meta SELECT 'folded_seq', CAST(coalesce(max(seq), 0) AS TEXT) FROM mutation_log;

-- The state that an accepted entry made; the present one, if the entry is the last of its key.
CREATE VIEW state_of_entry AS
  SELECT key,
         CASE WHEN op IN ('delete', 'expire') THEN 'null' ELSE coalesce(result, value) END AS value,
         version, committed_at AS updated_at, actor AS updated_by, state_ttl_ms AS ttl_ms,
         state_expires_at AS expires_at, seq, id AS mutation_id, reason, metadata,
         op IN ('delete', 'expire') AS deleted
  FROM mutation_log WHERE status = 'accepted';

-- The state of the keys that were changed since.
CREATE VIEW unfolded_state AS
  SELECT * FROM state_of_entry
  WHERE seq IN (SELECT max(seq) FROM mutation_log
                WHERE seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'folded_seq')
                  AND status = 'accepted'
                GROUP BY key);

CREATE VIEW state AS
  SELECT * FROM folded_state WHERE key NOT IN (SELECT key FROM unfolded_state)
  UNION ALL SELECT * FROM unfolded_state;
)sql";

constexpr MigrationStep kSteps[] = {{.from = 1, .sql = kVersion2}};

// Rolls back unless disarmed, so that a failed step leaves the file as it was.
class Rollback {
 public:
  explicit Rollback(Database& database) : database_(database) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() {
    if (!database_.in_autocommit()) static_cast<void>(database_.execute("ROLLBACK"));
  }

 private:
  Database& database_;
};

Result<std::int64_t> read_pragma(Database& database, const std::string& name) {
  auto value = database.query_integer("PRAGMA " + name);
  if (!value.ok()) return std::move(value).error();
  return value->value_or(0);
}

Status run(Database& database, const std::string& sql, std::string_view doing) {
  if (const int code = database.execute(sql); code != SQLITE_OK) {
    return database.to_error(code, doing);
  }
  return {};
}

Status write_meta(Database& database, std::string_view key, std::string_view value) {
  auto statement =
      database.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)", false);
  if (!statement.ok()) return std::move(statement).error();
  statement->bind_text(1, key);
  statement->bind_text(2, value);
  if (const int code = statement->run(); code != SQLITE_OK) {
    return database.to_error(code, "write meta");
  }
  return {};
}

Status create_tables(Database& database, const SchemaPlan& plan, const NewStore& fresh) {
  const Rollback rollback(database);
  SE_RETURN_IF_ERROR(run(database, "BEGIN IMMEDIATE", "begin"));
  SE_RETURN_IF_ERROR(run(database, kVersion1, "create the tables"));
  for (std::int64_t version = 1; version < plan.version; ++version) {
    for (const MigrationStep& step : plan.steps) {
      if (step.from == version) SE_RETURN_IF_ERROR(run(database, step.sql, "create the tables"));
    }
  }
  SE_RETURN_IF_ERROR(write_meta(database, "engine_id", fresh.engine_id));
  SE_RETURN_IF_ERROR(write_meta(database, "created", format_rfc3339(fresh.created)));
  SE_RETURN_IF_ERROR(write_meta(database, "schema_version", std::to_string(plan.version)));
  SE_RETURN_IF_ERROR(write_meta(database, "head_seq", "0"));
  SE_RETURN_IF_ERROR(write_meta(database, "head_hash", std::string(64, '0')));
  SE_RETURN_IF_ERROR(run(
      database,
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", kApplicationId, plan.version),
      "set the schema version"));
  return run(database, "COMMIT", "commit the new tables");
}

Status copy_before_migration(Database& database, const std::filesystem::path& file,
                             std::int64_t target) {
  std::filesystem::path copy = file;
  copy += fmt::format(".before-v{}", target);
  for (int attempt = 1; std::filesystem::exists(copy); ++attempt) {
    copy = file;
    copy += fmt::format(".before-v{}.{}", target, attempt);
  }
  SE_RETURN_IF_ERROR(create_private_file(copy));
  auto statement = database.prepare("VACUUM INTO ?1", false);
  if (!statement.ok()) return std::move(statement).error();
  const std::string name = copy.string();
  statement->bind_text(1, name);
  if (const int code = statement->run(); code != SQLITE_OK) {
    return database.to_error(code, fmt::format("copy the data to {} before migrating", name));
  }
  SE_RETURN_IF_ERROR(sync_file(copy));
  return sync_directory(copy.parent_path());
}

const MigrationStep* find_step(const SchemaPlan& plan, std::int64_t from) {
  for (const MigrationStep& step : plan.steps) {
    if (step.from == from) return &step;
  }
  return nullptr;
}

Status migrate(Database& database, const std::filesystem::path& file, const SchemaPlan& plan,
               std::int64_t found) {
  SE_RETURN_IF_ERROR(copy_before_migration(database, file, plan.version));
  const Rollback rollback(database);
  SE_RETURN_IF_ERROR(run(database, "BEGIN IMMEDIATE", "begin the migration"));
  for (std::int64_t version = found; version < plan.version; ++version) {
    const MigrationStep* step = find_step(plan, version);
    if (step == nullptr) {
      return Error{ErrorCode::kFailedPrecondition,
                   fmt::format("{} has schema version {}; no migration leads from {} to {}",
                               file.string(), found, version, version + 1)};
    }
    SE_RETURN_IF_ERROR(run(database, step->sql,
                           fmt::format("migrate from version {} to {}", version, version + 1)));
  }
  SE_RETURN_IF_ERROR(write_meta(database, "schema_version", std::to_string(plan.version)));
  SE_RETURN_IF_ERROR(
      run(database, fmt::format("PRAGMA user_version={}", plan.version), "set the schema version"));
  return run(database, "COMMIT", "commit the migration");
}

Error newer_error(const std::filesystem::path& file, std::int64_t found, std::int64_t known) {
  return {ErrorCode::kFailedPrecondition,
          fmt::format("{} has schema version {}, this program knows versions up to {}: use a newer "
                      "state-engine, or restore a backup made by this one",
                      file.string(), found, known)};
}

Error foreign_error(const std::filesystem::path& file) {
  return {ErrorCode::kFailedPrecondition,
          fmt::format("{} is a SQLite database, but not one of state-engine: choose another "
                      "directory with --data-dir",
                      file.string())};
}

// What is in the file, before anything is decided.
struct Found {
  std::int64_t version = 0;
  std::int64_t application_id = 0;
  std::int64_t objects = 0;
};

Result<Found> look(Database& database) {
  auto version = read_pragma(database, "user_version");
  if (!version.ok()) return std::move(version).error();
  auto application = read_pragma(database, "application_id");
  if (!application.ok()) return std::move(application).error();
  auto objects = database.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return std::move(objects).error();
  return Found{*version, *application, objects->value_or(0)};
}

}  // namespace

SchemaPlan current_schema() { return {.version = 2, .steps = kSteps}; }

Status ensure_schema(Database& database, const std::filesystem::path& file, const SchemaPlan& plan,
                     const NewStore& fresh) {
  auto found = look(database);
  if (!found.ok()) return std::move(found).error();
  if (found->objects == 0 && found->version == 0) return create_tables(database, plan, fresh);
  if (found->application_id != kApplicationId) return foreign_error(file);
  if (found->version > plan.version) return newer_error(file, found->version, plan.version);
  if (found->version < plan.version) return migrate(database, file, plan, found->version);
  return {};
}

Status require_schema(Database& database, const std::filesystem::path& file,
                      const SchemaPlan& plan) {
  auto found = look(database);
  if (!found.ok()) return std::move(found).error();
  if (found->objects == 0) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} is empty: no engine has started here", file.string())};
  }
  if (found->application_id != kApplicationId) return foreign_error(file);
  if (found->version > plan.version) return newer_error(file, found->version, plan.version);
  if (found->version < plan.version) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("{} has the older schema version {}: start this version's engine on "
                             "it once, which migrates it to {}",
                             file.string(), found->version, plan.version)};
  }
  return {};
}

}  // namespace state_engine::sqlite
