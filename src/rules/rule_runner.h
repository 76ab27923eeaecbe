// Runs one rule: its condition, then what `on`, `for` and `cooldown` say, then its actions.
//
//   on        says at which changes the rule wants to fire
//   for       puts the firing off until the condition has held for that long; it begins when the
//             condition becomes what the rule waits for (true; with `fall` false) and ends without
//             a firing as soon as a change of the key makes it something else
//   cooldown  drops what comes too soon after a firing; only a wait is put off to its end instead

#ifndef STATE_ENGINE_RULES_RULE_RUNNER_H_
#define STATE_ENGINE_RULES_RULE_RUNNER_H_

#include "rules/change_data.h"
#include "rules/rule.h"
#include "rules/rule_set.h"

namespace state_engine {

// What `rule` says about a change. Id and hash of the outcome are left to the caller.
RuleOutcome run_rule(const Rule& rule, const ChangeContext& change, const ChangeFields& fields,
                     const StateLookup& state, const MemoryLookup& memories);

// RuleSet::end_wait().
RuleOutcome run_after_wait(const Rule& rule, const ChangeContext& change, const StateLookup& state,
                           const RuleMemory& memory, Timestamp now);

// What is remembered of a rule and key when the rule `before` (null: there was none) gives way to
// `rule` (null: there is none any more). If condition and trigger stay, so does the memory, and a
// wait ends by the new `for`. Else the rule begins with the truth that its condition has now for
// `snapshot` (null: nothing there), without firing.
RuleMemory carry_over(const Rule* before, const Rule* rule, const RuleMemory& memory,
                      const Snapshot* snapshot, const StateLookup& state);

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_RUNNER_H_
