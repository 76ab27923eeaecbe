// MemoryStateStore: a StateStore that forgets everything when it is destroyed; for tests and demos.
//
// Keeps the invariants of ports/state_store.h, except that nothing survives the process.
// Threads: any; one mutex guards all. Awaitables complete without suspending.

#ifndef STATE_ENGINE_STORE_MEMORY_MEMORY_STATE_STORE_H_
#define STATE_ENGINE_STORE_MEMORY_MEMORY_STATE_STORE_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ports/batch_check.h"
#include "ports/state_store.h"

namespace state_engine {

class MemoryStateStore final : public StateStore {
 public:
  explicit MemoryStateStore(std::string engine_id);

  std::string_view name() const override { return "memory"; }
  Awaitable<Result<StoreHead>> head() override;
  Awaitable<CommitReply> commit(std::shared_ptr<const CommitBatch> batch) override;
  Awaitable<Result<std::vector<std::optional<LogEntry>>>> lookup(
      std::vector<std::string> mutation_ids) override;
  Awaitable<Result<std::vector<SnapshotPtr>>> scan_snapshots(std::string after_key,
                                                             std::size_t limit) override;
  // Cost: O(log) for a criterion other than `mutation_id`.
  Awaitable<Result<std::vector<LogEntry>>> read_log(LogQuery query) override;
  Awaitable<Result<std::vector<OutboxRow>>> pending_effects(std::int64_t after_position,
                                                            std::size_t limit) override;
  Awaitable<Result<std::vector<OutboxRow>>> effects_of(
      std::vector<std::string> mutation_ids) override;
  Awaitable<Status> mark_effects(std::vector<std::string> effect_ids, EffectState state,
                                 Timestamp at, Timestamp forget_before) override;
  Awaitable<Result<std::vector<RuleState>>> rule_states() override;
  Awaitable<Status> save_source(SourceRevision source) override;
  Awaitable<Result<SourceRevision>> source(std::string kind, std::string revision) override;
  Awaitable<Result<std::int64_t>> cursor(std::string name) override;
  Awaitable<Status> save_cursor(std::string name, std::int64_t seq) override;
  Awaitable<Status> close() override;

 private:
  CommitReply apply(const CommitBatch& batch);
  // Refuses ids that are in use, in the store or twice in the batch.
  Status check_ids(const CommitBatch& batch) const;

  const std::string engine_id_;
  std::mutex mutex_;
  LogEnd end_;
  std::vector<LogEntry> log_;  // entry with seq n is at n - 1
  std::unordered_map<std::string, std::size_t> index_by_id_;
  std::map<std::string, SnapshotPtr, std::less<>> snapshots_;
  std::map<std::int64_t, OutboxRow> outbox_;
  std::unordered_map<std::string, std::int64_t> position_by_effect_;
  std::int64_t last_position_ = 0;
  std::map<std::pair<std::string, std::string>, RuleState> rule_states_;
  std::map<std::pair<std::string, std::string>, SourceRevision> sources_;
  std::map<std::string, std::int64_t> cursors_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_STORE_MEMORY_MEMORY_STATE_STORE_H_
