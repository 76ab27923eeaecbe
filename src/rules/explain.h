// Explanation: how one condition came to its value.
//
// One tree node per operator that was reached, with its value; arguments that were never looked at
// are marked as skipped. `decided` is the path of the node that settled the outcome: below `and`,
// `or`, `!`, `!!` and `if` the last argument that was looked at, down to the first operator that is
// none of these.

#ifndef STATE_ENGINE_RULES_EXPLAIN_H_
#define STATE_ENGINE_RULES_EXPLAIN_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "rules/json_logic.h"

namespace state_engine::logic {

struct ExplainNode {
  std::string path;   // JSON pointer into the rule ("/and/1")
  std::string op;     // operator; empty for a literal
  std::string label;  // for people: `value`, `"on"`, `==`
  std::string value;  // JSON text, or "undefined", "NaN", ...; cut to 200 bytes
  bool truthy = false;
  bool skipped = false;  // short-circuited: never evaluated
  std::string error;     // the error that ended the evaluation here
  std::vector<ExplainNode> children;
  int iterations_hidden = 0;  // of array bodies: only the first ones and the last are kept
};

struct Explanation {
  bool matched = false;
  std::string value;
  std::string error;
  std::string decided;       // path of the deciding node
  std::string decided_text;  // `value == "on" is false (value is "off")`
  ExplainNode root;
};

// Evaluates `program` over `data` and records everything. Cost: O(steps), one allocation or more
// per step; cut off after 10,000 nodes.
Explanation explain(const Program& program, JsValue data, const Budget& budget = {});

json::Value to_json(const Explanation& explanation);

// Indented lines, one per node; the deciding node is marked with "<-- decided".
std::string to_text(const Explanation& explanation);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_EXPLAIN_H_
