// What a condition depends on, read off statically.
//
// The guard is a superset test: a change whose key it excludes can never match. Only the
// conjunctive spine of the condition is used, so the compiled rule still decides.

#ifndef STATE_ENGINE_RULES_DEPENDENCIES_H_
#define STATE_ENGINE_RULES_DEPENDENCIES_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::logic {

struct Dependencies {
  // The only keys whose changes can match. Empty optional: no bound on the key.
  std::optional<std::set<std::string>> guard_keys;
  // Dotted names below `state` that the condition reads ("obs.scene").
  std::set<std::string> state_reads;
  // Members of the context that it reads ("value", "prev").
  std::set<std::string> context_reads;
  // A `var` name is computed: it may read anything.
  bool reads_anything = false;

  bool admits(std::string_view key) const {
    return !guard_keys.has_value() || guard_keys->contains(std::string(key));
  }
};

// Cost: O(rule).
Dependencies find_dependencies(const json::Value& rule);

// The conditions that all have to hold: the rule itself, or the members of its outer `and`s.
std::vector<const json::Value*> conjuncts(const json::Value& rule);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_DEPENDENCIES_H_
