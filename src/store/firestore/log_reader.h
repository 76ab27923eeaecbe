// LogReader: the mutation log, the outbox and the sources, read from Firestore.
//
// Blocking. Threads: any.

#ifndef STATE_ENGINE_STORE_FIRESTORE_LOG_READER_H_
#define STATE_ENGINE_STORE_FIRESTORE_LOG_READER_H_

#include <optional>
#include <string>
#include <vector>

#include "ports/shared_store.h"
#include "ports/state_store.h"
#include "store/firestore/calls.h"

namespace state_engine::firestore {

class LogReader {
 public:
  explicit LogReader(Calls& calls) : calls_(calls) {}

  Result<std::vector<std::optional<LogEntry>>> lookup(const std::vector<std::string>& ids);

  // In (seq, engine) order. Cost: as ports/state_store.h says, but a prefix costs its entries.
  Result<std::vector<LogEntry>> read(const LogQuery& query);

  // The last entry of one engine, or of all.
  Result<std::optional<LogEntry>> last(const std::string& engine_id);

  // Pending effects in the queue of `engine_id`, oldest first.
  Result<std::vector<OutboxRow>> pending(const std::string& engine_id, std::int64_t after_position,
                                         std::size_t limit);
  Result<std::vector<OutboxRow>> effects_of(const std::vector<std::string>& mutation_ids);

  // 0 if it was never saved.
  Result<std::int64_t> cursor(const std::string& engine_id, const std::string& name);
  // Those of engines other than `own` that were not saved since `before`.
  Result<std::vector<PublishCursor>> left_cursors(const std::string& own, const std::string& name,
                                                  Timestamp before);

  Result<SourceRevision> source(const std::string& kind, const std::string& revision);

 private:
  Result<std::vector<LogEntry>> read_ordered(const LogQuery& query);
  Result<std::vector<LogEntry>> read_prefix(const LogQuery& query);
  // The names of the entries under the prefix, in seq order.
  Result<std::vector<std::string>> names_under_prefix(const LogQuery& query);

  Calls& calls_;
};

// The document id of part `part` of a source.
std::string source_id(std::string_view kind, std::string_view revision, std::size_t part);

// The document id of a publisher's cursor.
std::string cursor_id(std::string_view engine_id, std::string_view name);

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_LOG_READER_H_
