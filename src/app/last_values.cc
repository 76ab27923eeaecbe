#include "app/last_values.h"

#include <utility>

namespace state_engine {
namespace {

constexpr std::size_t kOverhead = 160;  // of an entry beside its text, about

}  // namespace

void LastValues::put(const std::string& key, std::int64_t version, json::Value value) {
  const std::size_t bytes = kOverhead + key.size() + json::written_bytes(value);
  if (young_bytes_ + bytes > bytes_max_) {
    old_ = std::exchange(young_, {});
    young_bytes_ = 0;
  }
  const auto [held, added] = young_.try_emplace(key);
  held->second = {version, std::move(value)};
  // A value in place of another counts as well: their sizes may differ.
  young_bytes_ += added ? bytes : bytes - kOverhead;
}

const json::Value* LastValues::find(const std::string& key, std::int64_t version) {
  for (const Generation* generation : {&young_, &old_}) {
    const auto held = generation->find(key);
    if (held == generation->end()) continue;
    return held->second.version == version ? &held->second.value : nullptr;
  }
  return nullptr;
}

}  // namespace state_engine
