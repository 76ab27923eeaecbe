// RuleGraph: which keys trigger which rules, and which keys and effects those produce.
//
// Built from what the rules say literally: keys compared with `key`, names below `state`, literal
// targets of proposeMutation. A rule without a literal key is triggered by "*"; a computed target
// is "(computed)".

#ifndef STATE_ENGINE_RULES_GRAPH_H_
#define STATE_ENGINE_RULES_GRAPH_H_

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "rules/rule.h"

namespace state_engine {

struct GraphEdge {
  enum class Kind {
    kTriggers,  // a change of `name` (a key, or "*") makes `rule` look
    kReads,     // `rule` reads the key `name` through `state`
    kWrites,    // `rule` proposes a mutation of the key `name`
    kEmits,     // `rule` publishes an effect of type `name`
  };
  Kind kind = Kind::kTriggers;
  std::string rule;
  std::string name;

  bool operator==(const GraphEdge&) const = default;
};

class RuleGraph {
 public:
  static RuleGraph build(std::span<const Rule> rules);

  // In file order of the rules.
  const std::vector<GraphEdge>& edges() const { return edges_; }

  // "Who reads this key": the rules that look when `key` changes, or that read it through `state`.
  RuleGraph readers_of(std::string_view key) const;

  // "What can change because of this key": the rules that it triggers, the keys that those write,
  // and so on. A read through `state` is no trigger, and what is written to a computed key leads no
  // further.
  RuleGraph affected_by(std::string_view key) const;

  std::string to_text() const;
  json::Value to_json() const;
  std::string to_dot() const;
  std::string to_mermaid() const;

 private:
  // Only what belongs to `chosen`, in the same order.
  RuleGraph part(const std::set<std::string_view>& chosen) const;

  std::vector<std::string> rules_;
  std::vector<GraphEdge> edges_;
};

// A way in which derived mutations could trigger each other for ever.
struct RuleCycle {
  std::size_t rule_index = 0;  // the first rule of the cycle in file order
  std::string text;            // "a -> rule r1 -> b -> rule r2 -> a"
};

// The shortest cycle of each group of rules that trigger each other (I11). An edge is left out if
// the value written contradicts what the triggered rule asks for, or if that rule fires on a
// change and every rule writes the same constant. Cost: O(rules + edges) if there is none.
std::vector<RuleCycle> find_cycles(std::span<const Rule> rules);

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_GRAPH_H_
