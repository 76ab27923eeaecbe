// What a condition depends on, read off statically.
//
// The guards are superset tests: a change whose key or value they exclude can never match. Only the
// conjunctive spine of the condition is used, so the compiled rule still decides.

#ifndef STATE_ENGINE_RULES_DEPENDENCIES_H_
#define STATE_ENGINE_RULES_DEPENDENCIES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::logic {

// Literals by literal_hash(), with their JSON text for explanations.
using Literals = std::map<std::uint64_t, std::string>;

// A hash of a text, number, boolean or null that compares them as `===` does; nullopt for arrays
// and objects. Long texts have one hash in common, which no literal of a guard has.
std::optional<std::uint64_t> literal_hash(const json::Value& value);

struct Dependencies {
  // The only keys whose changes can match, beside those with a prefix below. Empty optional: no
  // bound on the key.
  std::optional<std::set<std::string>> guard_keys;
  // Beginnings of more such keys. Empty if guard_keys has no value.
  std::set<std::string> guard_prefixes;
  // The only new values that can match, arrays and objects apart: those always can. Empty optional:
  // no bound on the value.
  std::optional<Literals> guard_values;
  // Dotted names below `state` that the condition reads ("obs.scene").
  std::set<std::string> state_reads;
  // Members of the context that it reads ("value", "prev").
  std::set<std::string> context_reads;
  // A `var` name is computed: it may read anything.
  bool reads_anything = false;

  bool admits(std::string_view key) const;
  // True if a change to `value` can match.
  bool admits_value(const json::Value& value) const;
};

// Cost: O(rule).
Dependencies find_dependencies(const json::Value& rule);

// The conditions that all have to hold: the rule itself, or the members of its outer `and`s.
std::vector<const json::Value*> conjuncts(const json::Value& rule);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_DEPENDENCIES_H_
