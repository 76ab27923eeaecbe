// Template: a JSON value with holes, `{"$logic": <JsonLogic>}`, that rules fill in.

#ifndef STATE_ENGINE_RULES_TEMPLATE_H_
#define STATE_ENGINE_RULES_TEMPLATE_H_

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "rules/json_logic.h"

namespace state_engine::logic {

class Template {
 public:
  // Compiles the holes of `source`.
  // Errors: as Program::compile.
  static Result<Template> compile(const json::Value& source);

  // The value with its holes filled, as JSON.stringify would write it: an undefined member is left
  // out, an undefined element, NaN and the infinities are null, an unpaired surrogate is U+FFFD.
  // Errors: kInvalidArgument with the evaluation error's text.
  Result<json::Value> fill(JsValue data, Arena& arena, const Budget& budget = {}) const;

  bool is_constant() const { return holes_.empty(); }
  const json::Value& source() const { return source_; }
  const std::vector<Program>& holes() const { return holes_; }

 private:
  Template() = default;

  json::Value source_;
  std::vector<Program> holes_;  // in document order
};

// The rule inside `{"$logic": rule}`, or null if `value` is no hole.
const json::Value* find_hole(const json::Value& value);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_TEMPLATE_H_
