// The checks that every store makes before it writes, in one place, so that none forgets one.

#include "ports/batch_check.h"

#include <string_view>
#include <unordered_set>

#include <fmt/format.h>

namespace state_engine {
namespace {

bool carries_value(Op op) { return op != Op::kDelete && op != Op::kExpire; }

Status check_entry(const LogEnd& end, const LogEntry& entry) {
  if (entry.seq != end.seq + 1) {
    return invalid_argument(
        fmt::format("entry {} has seq {}, expected {}", entry.proposal.id, entry.seq, end.seq + 1));
  }
  if (entry.prev_hash != end.hash) {
    return invalid_argument(fmt::format("entry {} chains to hash {}, the log ends in {}", entry.seq,
                                        entry.prev_hash, end.hash));
  }
  if (entry.hash.empty() || entry.proposal.id.empty()) {
    return invalid_argument(fmt::format("entry {} has no id or no hash", entry.seq));
  }
  if (!entry.accepted) {
    if (!entry.resulting_version && !entry.resulting_value) return {};
    return invalid_argument(fmt::format("rejected entry {} has a result", entry.seq));
  }
  if (entry.resulting_version != entry.previous_version + 1) {
    return invalid_argument(fmt::format("accepted entry {} does not raise version {} by 1",
                                        entry.seq, entry.previous_version));
  }
  if (entry.resulting_value.has_value() != carries_value(entry.proposal.op)) {
    return invalid_argument(fmt::format("accepted entry {} ({}) {} a resulting value", entry.seq,
                                        to_string(entry.proposal.op),
                                        entry.resulting_value ? "has" : "lacks"));
  }
  return {};
}

Status check_snapshots(const LogEnd& end, const CommitBatch& batch) {
  std::unordered_set<std::string_view> keys;
  for (const SnapshotPtr& snapshot : batch.snapshots) {
    if (snapshot == nullptr) return invalid_argument("a snapshot of the batch is null");
    if (!keys.insert(snapshot->key).second) {
      return invalid_argument(fmt::format("key {} is twice in the batch", snapshot->key));
    }
    const std::int64_t index = snapshot->seq - end.seq - 1;
    const bool inside = index >= 0 && index < static_cast<std::int64_t>(batch.entries.size());
    const LogEntry* entry = inside ? &batch.entries[static_cast<std::size_t>(index)] : nullptr;
    if (entry == nullptr || !entry->accepted || entry->proposal.key != snapshot->key ||
        entry->resulting_version != snapshot->version) {
      return invalid_argument(
          fmt::format("snapshot of {} at seq {} has no accepted entry in the "
                      "batch",
                      snapshot->key, snapshot->seq));
    }
  }
  return {};
}

}  // namespace

Status check_batch(const LogEnd& end, const CommitBatch& batch) {
  LogEnd at = end;
  for (const LogEntry& entry : batch.entries) {
    SE_RETURN_IF_ERROR(check_entry(at, entry));
    at.seq = entry.seq;
    at.hash = entry.hash;
  }
  return check_snapshots(end, batch);
}

}  // namespace state_engine
