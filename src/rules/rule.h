// Rule: one compiled rule of a configuration.

#ifndef STATE_ENGINE_RULES_RULE_H_
#define STATE_ENGINE_RULES_RULE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "core/types.h"
#include "rules/dependencies.h"
#include "rules/json_logic.h"
#include "rules/template.h"

namespace state_engine {

// When a matching rule fires.
enum class Trigger {
  kCommit,  // at each commit (what the reference does)
  kChange,  // if the value differs from the one before
  kRise,    // if the condition was not true for that key before
  kFall,    // if the condition was true for that key before, and now is not
};

// "commit", "change", "rise", "fall".
std::string_view to_string(Trigger trigger);
std::optional<Trigger> parse_trigger(std::string_view text);

struct PublishEgress {
  logic::Template payload;
};

struct ProposeMutation {
  Op op = Op::kSet;
  logic::Template key;
  std::optional<logic::Template> value;
  std::optional<logic::Template> reason;
  std::optional<std::int64_t> expected_version;
  std::optional<std::chrono::milliseconds> ttl;
};

using Action = std::variant<PublishEgress, ProposeMutation>;

struct Rule {
  // False if the guards exclude that a change of `key` to `value` (null if it is gone) matches. A
  // rule that keeps a truth is run on every change of its keys, whatever the value.
  bool admits(std::string_view key, const json::Value& value) const {
    return dependencies.admits(key) && (keeps_truth() || dependencies.admits_value(value));
  }
  // Whether the rule fires depends on what its condition was before.
  bool keeps_truth() const {
    return trigger == Trigger::kRise || trigger == Trigger::kFall || hold.count() > 0;
  }
  bool keeps_memory() const { return keeps_truth() || cooldown.count() > 0; }

  std::string id;
  std::string description;
  std::string hash;  // SHA-256 of the canonical JSON of its source, hex
  Trigger trigger = Trigger::kCommit;
  logic::Program when;
  logic::Dependencies dependencies;  // of `when`
  std::vector<Action> actions;
  // `for`: how long the condition has to hold (with `fall`: not to hold) before the rule fires.
  std::chrono::milliseconds hold{0};
  // How long the rule does not fire again for a key for which it fired.
  std::chrono::milliseconds cooldown{0};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_H_
