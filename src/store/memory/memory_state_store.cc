// The log is a vector indexed by seq - 1; everything else is found by walking or hashing it.

#include "store/memory/memory_state_store.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine {
namespace {

bool matches(const LogQuery& query, const LogEntry& entry) {
  const auto is = [](const std::string& wanted, const std::string& found) {
    return wanted.empty() || wanted == found;
  };
  return entry.seq > query.after_seq && (query.before_seq == 0 || entry.seq < query.before_seq) &&
         is(query.key, entry.proposal.key) && entry.proposal.key.starts_with(query.prefix) &&
         is(query.actor, entry.proposal.actor) && is(query.mutation_id, entry.proposal.id) &&
         is(query.causation_id, entry.proposal.causation_id) &&
         is(query.transaction_id, entry.transaction_id) && is(query.engine_id, entry.engine_id);
}

}  // namespace

MemoryStateStore::MemoryStateStore(std::string engine_id)
    : engine_id_(std::move(engine_id)), end_{0, std::string(64, '0')} {
  SE_ASSERT(!engine_id_.empty());
}

StateStore::Awaitable<Result<StoreHead>> MemoryStateStore::head() {
  const std::scoped_lock lock(mutex_);
  StoreHead head{engine_id_, end_.seq, end_.hash, Timestamp{}};
  if (!log_.empty()) head.last_committed_at = log_.back().committed_at;
  co_return head;
}

Status MemoryStateStore::check_ids(const CommitBatch& batch) const {
  std::unordered_set<std::string_view> seen;
  for (const LogEntry& entry : batch.entries) {
    const std::string& id = entry.proposal.id;
    if (index_by_id_.contains(id) || !seen.insert(id).second) {
      return Error{ErrorCode::kConflict, fmt::format("mutation id {} has a record already", id)};
    }
  }
  seen.clear();
  for (const Effect& effect : batch.effects) {
    if (position_by_effect_.contains(effect.id) || !seen.insert(effect.id).second) {
      return Error{ErrorCode::kConflict, fmt::format("effect id {} is in use", effect.id)};
    }
  }
  return {};
}

CommitReply MemoryStateStore::apply(const CommitBatch& batch) {
  for (const Status& status : {check_batch(end_, batch), check_ids(batch)}) {
    if (!status.ok()) return {CommitOutcome::kNotCommitted, false, status.error().message};
  }
  for (const LogEntry& entry : batch.entries) {
    index_by_id_.emplace(entry.proposal.id, log_.size());
    log_.push_back(entry);
    end_ = {entry.seq, entry.hash};
  }
  for (const SnapshotPtr& snapshot : batch.snapshots) snapshots_[snapshot->key] = snapshot;
  for (const Effect& effect : batch.effects) {
    const std::int64_t position = ++last_position_;
    position_by_effect_.emplace(effect.id, position);
    outbox_.emplace(position, OutboxRow{effect, position, EffectState::kPending, std::nullopt});
  }
  for (const RuleState& state : batch.rule_states) {
    rule_states_[{state.rule_id, state.key}] = state;
  }
  return {CommitOutcome::kCommitted, false, {}};
}

StateStore::Awaitable<CommitReply> MemoryStateStore::commit(
    std::shared_ptr<const CommitBatch> batch) {
  const std::scoped_lock lock(mutex_);
  co_return apply(*batch);
}

StateStore::Awaitable<Result<std::vector<std::optional<LogEntry>>>> MemoryStateStore::lookup(
    std::vector<std::string> mutation_ids) {
  const std::scoped_lock lock(mutex_);
  std::vector<std::optional<LogEntry>> out;
  for (const std::string& id : mutation_ids) {
    const auto found = index_by_id_.find(id);
    if (found == index_by_id_.end()) {
      out.emplace_back();
    } else {
      out.emplace_back(log_[found->second]);
    }
  }
  co_return out;
}

StateStore::Awaitable<Result<std::vector<SnapshotPtr>>> MemoryStateStore::scan_snapshots(
    std::string after_key, std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  std::vector<SnapshotPtr> out;
  for (auto at = snapshots_.upper_bound(after_key); at != snapshots_.end(); ++at) {
    if (out.size() >= limit) break;
    out.push_back(at->second);
  }
  co_return out;
}

StateStore::Awaitable<Result<std::vector<LogEntry>>> MemoryStateStore::read_log(LogQuery query) {
  const std::scoped_lock lock(mutex_);
  std::vector<LogEntry> out;
  const auto take = [&](const LogEntry& entry) {
    if (out.size() < query.limit && matches(query, entry)) out.push_back(entry);
    return out.size() < query.limit;
  };
  if (query.newest_first) {
    for (auto at = log_.rbegin(); at != log_.rend() && take(*at); ++at) {
    }
  } else {
    for (auto at = log_.begin(); at != log_.end() && take(*at); ++at) {
    }
  }
  co_return out;
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> MemoryStateStore::pending_effects(
    std::int64_t after_position, std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  std::vector<OutboxRow> out;
  for (auto at = outbox_.upper_bound(after_position); at != outbox_.end(); ++at) {
    if (out.size() >= limit) break;
    if (at->second.state == EffectState::kPending) out.push_back(at->second);
  }
  co_return out;
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> MemoryStateStore::effects_of(
    std::vector<std::string> mutation_ids) {
  const std::scoped_lock lock(mutex_);
  const std::unordered_set<std::string> wanted(mutation_ids.begin(), mutation_ids.end());
  std::vector<OutboxRow> out;
  for (const auto& [position, row] : outbox_) {
    if (wanted.contains(row.effect.cause_id)) out.push_back(row);
  }
  co_return out;
}

StateStore::Awaitable<Status> MemoryStateStore::mark_effects(std::vector<std::string> effect_ids,
                                                             EffectState state, Timestamp at,
                                                             Timestamp forget_before) {
  const std::scoped_lock lock(mutex_);
  for (const std::string& id : effect_ids) {
    const auto found = position_by_effect_.find(id);
    if (found == position_by_effect_.end()) continue;
    OutboxRow& row = outbox_.at(found->second);
    row.state = state;
    row.delivered_at = state == EffectState::kPending ? std::nullopt : std::optional(at);
  }
  for (auto row = outbox_.begin(); row != outbox_.end();) {
    if (row->second.delivered_at.has_value() && *row->second.delivered_at < forget_before) {
      position_by_effect_.erase(row->second.effect.id);
      row = outbox_.erase(row);
    } else {
      ++row;
    }
  }
  co_return Status{};
}

StateStore::Awaitable<Result<std::vector<RuleState>>> MemoryStateStore::rule_states() {
  const std::scoped_lock lock(mutex_);
  std::vector<RuleState> out;
  out.reserve(rule_states_.size());
  for (const auto& [id, state] : rule_states_) out.push_back(state);
  co_return out;
}

StateStore::Awaitable<Status> MemoryStateStore::save_source(SourceRevision source) {
  const std::scoped_lock lock(mutex_);
  std::pair<std::string, std::string> id{source.kind, source.revision};
  sources_.emplace(std::move(id), std::move(source));
  co_return Status{};
}

StateStore::Awaitable<Result<SourceRevision>> MemoryStateStore::source(std::string kind,
                                                                       std::string revision) {
  const std::scoped_lock lock(mutex_);
  const auto found = sources_.find({kind, revision});
  if (found == sources_.end()) {
    co_return Error{ErrorCode::kNotFound, fmt::format("no {} source {}", kind, revision)};
  }
  co_return found->second;
}

StateStore::Awaitable<Result<std::int64_t>> MemoryStateStore::cursor(std::string name) {
  const std::scoped_lock lock(mutex_);
  const auto found = cursors_.find(name);
  co_return found == cursors_.end() ? 0 : found->second;
}

StateStore::Awaitable<Status> MemoryStateStore::save_cursor(std::string name, std::int64_t seq) {
  const std::scoped_lock lock(mutex_);
  cursors_[std::move(name)] = seq;
  co_return Status{};
}

StateStore::Awaitable<Status> MemoryStateStore::close() { co_return Status{}; }

}  // namespace state_engine
