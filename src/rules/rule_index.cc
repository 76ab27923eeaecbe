// Lists are short and sorted; several of them are merged by sorting.

#include "rules/rule_index.h"

#include <algorithm>
#include <optional>
#include <set>

namespace state_engine {

RuleIndex::RuleIndex(std::span<const Rule> rules) {
  std::set<std::size_t> sizes;
  for (std::uint32_t position = 0; position < rules.size(); ++position) {
    const Rule& rule = rules[position];
    if (!rule.dependencies.guard_keys.has_value()) {
      add(any_key_, rule, position);
      continue;
    }
    for (const std::string& key : *rule.dependencies.guard_keys) add(exact_[key], rule, position);
    for (const std::string& prefix : rule.dependencies.guard_prefixes) {
      add(prefixes_[prefix], rule, position);
      sizes.insert(prefix.size());
    }
  }
  prefix_sizes_.assign(sizes.begin(), sizes.end());
}

void RuleIndex::add(Bucket& bucket, const Rule& rule, std::uint32_t position) {
  bucket.all.push_back(position);
  if (rule.keeps_truth() || !rule.dependencies.guard_values.has_value()) {
    bucket.any_value.push_back(position);
    return;
  }
  for (const auto& literal : *rule.dependencies.guard_values) {
    bucket.by_value[literal.first].push_back(position);
  }
}

void RuleIndex::collect(const Bucket& bucket, const json::Value& value, Positions& found) {
  if (bucket.all.size() == bucket.any_value.size()) {
    found.insert(found.end(), bucket.any_value.begin(), bucket.any_value.end());
    return;
  }
  const std::optional<std::uint64_t> hash = logic::literal_hash(value);
  if (!hash.has_value()) {
    found.insert(found.end(), bucket.all.begin(), bucket.all.end());
    return;
  }
  found.insert(found.end(), bucket.any_value.begin(), bucket.any_value.end());
  const auto waiting = bucket.by_value.find(*hash);
  if (waiting == bucket.by_value.end()) return;
  found.insert(found.end(), waiting->second.begin(), waiting->second.end());
}

RuleIndex::Positions RuleIndex::candidates(std::string_view key, const json::Value& value) const {
  Positions found;
  if (const auto bucket = exact_.find(key); bucket != exact_.end()) {
    collect(bucket->second, value, found);
  }
  for (const std::size_t size : prefix_sizes_) {
    if (size > key.size()) break;
    const auto bucket = prefixes_.find(key.substr(0, size));
    if (bucket != prefixes_.end()) collect(bucket->second, value, found);
  }
  collect(any_key_, value, found);
  // A rule lies in several buckets if it names several keys or values.
  if (std::adjacent_find(found.begin(), found.end(), std::greater_equal<>()) != found.end()) {
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
  }
  return found;
}

}  // namespace state_engine
