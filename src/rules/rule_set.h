// RuleSet: the rules of one configuration, compiled, and what they say about a committed change.
//
// A rule with `for` fires later than the change: evaluate() begins the wait (RuleMemory::deadline),
// and end_wait() runs the rule once more on that change when the time is over.
//
// Invariants: (I11) a loaded set has no cycle of derived mutations that static analysis can see;
// the engine's run-time budget stops the others. (R1) Rules are evaluated in file order, and the
// same change, state and memories always give the same outcomes. (R2) The index changes the cost of
// an evaluation, never its outcomes.
//
// Threads: immutable after load; evaluate from any thread.

#ifndef STATE_ENGINE_RULES_RULE_SET_H_
#define STATE_ENGINE_RULES_RULE_SET_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "core/types.h"
#include "rules/explain.h"
#include "rules/lint.h"
#include "rules/rule.h"
#include "rules/rule_index.h"
#include "rules/rule_memory.h"

namespace state_engine {

class RuleSet;
using RuleSetPtr = std::shared_ptr<const RuleSet>;

// A loaded set, or every problem found.
struct RuleSetLoad {
  RuleSetPtr rules;  // null if there are problems
  RuleProblems problems;

  bool ok() const { return rules != nullptr; }
};

// A committed change as rules see it. The references outlive the call.
struct ChangeContext {
  const LogEntry& entry;   // accepted, with committed_at and both versions
  const Snapshot* before;  // what readers saw just before; null = nothing (absent or a tombstone)
  const Snapshot& after;   // a tombstone after delete and expire
};

// The state that `{"var": "state.<key>"}` reads.
class StateLookup {
 public:
  virtual ~StateLookup() = default;
  // The snapshot of `key` as readers see it (null for tombstones and expired values), this change
  // included. The pointer stays valid for the whole evaluation.
  virtual const Snapshot* find(std::string_view key) const = 0;
};

// A publishEgress action that fired. The engine adds ids and cause.
struct EmittedEffect {
  int action_index = 0;
  std::string type;     // the payload's member "type"; empty if it has none
  std::string payload;  // canonical JSON text
};

// A proposeMutation action that fired. The engine adds id, actor `rule:<id>` and causation.
struct DerivedProposal {
  int action_index = 0;
  Op op = Op::kSet;
  std::string key;
  std::optional<json::Value> value;  // absent for delete
  std::optional<std::int64_t> expected_version;
  std::optional<std::chrono::milliseconds> ttl;
  std::string reason;
};

struct RuleOutcome {
  std::string rule_id;
  std::string rule_hash;
  bool matched = false;  // the condition is truthy
  bool fired = false;    // its trigger says go and its actions could be made (below)
  std::string error;     // the run-time error of the condition or of a template; then not fired
  std::vector<std::pair<std::string, std::int64_t>> reads;  // other keys; version 0 = absent
  std::string held;  // why it did not fire, although its condition is as it waits for
  // To be remembered under (rule_id, changed key); always given while a wait goes on.
  std::optional<RuleMemory> memory;
  std::vector<EmittedEffect> effects;
  std::vector<DerivedProposal> derived;
};

// Told of every rule that is run, whether it has an outcome worth keeping or not.
class EvaluationSink {
 public:
  virtual ~EvaluationSink() = default;
  virtual void on_evaluation(const Rule& rule, const RuleOutcome& outcome) = 0;
};

class RuleSet {
 public:
  // Loads the `rules` array of a configuration. All problems are reported at once.
  static RuleSetLoad load(const json::Value& rules);
  // A set without rules.
  static RuleSetPtr empty();

  // What the rules say about one change, in file order. A rule that did not match, did not fail,
  // read no other key and has nothing new to remember has no outcome. A rule's error does not stop
  // the others. Only rules whose guards admit the change are run; the others cannot match. `all`,
  // if given, is told of every rule that was run. Cost: as those rules.
  std::vector<RuleOutcome> evaluate(const ChangeContext& change, const StateLookup& state,
                                    const MemoryLookup& memories,
                                    EvaluationSink* all = nullptr) const;

  // What `rule` says when its wait on `change`, the last one of that key, ends at `now`: it fires;
  // or its condition is no longer as it waits for; or a cooldown puts the deadline off. The outcome
  // always has a memory. REQUIRES: memory.deadline is set and not after `now`.
  RuleOutcome end_wait(const Rule& rule, const ChangeContext& change, const StateLookup& state,
                       const RuleMemory& memory, Timestamp now) const;

  // The same without the index (invariant R2), and without even the guards.
  std::vector<RuleOutcome> evaluate_linearly_for_test(const ChangeContext& change,
                                                      const StateLookup& state,
                                                      const MemoryLookup& memories,
                                                      bool heed_guards) const;

  // Why `rule` does or does not match that change. The same answer as evaluate() gave, if the
  // state is the same.
  logic::Explanation explain(const Rule& rule, const ChangeContext& change,
                             const StateLookup& state) const;

  const std::vector<Rule>& rules() const { return rules_; }
  // Null if there is no such rule.
  const Rule* find(std::string_view rule_id) const;
  // SHA-256 of all rule hashes in file order, hex: the rule revision of log entries.
  const std::string& revision() const { return revision_; }
  const RuleIndex& index() const { return index_; }

 private:
  RuleSet() = default;

  std::vector<Rule> rules_;
  std::unordered_map<std::string_view, std::size_t> positions_;  // by id; points into rules_
  RuleIndex index_;
  std::string revision_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_SET_H_
