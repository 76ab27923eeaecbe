// Two layers at most: what is being folded, and what came since.

#include "store/sqlite/unfolded_log.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace state_engine::sqlite {
namespace {

using Layer = UnfoldedLog::Layer;

// Adds the entries of one key in `range`, newest first, until `out` has `limit`.
void collect(const Layer& layer, const Layer::OfKey& of_key, const UnfoldedLog::Range& range,
             std::size_t limit, std::vector<std::int64_t>& out) {
  for (std::uint32_t at = of_key.newest; at != UnfoldedLog::kNone && out.size() < limit;
       at = layer.links[at].older) {
    const std::int64_t seq = layer.seq_at(at);
    if (seq <= range.after) return;
    if (seq < range.before) out.push_back(seq);
  }
}

}  // namespace

void Layer::add(std::string_view key, bool accepted) {
  const auto place = static_cast<std::uint32_t>(links.size());
  links.emplace_back();
  auto found = keys.lower_bound(key);
  if (found == keys.end() || found->first != key) {
    found = keys.emplace_hint(found, std::string(key), OfKey{});
  }
  OfKey& of_key = found->second;
  if (of_key.newest == kNone) {
    of_key.oldest = place;
  } else {
    links[of_key.newest].newer = place;
    links[place].older = of_key.newest;
  }
  of_key.newest = place;
  if (accepted) of_key.last_accepted = seq_at(place);
}

UnfoldedLog::UnfoldedLog(std::int64_t folded_seq) { young_.after = folded_seq; }

void UnfoldedLog::append(const std::vector<Entry>& entries) {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries) young_.add(entry.key, entry.accepted);
}

std::size_t UnfoldedLog::young_size() const {
  const std::lock_guard lock(mutex_);
  return young_.links.size();
}

bool UnfoldedLog::freeze() {
  const std::lock_guard lock(mutex_);
  if (frozen_.has_value() || young_.links.empty()) return false;
  const std::int64_t last = young_.last_seq();
  frozen_ = std::exchange(young_, Layer{});
  young_.after = last;
  return true;
}

const Layer* UnfoldedLog::frozen() const { return frozen_.has_value() ? &*frozen_ : nullptr; }

void UnfoldedLog::drop_frozen() {
  SE_ASSERT(frozen_.has_value());
  const std::lock_guard lock(mutex_);
  dropped_.push_back(std::move(*frozen_));
  frozen_.reset();
}

void UnfoldedLog::forget(std::size_t keys) {
  while (!dropped_.empty()) {
    auto& left = dropped_.back().keys;
    for (; keys > 0 && !left.empty(); --keys) left.erase(left.begin());
    if (!left.empty()) return;
    dropped_.pop_back();
  }
}

UnfoldedLog::Found UnfoldedLog::of_key(std::string_view key, const Range& range,
                                       std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  Found found{frozen_.has_value() ? frozen_->after : young_.after, {}};
  for (const Layer* layer : {&young_, frozen()}) {
    if (layer == nullptr) continue;
    if (const auto at = layer->keys.find(key); at != layer->keys.end()) {
      collect(*layer, at->second, range, limit, found.seqs);
    }
  }
  return found;
}

UnfoldedLog::Found UnfoldedLog::with_prefix(std::string_view prefix, const Range& range) const {
  const std::lock_guard lock(mutex_);
  Found found{frozen_.has_value() ? frozen_->after : young_.after, {}};
  for (const Layer* layer : {&young_, frozen()}) {
    if (layer == nullptr) continue;
    for (auto at = layer->keys.lower_bound(prefix);
         at != layer->keys.end() && at->first.starts_with(prefix); ++at) {
      collect(*layer, at->second, range, std::numeric_limits<std::size_t>::max(), found.seqs);
    }
  }
  std::sort(found.seqs.begin(), found.seqs.end(), std::greater<>());
  return found;
}

}  // namespace state_engine::sqlite
