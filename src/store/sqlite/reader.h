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
#include "store/sqlite/unfolded_log.h"

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

// Where the rows of a log query come from.
enum class LogSource {
  kIndexes,  // an index of the log
  kLog,      // the log in order of seq
  kKey,      // log_keys, one key
  kPrefix,   // log_keys, the keys under a prefix
};

class Reader {
 public:
  // `unfolded`: of the writer of this file, which outlives the reader; null if another process (or
  // nobody) writes it.
  static Result<std::unique_ptr<Reader>> create(Database database,
                                                const UnfoldedLog* unfolded = nullptr);

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
  Reader(Database database, const UnfoldedLog* unfolded)
      : database_(std::move(database)), unfolded_(unfolded) {}

  // Returns the statement of `sql`, prepared at its first use.
  Result<Statement*> statement(const std::string& sql);

  template <typename Row>
  Result<std::vector<Row>> collect(Statement& statement, Result<Row> (*read)(const Statement&));

  class ReadTransaction;
  Status begin_reading(ReadTransaction& transaction);

  Result<std::vector<Snapshot>> snapshots_of(std::string_view table, const std::string& after_key,
                                             std::size_t limit);

  Result<std::vector<LogEntry>> run_log_query(const LogQuery& query, LogSource source);
  Result<std::optional<std::vector<LogEntry>>> walk_for_prefix(const LogQuery& query);
  // By key or prefix: the tables by key, and what is not folded into them yet.
  Result<std::vector<LogEntry>> read_by_key(const LogQuery& query, LogSource source);
  UnfoldedLog::Found ask_unfolded(const LogQuery& query, LogSource source) const;
  // Those of `seqs` (newest first) that fit the other criteria, in the order of the query.
  Result<std::vector<LogEntry>> read_entries(const LogQuery& query, std::vector<std::int64_t> seqs);

  Database database_;
  const UnfoldedLog* unfolded_;
  std::string engine_id_;
  std::map<std::string, Statement> statements_;
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_READER_H_
