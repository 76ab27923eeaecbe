// JsonLogic, exactly as json-logic-js 2.0.5 evaluates it.
//
// A rule is compiled once into an array of nodes and evaluated many times. Two deviations, both
// deliberate: inherited JavaScript names ("constructor", "arr.map") are not found, and an object
// whose own key is `toString` coerces like any object instead of throwing.
//
// Ownership: a Program owns its rule; results point into the data, the Program and the Arena.
// Threads:   a Program is immutable; evaluate from any thread, each with its own Arena.
// Errors:    evaluation returns an EvalError; nothing throws across this header.

#ifndef STATE_ENGINE_RULES_JSON_LOGIC_H_
#define STATE_ENGINE_RULES_JSON_LOGIC_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "rules/js_value.h"

namespace state_engine::logic {

struct Code;  // node.h
class TraceSink;

// What one evaluation may cost.
struct Budget {
  std::uint64_t steps_max = 1'000'000;             // nodes, elements and 64-byte blocks of text
  std::size_t bytes_max = std::size_t{16} << 20U;  // temporaries
};

// Why an evaluation has no value.
struct EvalError {
  enum class Kind {
    kUnrecognizedOperation,  // json-logic-js throws Error("Unrecognized operation X")
    kTypeError,              // JavaScript throws TypeError
    kBudget,                 // over the Budget, or nested too deeply
  };
  Kind kind = Kind::kBudget;
  std::string message;
};

// "unrecognized_operation", "type_error", "budget_exceeded".
std::string_view to_string(EvalError::Kind kind);

// A value, or the error that ended the evaluation.
struct EvalResult {
  JsValue value;
  std::optional<EvalError> error;

  bool ok() const { return !error.has_value(); }
};

class Program {
 public:
  // Compiles any JSON value; as in json-logic-js, mistakes show only when they are reached. Use
  // check_rule (lint.h) first to refuse them at load.
  // Errors: kInvalidArgument if operators nest deeper than limits::kRuleNestingMax.
  static Result<Program> compile(json::Value rule);

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  // Evaluates over `data`. `trace`, if given, is told of every node.
  EvalResult evaluate(JsValue data, Arena& arena, const Budget& budget = {},
                      TraceSink* trace = nullptr) const;

  const json::Value& rule() const { return *rule_; }

 private:
  Program();

  std::unique_ptr<const json::Value> rule_;  // the code points into it
  std::unique_ptr<const Code> code_;
};

namespace internal {
bool truthy_unless_boolean(JsValue value);
}

// jsonLogic.truthy: like JavaScript, but [] is false.
inline bool truthy(JsValue value) {
  return value.is_boolean() ? value.as_boolean() : internal::truthy_unless_boolean(value);
}

// What `rules eval` prints for one rule and its data.
struct EvalReport {
  std::string result = "null";  // JSON.stringify; null where JSON has no such value
  std::string special;          // "undefined", "NaN", "Infinity", "-Infinity", "-0"; empty = none
  bool truthy = false;
  std::optional<EvalError> error;
};

// Compiles and evaluates `rule` once over `data`.
EvalReport eval_once(const json::Value& rule, const json::Value& data, const Budget& budget = {});

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_JSON_LOGIC_H_
