// Every pragma is set explicitly: what a build of SQLite defaults to is not ours to trust.

#include "store/sqlite/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/assert.h"

namespace state_engine::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 5000;

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kWriter:
      return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    case OpenMode::kReader:
      return SQLITE_OPEN_READWRITE;  // so that it may use the shared memory of the WAL
    case OpenMode::kSnapshot:
      return SQLITE_OPEN_READONLY;
  }
  SE_UNREACHABLE();
}

const char* mode_pragmas(OpenMode mode) {
  switch (mode) {
    case OpenMode::kWriter:
      // The engine checkpoints itself, after it has answered.
      return "PRAGMA page_size=4096;"
             "PRAGMA journal_mode=WAL;"
             "PRAGMA synchronous=FULL;"
             "PRAGMA wal_autocheckpoint=0;"
             "PRAGMA journal_size_limit=12582912;"
             "PRAGMA foreign_keys=OFF;"
             "PRAGMA recursive_triggers=OFF;"
             "PRAGMA secure_delete=OFF;"
             "PRAGMA temp_store=MEMORY;"
             "PRAGMA cache_size=-65536;";
    case OpenMode::kReader:
      return "PRAGMA wal_autocheckpoint=0;"
             "PRAGMA query_only=1;"
             "PRAGMA temp_store=MEMORY;"
             "PRAGMA cache_size=-8192;";
    case OpenMode::kSnapshot:
      // No query_only: it would also refuse to write the new file of a VACUUM INTO.
      return "PRAGMA wal_autocheckpoint=0;"
             "PRAGMA cache_size=-8192;";
  }
  SE_UNREACHABLE();
}

int set_switch(sqlite3* handle, int which, int on) {
  return sqlite3_db_config(handle, which, on, nullptr);
}

int harden(sqlite3* handle, OpenMode mode) {
  if (const int code = sqlite3_extended_result_codes(handle, 1); code != SQLITE_OK) return code;
  if (const int code = sqlite3_busy_timeout(handle, kBusyTimeoutMs); code != SQLITE_OK) return code;
  if (const int code = set_switch(handle, SQLITE_DBCONFIG_DEFENSIVE, 1); code != SQLITE_OK) {
    return code;
  }
  if (const int code = set_switch(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0); code != SQLITE_OK) {
    return code;
  }
  if (const int code = set_switch(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0);
      code != SQLITE_OK) {
    return code;
  }
  const int keep_wal = mode == OpenMode::kWriter ? 0 : 1;
  return set_switch(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep_wal);
}

}  // namespace

bool is_fatal(int code) {
  switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return true;
    default:
      return false;
  }
}

void Statement::Finalizer::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

void Statement::bind_text(int index, std::string_view text) {
  // A null data pointer would bind NULL instead of the empty text.
  const char* data = text.data() == nullptr ? "" : text.data();
  const int code =
      sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
}

void Statement::bind_integer(int index, std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_.get(), index, value);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
}

void Statement::bind_null(int index) {
  const int code = sqlite3_bind_null(handle_.get(), index);
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
}

void Statement::bind_text_or_null(int index, std::string_view text) {
  if (text.empty()) {
    bind_null(index);
  } else {
    bind_text(index, text);
  }
}

void Statement::bind_integer_or_null(int index, std::optional<std::int64_t> value) {
  if (value.has_value()) {
    bind_integer(index, *value);
  } else {
    bind_null(index);
  }
}

int Statement::step() {
  if (bind_code_ != SQLITE_OK) return bind_code_;
  return sqlite3_step(handle_.get());
}

int Statement::run() {
  const int code = step();
  reset();
  SE_ASSERT(code != SQLITE_ROW);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

void Statement::reset() {
  // Repeats the error of the last step, which the caller has seen.
  static_cast<void>(sqlite3_reset(handle_.get()));
  bind_code_ = SQLITE_OK;
}

std::string_view Statement::text(int index) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), index));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), index))};
}

std::int64_t Statement::integer(int index) const {
  return sqlite3_column_int64(handle_.get(), index);
}

bool Statement::is_null(int index) const {
  return sqlite3_column_type(handle_.get(), index) == SQLITE_NULL;
}

void Database::Closer::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Result<Database> Database::open(const std::filesystem::path& file, OpenMode mode,
                                const std::string& vfs) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, open_flags(mode) | SQLITE_OPEN_NOMUTEX,
                                   vfs.empty() ? nullptr : vfs.c_str());
  if (handle == nullptr) return Error{ErrorCode::kResourceExhausted, "no memory for SQLite"};
  Database database(handle);
  const std::string doing = fmt::format("open {}", file.string());
  if (code != SQLITE_OK) return database.to_error(code, doing);
  if (const int hardened = harden(handle, mode); hardened != SQLITE_OK) {
    return database.to_error(hardened, doing);
  }
  // mmap would turn an I/O error into a signal.
  if (const int set = database.execute("PRAGMA mmap_size=0;"); set != SQLITE_OK) {
    return database.to_error(set, doing);
  }
  if (const int set = database.execute(mode_pragmas(mode)); set != SQLITE_OK) {
    return database.to_error(set, doing);
  }
  return database;
}

int Database::execute(const std::string& sql) {
  return sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
}

Result<Statement> Database::prepare(std::string_view sql, bool persistent) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                         persistent ? SQLITE_PREPARE_PERSISTENT : 0U, &statement, nullptr);
  if (code != SQLITE_OK) return to_error(code, "prepare a statement");
  return Statement(statement);
}

Result<std::optional<std::int64_t>> Database::query_integer(std::string_view sql) {
  auto statement = prepare(sql, false);
  if (!statement.ok()) return std::move(statement).error();
  const int code = statement->step();
  if (code == SQLITE_DONE) return std::optional<std::int64_t>{};
  if (code != SQLITE_ROW) return to_error(code, "read");
  if (statement->is_null(0)) return std::optional<std::int64_t>{};
  return std::optional<std::int64_t>{statement->integer(0)};
}

std::string Database::message() const { return sqlite3_errmsg(handle_.get()); }

bool Database::in_autocommit() const { return sqlite3_get_autocommit(handle_.get()) != 0; }

Error Database::to_error(int code, std::string_view doing) const {
  const std::string text =
      fmt::format("cannot {}: {} (SQLite code {})", doing, sqlite3_errmsg(handle_.get()), code);
  if (is_fatal(code)) return {ErrorCode::kDataLoss, text};
  return {ErrorCode::kUnavailable, text};
}

void Database::keep_wal_on_close() {
  SE_ASSERT(set_switch(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1) == SQLITE_OK);
}

}  // namespace state_engine::sqlite
