// Reader: what the read connection does, synchronously. Each call sees every commit before it.
//
// Threads: the reader's WorkThread only.

#ifndef STATE_ENGINE_STORE_SQLITE_READER_H_
#define STATE_ENGINE_STORE_SQLITE_READER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ports/state_store.h"
#include "store/sqlite/database.h"

namespace state_engine::sqlite {

// What a fold needs of a log entry. Texts lie in the row.
struct LoggedChange {
  std::int64_t seq = 0;
  std::string_view key;
  std::string_view op;
  std::string_view value;  // JSON text as proposed; empty = none
  bool accepted = false;
  std::int64_t version = 0;       // resulting; 0 if rejected
  std::string_view committed_at;  // as read_time() takes it
};

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> create(Database database);

  Result<StoreHead> head();
  Result<std::vector<std::optional<LogEntry>>> lookup(const std::vector<std::string>& ids);
  Result<std::vector<SnapshotPtr>> scan_snapshots(const std::string& after_key, std::size_t limit);
  Result<LoadedState> load_state(const std::function<Result<Database>()>& open_another);
  Result<std::vector<LogEntry>> read_log(const LogQuery& query);
  // Calls `visit` for each entry of the log, in order, until it returns false. Reads a part at a
  // time, so that the WAL of a live engine is not held back.
  Status scan_changes(const std::function<bool(const LoggedChange&)>& visit);
  Result<std::vector<OutboxRow>> pending_effects(std::int64_t after_position, std::size_t limit);
  Result<std::vector<OutboxRow>> effects_of(const std::vector<std::string>& mutation_ids);
  Result<std::vector<RuleState>> rule_states();
  Result<SourceRevision> source(const std::string& kind, const std::string& revision);
  Result<std::int64_t> cursor(const std::string& name);

 private:
  explicit Reader(Database database) : database_(std::move(database)) {}

  // Returns the statement of `sql`, prepared at its first use.
  Result<Statement*> statement(const std::string& sql);

  template <typename Row>
  Result<std::vector<Row>> collect(Statement& statement, Result<Row> (*read)(const Statement&));

  Result<std::vector<LogEntry>> run_log_query(const LogQuery& query, bool by_seq);

  Database database_;
  std::string engine_id_;
  std::map<std::string, Statement> statements_;
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_READER_H_
