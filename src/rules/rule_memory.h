// RuleMemory: what a rule remembers about one key between commits.

#ifndef STATE_ENGINE_RULES_RULE_MEMORY_H_
#define STATE_ENGINE_RULES_RULE_MEMORY_H_

#include <optional>
#include <string_view>

#include "base/time.h"

namespace state_engine {

struct RuleMemory {
  bool truth = false;  // of the condition, when it was last run; only of rules that keep it
  // Rules with `for`: since when the condition is what the rule waits for; nothing = it is not.
  std::optional<Timestamp> since;
  // When such a rule is to fire. Nothing: no wait goes on.
  std::optional<Timestamp> deadline;
  // Before this time a rule with `cooldown` does not fire again for the key.
  std::optional<Timestamp> cooldown_until;

  bool operator==(const RuleMemory&) const = default;
};

// The memories, per (rule, changed key).
class MemoryLookup {
 public:
  virtual ~MemoryLookup() = default;
  virtual std::optional<RuleMemory> memory(std::string_view rule_id,
                                           std::string_view key) const = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_MEMORY_H_
