// Each query is built from the criteria given and prepared once; one criterion means one index.

#include "store/sqlite/reader.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "store/sqlite/log_facts.h"
#include "store/sqlite/row_codec.h"
#include "store/sqlite/state_loader.h"

namespace state_engine::sqlite {
namespace {

// A prefix that covers much of the log is found fastest by walking the log; a rare one by the index
// of keys. The walk is tried first, this far.
constexpr std::int64_t kPrefixWalkEntries = 4096;

// Resets a statement when a read ends, and with it the read transaction.
class ResetOnExit {
 public:
  explicit ResetOnExit(Statement& statement) : statement_(statement) {}
  ResetOnExit(const ResetOnExit&) = delete;
  ResetOnExit& operator=(const ResetOnExit&) = delete;
  ~ResetOnExit() { statement_.reset(); }

 private:
  Statement& statement_;
};

std::int64_t before_of(const LogQuery& query) {
  return query.before_seq == 0 ? std::numeric_limits<std::int64_t>::max() : query.before_seq;
}

std::int64_t to_limit(std::size_t limit) {
  constexpr auto kMax = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMax));
}

// The first text after all that start with `prefix`; empty if there is none.
std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

// The end of a SELECT for a LogQuery, with what is bound to it in order behind ?1 and ?2, which are
// its bounds of seq.
struct LogSelect {
  std::string from = "mutation_log";
  std::string where = "seq > ?1 AND seq < ?2";
  std::string order = "seq";
  std::vector<std::string> texts;  // ?3, ?4, ...

  std::string bind(const std::string& text) {
    texts.push_back(text);
    return fmt::format("?{}", texts.size() + 2);
  }
  void equal(std::string_view column, const std::string& wanted) {
    if (!wanted.empty()) where += fmt::format(" AND {} = {}", column, bind(wanted));
  }
};

// The keys under `prefix`.
std::string key_range(LogSelect& select, std::string_view column, const std::string& prefix) {
  std::string sql = fmt::format("{} >= {}", column, select.bind(prefix));
  const std::string end = prefix_end(prefix);
  if (!end.empty()) sql += fmt::format(" AND {} < {}", column, select.bind(end));
  return sql;
}

// True if an index of the log itself serves `query`.
bool has_index(const LogQuery& query) {
  return !query.mutation_id.empty() || !query.transaction_id.empty() || !query.causation_id.empty();
}

// The rows come from the most selective criterion in seq order, without sorting; a unary plus keeps
// SQLite from using the index of another.
LogSelect select_of(const LogQuery& query, LogSource source) {
  LogSelect select;
  bool indexed = source != LogSource::kIndexes;
  const auto column = [&](std::string_view name, const std::string& wanted) {
    if (wanted.empty()) return std::string(name);
    const bool use = !std::exchange(indexed, true);
    return use ? std::string(name) : fmt::format("+{}", name);
  };
  if (source == LogSource::kKey) {
    select.from = fmt::format(
        "(SELECT seq AS at FROM log_keys WHERE key = {} AND seq > ?1 AND seq < ?2) "
        "CROSS JOIN mutation_log ON mutation_log.seq = at",
        select.bind(query.key));
    select.where = "TRUE";
    select.order = "at";
  }
  if (source == LogSource::kPrefix) {
    select.where =
        fmt::format("seq IN (SELECT seq FROM log_keys WHERE {} AND seq > ?1 AND seq < ?2)",
                    key_range(select, "key", query.prefix));
  }
  select.equal(column("id", query.mutation_id), query.mutation_id);
  select.equal(column("transaction_id", query.transaction_id), query.transaction_id);
  select.equal(column("causation_id", query.causation_id), query.causation_id);
  select.equal(column("actor", query.actor), query.actor);
  select.equal("+engine_id", query.engine_id);
  if (source != LogSource::kKey) select.equal("+key", query.key);
  if (source != LogSource::kPrefix && !query.prefix.empty()) {
    select.where += " AND " + key_range(select, "+key", query.prefix);
  }
  return select;
}

}  // namespace

Result<std::unique_ptr<Reader>> Reader::create(Database database, const UnfoldedLog* unfolded) {
  std::unique_ptr<Reader> reader(new Reader(std::move(database), unfolded));
  auto statement = reader->statement("SELECT value FROM meta WHERE key = 'engine_id'");
  if (!statement.ok()) return std::move(statement).error();
  const ResetOnExit reset(**statement);
  if (const int code = (*statement)->step(); code != SQLITE_ROW) {
    if (code != SQLITE_DONE) return reader->database_.to_error(code, "read the engine id");
    return Error{ErrorCode::kDataLoss, "state.db has no engine id in meta"};
  }
  reader->engine_id_ = (*statement)->text(0);
  return reader;
}

Result<Statement*> Reader::statement(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return &found->second;
  auto prepared = database_.prepare(sql);
  if (!prepared.ok()) return std::move(prepared).error();
  return &statements_.emplace(sql, std::move(prepared).value()).first->second;
}

// Several reads of one revision, whose locks are taken once.
class Reader::ReadTransaction {
 public:
  ReadTransaction() = default;
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;
  // Without a write there is nothing that could fail to be written.
  ~ReadTransaction() {
    if (end_ != nullptr) end_->run();
  }

  void begun(Statement& end) { end_ = &end; }

 private:
  Statement* end_ = nullptr;
};

Status Reader::begin_reading(ReadTransaction& transaction) {
  auto begin = statement("BEGIN");
  if (!begin.ok()) return std::move(begin).error();
  auto end = statement("COMMIT");
  if (!end.ok()) return std::move(end).error();
  if (const int code = (*begin)->run(); code != SQLITE_OK) {
    return database_.to_error(code, "begin to read");
  }
  transaction.begun(**end);
  return {};
}

template <typename Row>
Result<std::vector<Row>> Reader::collect(Statement& statement,
                                         Result<Row> (*read)(const Statement&)) {
  const ResetOnExit reset(statement);
  std::vector<Row> rows;
  while (true) {
    const int code = statement.step();
    if (code == SQLITE_DONE) return rows;
    if (code != SQLITE_ROW) return database_.to_error(code, "read state.db");
    Result<Row> row = read(statement);
    if (!row.ok()) return std::move(row).error();
    rows.push_back(std::move(row).value());
  }
}

Result<StoreHead> Reader::head() {
  auto statement_ptr =
      statement("SELECT seq, hash, committed_at FROM mutation_log ORDER BY seq DESC LIMIT 1");
  if (!statement_ptr.ok()) return std::move(statement_ptr).error();
  Statement& row = **statement_ptr;
  const ResetOnExit reset(row);
  StoreHead head{engine_id_, 0, std::string(64, '0'), Timestamp{}};
  const int code = row.step();
  if (code == SQLITE_DONE) return head;
  if (code != SQLITE_ROW) return database_.to_error(code, "read the head of the log");
  auto committed_at = read_time(row.text(2));
  if (!committed_at.ok()) return Error{ErrorCode::kDataLoss, committed_at.error().message};
  head.seq = row.integer(0);
  head.hash = row.text(1);
  head.last_committed_at = *committed_at;
  return head;
}

Result<std::vector<std::optional<LogEntry>>> Reader::lookup(const std::vector<std::string>& ids) {
  auto select = statement(fmt::format("SELECT {} FROM mutation_log WHERE id = ?1", kLogColumns));
  if (!select.ok()) return std::move(select).error();
  ReadTransaction transaction;
  SE_RETURN_IF_ERROR(begin_reading(transaction));
  std::vector<std::optional<LogEntry>> out;
  out.reserve(ids.size());
  for (const std::string& id : ids) {
    (*select)->bind_text(1, id);
    auto rows = collect(**select, read_log_entry);
    if (!rows.ok()) return std::move(rows).error();
    if (rows->empty()) {
      out.emplace_back();
    } else {
      out.emplace_back(std::move(rows->front()));
    }
  }
  return out;
}

Result<std::vector<Snapshot>> Reader::snapshots_of(std::string_view table,
                                                   const std::string& after_key,
                                                   std::size_t limit) {
  auto select = statement(
      fmt::format("SELECT {} FROM {} WHERE key > ?1 ORDER BY key LIMIT ?2", kStateColumns, table));
  if (!select.ok()) return std::move(select).error();
  (*select)->bind_text(1, after_key);
  (*select)->bind_integer(2, to_limit(limit));
  return collect(**select, read_snapshot);
}

Result<std::vector<SnapshotPtr>> Reader::scan_snapshots(const std::string& after_key,
                                                        std::size_t limit) {
  ReadTransaction transaction;
  SE_RETURN_IF_ERROR(begin_reading(transaction));
  auto folded = snapshots_of("folded_state", after_key, limit);
  if (!folded.ok()) return std::move(folded).error();
  auto newer = snapshots_of("unfolded_state", after_key, limit);
  if (!newer.ok()) return std::move(newer).error();
  std::vector<SnapshotPtr> out;
  out.reserve(std::min(limit, folded->size() + newer->size()));
  auto older_at = folded->begin();
  auto newer_at = newer->begin();
  while (out.size() < limit && (older_at != folded->end() || newer_at != newer->end())) {
    const bool take_newer =
        newer_at != newer->end() && (older_at == folded->end() || newer_at->key <= older_at->key);
    if (take_newer && older_at != folded->end() && older_at->key == newer_at->key) ++older_at;
    Snapshot& next = take_newer ? *newer_at++ : *older_at++;
    out.push_back(std::make_shared<const Snapshot>(std::move(next)));
  }
  return out;
}

Result<LoadedState> Reader::load_state(const std::function<Result<Database>()>& open_another) {
  return sqlite::load_state(database_, open_another);
}

Result<std::vector<LogEntry>> Reader::run_log_query(const LogQuery& query, LogSource source) {
  const LogSelect log = select_of(query, source);
  const std::int64_t limit_index = static_cast<std::int64_t>(log.texts.size()) + 3;
  auto select = statement(fmt::format("SELECT {} FROM {} WHERE {} ORDER BY {}{} LIMIT ?{}",
                                      kLogColumns, log.from, log.where, log.order,
                                      query.newest_first ? " DESC" : "", limit_index));
  if (!select.ok()) return std::move(select).error();
  Statement& bound = **select;
  bound.bind_integer(1, query.after_seq);
  bound.bind_integer(2, before_of(query));
  int index = 3;
  for (const std::string& text : log.texts) bound.bind_text(index++, text);
  bound.bind_integer(index, to_limit(query.limit));
  return collect(bound, read_log_entry);
}

// The entries of the walk, if they are enough or all there are.
Result<std::optional<std::vector<LogEntry>>> Reader::walk_for_prefix(const LogQuery& query) {
  auto end = head();
  if (!end.ok()) return std::move(end).error();
  LogQuery walk = query;
  const std::int64_t before = std::min(before_of(query), end->seq + 1);
  bool whole = false;
  if (query.newest_first) {
    walk.after_seq = std::max(query.after_seq, before - 1 - kPrefixWalkEntries);
    whole = walk.after_seq == query.after_seq;
  } else {
    walk.before_seq =
        std::min(before, std::max<std::int64_t>(query.after_seq, 0) + 1 + kPrefixWalkEntries);
    whole = walk.before_seq == before;
  }
  auto found = run_log_query(walk, LogSource::kLog);
  if (!found.ok()) return std::move(found).error();
  if (!whole && found->size() < query.limit) return std::optional<std::vector<LogEntry>>();
  return std::optional(std::move(*found));
}

Result<std::vector<LogEntry>> Reader::read_log(const LogQuery& query) {
  if (has_index(query)) return run_log_query(query, LogSource::kIndexes);
  if (!query.key.empty()) return read_by_key(query, LogSource::kKey);
  if (!query.actor.empty() || query.prefix.empty()) {
    return run_log_query(query, LogSource::kIndexes);
  }
  auto walked = walk_for_prefix(query);
  if (!walked.ok()) return std::move(walked).error();
  if (walked->has_value()) return std::move(**walked);
  return read_by_key(query, LogSource::kPrefix);
}

Result<std::vector<LogEntry>> Reader::read_by_key(const LogQuery& query, LogSource source) {
  // Asked before the file: what leaves the unfolded log meanwhile is in the tables by then.
  UnfoldedLog::Found unfolded;
  if (unfolded_ != nullptr) unfolded = ask_unfolded(query, source);
  ReadTransaction transaction;
  SE_RETURN_IF_ERROR(begin_reading(transaction));
  if (unfolded_ == nullptr) {
    auto folded_seq = read_folded_seq(database_);
    if (!folded_seq.ok()) return std::move(folded_seq).error();
    unfolded.folded_seq = *folded_seq;
  }
  LogQuery folded = query;
  folded.before_seq = std::min(before_of(query), unfolded.folded_seq + 1);
  LogQuery behind = query;
  behind.after_seq = std::max(query.after_seq, unfolded.folded_seq);

  std::vector<LogEntry> out;
  for (const bool is_behind : {query.newest_first, !query.newest_first}) {
    LogQuery& part = is_behind ? behind : folded;
    part.limit = query.limit - out.size();
    if (part.limit == 0 || part.after_seq + 1 >= before_of(part)) continue;
    auto rows = !is_behind             ? run_log_query(part, source)
                : unfolded_ == nullptr ? run_log_query(part, LogSource::kLog)
                                       : read_entries(part, std::move(unfolded.seqs));
    if (!rows.ok()) return rows;
    std::move(rows->begin(), rows->end(), std::back_inserter(out));
  }
  return out;
}

UnfoldedLog::Found Reader::ask_unfolded(const LogQuery& query, LogSource source) const {
  const UnfoldedLog::Range range{query.after_seq, before_of(query)};
  if (source == LogSource::kPrefix) return unfolded_->with_prefix(query.prefix, range);
  // The newest are found first; more than asked are needed only if some of them will not do.
  const bool all_do =
      query.newest_first && query.actor.empty() && query.engine_id.empty() && query.prefix.empty();
  return unfolded_->of_key(query.key, range,
                           all_do ? query.limit : std::numeric_limits<std::size_t>::max());
}

Result<std::vector<LogEntry>> Reader::read_entries(const LogQuery& query,
                                                   std::vector<std::int64_t> seqs) {
  if (!query.newest_first) std::reverse(seqs.begin(), seqs.end());
  std::vector<LogEntry> out;
  LogQuery one = query;
  for (const std::int64_t seq : seqs) {
    if (out.size() >= query.limit) break;
    one.after_seq = seq - 1;
    one.before_seq = seq + 1;
    auto found = run_log_query(one, LogSource::kLog);
    if (!found.ok()) return found;
    std::move(found->begin(), found->end(), std::back_inserter(out));
  }
  return out;
}

Status Reader::scan_changes(const std::function<bool(const LoggedChange&)>& visit) {
  constexpr std::int64_t kTogether = 4096;
  auto select = statement(
      "SELECT seq, key, op, value, status, version, committed_at FROM mutation_log WHERE seq > ?1 "
      "ORDER BY seq LIMIT ?2");
  if (!select.ok()) return std::move(select).error();
  Statement& row = **select;
  for (std::int64_t after = 0, count = kTogether; count == kTogether;) {
    const ResetOnExit reset(row);
    row.bind_integer(1, after);
    row.bind_integer(2, kTogether);
    for (count = 0;; ++count) {
      const int code = row.step();
      if (code == SQLITE_DONE) break;
      if (code != SQLITE_ROW) return database_.to_error(code, "read the log");
      after = row.integer(0);
      const LoggedChange change{
          after,          row.text(1), row.text(2), row.text(3), row.text(4) == "accepted",
          row.integer(5), row.text(6)};
      if (!visit(change)) return {};
    }
  }
  return {};
}

Result<std::vector<OutboxRow>> Reader::pending_effects(std::int64_t after_position,
                                                       std::size_t limit) {
  auto select = statement(fmt::format(
      "SELECT {} FROM outbox INDEXED BY outbox_pending WHERE state = 'pending' AND position > ?1 "
      "ORDER BY position LIMIT ?2",
      kOutboxColumns));
  if (!select.ok()) return std::move(select).error();
  (*select)->bind_integer(1, after_position);
  (*select)->bind_integer(2, to_limit(limit));
  return collect(**select, read_outbox_row);
}

Result<std::vector<OutboxRow>> Reader::effects_of(const std::vector<std::string>& mutation_ids) {
  auto select = statement(
      fmt::format("SELECT {} FROM outbox WHERE cause_id = ?1 ORDER BY position", kOutboxColumns));
  if (!select.ok()) return std::move(select).error();
  std::vector<OutboxRow> out;
  std::vector<std::string> ids = mutation_ids;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const std::string& id : ids) {
    (*select)->bind_text(1, id);
    auto rows = collect(**select, read_outbox_row);
    if (!rows.ok()) return std::move(rows).error();
    std::move(rows->begin(), rows->end(), std::back_inserter(out));
  }
  std::sort(out.begin(), out.end(),
            [](const OutboxRow& a, const OutboxRow& b) { return a.position < b.position; });
  return out;
}

Result<std::vector<RuleState>> Reader::rule_states() {
  auto select =
      statement(fmt::format("SELECT {} FROM rule_state ORDER BY rule_id, key", kRuleStateColumns));
  if (!select.ok()) return std::move(select).error();
  return collect(**select, read_rule_state);
}

Result<SourceRevision> Reader::source(const std::string& kind, const std::string& revision) {
  auto select =
      statement("SELECT kind, revision, text FROM sources WHERE kind = ?1 AND revision = ?2");
  if (!select.ok()) return std::move(select).error();
  (*select)->bind_text(1, kind);
  (*select)->bind_text(2, revision);
  const auto read = +[](const Statement& row) -> Result<SourceRevision> {
    return SourceRevision{std::string(row.text(0)), std::string(row.text(1)),
                          std::string(row.text(2))};
  };
  auto rows = collect(**select, read);
  if (!rows.ok()) return std::move(rows).error();
  if (rows->empty()) {
    return Error{ErrorCode::kNotFound, fmt::format("no {} source {}", kind, revision)};
  }
  return std::move(rows->front());
}

Result<std::int64_t> Reader::cursor(const std::string& name) {
  auto select = statement("SELECT value FROM meta WHERE key = ?1");
  if (!select.ok()) return std::move(select).error();
  const std::string key = cursor_key(name);
  (*select)->bind_text(1, key);
  const auto read = +[](const Statement& row) -> Result<std::int64_t> {
    const std::string_view text = row.text(0);
    std::int64_t seq = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seq);
    if (fault != std::errc{} || end != text.data() + text.size()) {
      return Error{ErrorCode::kDataLoss, fmt::format("meta has a cursor '{}'", text)};
    }
    return seq;
  };
  auto rows = collect(**select, read);
  if (!rows.ok()) return std::move(rows).error();
  return rows->empty() ? 0 : rows->front();
}

}  // namespace state_engine::sqlite
