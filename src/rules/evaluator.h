// Evaluator: runs compiled code over data. One per evaluation.

#ifndef STATE_ENGINE_RULES_EVALUATOR_H_
#define STATE_ENGINE_RULES_EVALUATOR_H_

#include <cstdint>
#include <span>

#include "rules/js_value.h"
#include "rules/json_logic.h"
#include "rules/node.h"

namespace state_engine::logic {

// Told of every node of the rule that is evaluated, in order. Rules found in data are not traced.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void enter(const Node& node) = 0;
  virtual void leave(const Node& node, const JsValue& value) = 0;
};

class Evaluator {
 public:
  Evaluator(const Code& code, Arena& arena, const Budget& budget, TraceSink* trace)
      : code_(code), arena_(arena), steps_left_(budget.steps_max), trace_(trace) {}

  // Errors: Fault.
  JsValue run(JsValue data);

 private:
  inline JsValue eval(const Node& node, JsValue data);
  // REQUIRES: node.leaf != Leaf::kNone. Takes no step.
  inline JsValue eval_leaf(const Node& node, JsValue data);
  // True, and the steps are taken, if both arguments of `node` may be read by eval_leaf().
  inline bool step_over_leaves(const Node& node);
  JsValue eval_traced(const Node& node, JsValue data);
  JsValue eval_node(const Node& node, JsValue data);
  JsValue eval_array(const Node& node, JsValue data);
  JsValue eval_var_path(const Node& node, JsValue data);
  JsValue eval_if(const Node& node, JsValue data);
  JsValue eval_and_or(const Node& node, JsValue data);
  JsValue eval_filter(const Node& node, JsValue data);
  JsValue eval_map(const Node& node, JsValue data);
  JsValue eval_reduce(const Node& node, JsValue data);
  JsValue eval_quantifier(const Node& node, JsValue data);
  JsValue eval_equality(const Node& node, JsValue data);
  JsValue eval_pair(const Node& node, JsValue data);
  JsValue call_pair(Opcode op, JsValue a, JsValue b);
  JsValue eval_eager(const Node& node, JsValue data);

  // The node's argument, undefined if there is none.
  inline JsValue eval_argument(const Node& node, std::size_t index, JsValue data);

  JsValue read_path(const Node& node, JsValue not_found, JsValue data);
  JsValue read_var(const JsValue& name, const JsValue& fallback, JsValue data);
  // Undefined if `path` leads nowhere. REQUIRES: path is not empty.
  JsValue walk(std::span<const std::string_view> path, JsValue data);
  JsValue missing(std::span<const JsValue> args, JsValue data);
  JsValue missing_some(std::span<const JsValue> args, JsValue data);
  // jsonLogic.apply on a value: `missing` evaluates its keys once more, so that a rule found in
  // the data runs.
  JsValue apply(const JsValue& logic, JsValue data);

  void step() {
    if (steps_left_ == 0) out_of_steps();
    --steps_left_;
  }
  [[noreturn]] static void out_of_steps();

  const Code& code_;
  Arena& arena_;
  std::uint64_t steps_left_;
  TraceSink* trace_;
  int apply_depth_ = 0;
};

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_EVALUATOR_H_
