// A SQLite connection and its prepared statements, owned and closed in order.
//
// Ownership: a Statement never outlives its Database.
// Threads:   one at a time per Database (opened with SQLITE_OPEN_NOMUTEX).
// Errors:    the commit path needs SQLite's own result codes, to tell "surely not written" from
//            "unknown"; so statements return them, and to_error() makes an Error where that is
//            enough. Only this folder includes sqlite3.h.

#ifndef STATE_ENGINE_STORE_SQLITE_DATABASE_H_
#define STATE_ENGINE_STORE_SQLITE_DATABASE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace state_engine::sqlite {

// One prepared statement, bound and run again and again.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  // Binds parameter `index` (from 1). Text is not copied: it outlives the next reset().
  void bind_text(int index, std::string_view text);
  void bind_integer(int index, std::int64_t value);
  void bind_null(int index);
  // Binds NULL for an empty text.
  void bind_text_or_null(int index, std::string_view text);
  void bind_integer_or_null(int index, std::optional<std::int64_t> value);

  // Returns SQLITE_ROW, SQLITE_DONE, or an error (also of a bind before it).
  int step();

  // Runs a statement without rows to its end and resets it. Returns SQLITE_OK or an error.
  int run();

  // Makes the statement ready for the next binds and ends its read transaction.
  void reset();

  // Column `index` (from 0) of the current row; valid until the next step() or reset().
  std::string_view text(int index) const;
  std::int64_t integer(int index) const;
  bool is_null(int index) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* handle) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> handle_;
  int bind_code_ = 0;
};

enum class OpenMode {
  kWriter,    // creates the file; the only connection that writes and checkpoints
  kReader,    // beside the writer: query_only, never checkpoints
  kSnapshot,  // of another process: read-only file access, may VACUUM INTO a new file
};

class Database {
 public:
  // Opens `file` with every pragma set explicitly. `vfs` empty = the system's.
  // Errors: kDataLoss for a file that is no database, kUnavailable for all else.
  static Result<Database> open(const std::filesystem::path& file, OpenMode mode,
                               const std::string& vfs = {});

  // Runs SQL without parameters. Returns SQLITE_OK or an error code.
  int execute(const std::string& sql);

  // `persistent`: kept for long, so worth its memory.
  Result<Statement> prepare(std::string_view sql, bool persistent = true);

  // The first column of the first row, as an integer; nothing if there is no row.
  Result<std::optional<std::int64_t>> query_integer(std::string_view sql);

  // What SQLite says about its last failure.
  std::string message() const;

  // False while a transaction is open.
  bool in_autocommit() const;

  // Makes an Error of a result code: kDataLoss if the store must not be used on.
  Error to_error(int code, std::string_view doing) const;

  // Never checkpoint or delete the WAL on close: after an I/O error the files stay as they are.
  void keep_wal_on_close();

  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const;
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}

  std::unique_ptr<sqlite3, Closer> handle_;
};

// True for I/O errors and damage: what a failed commit left behind is unknown.
bool is_fatal(int code);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_DATABASE_H_
