// RuleIndex: which rules can match a change, without looking at the others.
//
// Rules lie in buckets by exact key, by key prefix, and in one bucket for rules that any key may
// trigger. Inside a bucket they lie by the hashes of the values that they wait for; the others are
// candidates whatever the value. The index says "maybe", the compiled condition decides.
//
// Invariant: candidates() finds exactly the rules whose Rule::admits() is true, in file order.
//
// Threads: immutable; use from any thread.

#ifndef STATE_ENGINE_RULES_RULE_INDEX_H_
#define STATE_ENGINE_RULES_RULE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "base/json.h"
#include "rules/rule.h"

namespace state_engine {

class RuleIndex {
 public:
  // Positions in the list of rules, ascending.
  using Positions = boost::container::small_vector<std::uint32_t, 32>;

  RuleIndex() = default;
  explicit RuleIndex(std::span<const Rule> rules);

  // The rules to run on a change of `key` to `value` (null if the key is gone).
  // Cost: one look-up per length of prefix in use, and the candidates.
  Positions candidates(std::string_view key, const json::Value& value) const;

  // How many rules any key may trigger: each commit has to run them.
  std::size_t unbounded_count() const { return any_key_.all.size(); }

 private:
  struct Bucket {
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_value;
    std::vector<std::uint32_t> any_value;
    std::vector<std::uint32_t> all;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Buckets = std::unordered_map<std::string, Bucket, TextHash, std::equal_to<>>;

  static void add(Bucket& bucket, const Rule& rule, std::uint32_t position);
  static void collect(const Bucket& bucket, const json::Value& value, Positions& found);

  Buckets exact_;
  Buckets prefixes_;
  std::vector<std::size_t> prefix_sizes_;  // that occur, ascending
  Bucket any_key_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_INDEX_H_
