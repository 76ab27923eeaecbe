// The operators of json-logic-js 2.0.5: names, arity, and the functions of the eager ones.

#ifndef STATE_ENGINE_RULES_OPERATORS_H_
#define STATE_ENGINE_RULES_OPERATORS_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "rules/js_value.h"

namespace state_engine::logic {

enum class Opcode : std::uint8_t {
  // Not operators.
  kConstant,
  kArray,         // an array literal: every element is evaluated
  kVarPath,       // `var` whose name is known when compiling
  kUnrecognized,  // throws when reached
  kNotCallable,   // a dotted name that leads to no function ("var.length"): throws TypeError
  // Lazy: they evaluate their own arguments.
  kIf,
  kAnd,
  kOr,
  kFilter,
  kMap,
  kReduce,
  kAll,
  kNone,
  kSome,
  // Eager, and looking at the data.
  kVar,
  kMissing,
  kMissingSome,
  // Eager functions of their arguments.
  kLooseEqual,
  kStrictEqual,
  kLooseNotEqual,
  kStrictNotEqual,
  kGreater,
  kGreaterOrEqual,
  kLess,
  kLessOrEqual,
  kTruthy,
  kNot,
  kModulo,
  kLog,
  kIn,
  kCat,
  kSubstr,
  kAdd,
  kMultiply,
  kSubtract,
  kDivide,
  kMin,
  kMax,
  kMerge,
};

inline constexpr int kAnyCount = std::numeric_limits<int>::max();

// An operator, with the number of arguments that makes sense (checked at load, lint.h).
struct OperatorInfo {
  std::string_view name;
  Opcode op;
  int args_min;
  int args_max;
};

std::span<const OperatorInfo> operator_table();

// Null if there is no such operator.
const OperatorInfo* find_operator(std::string_view name);

// What json-logic-js finds under `name`. A name with a dot descends into the operator's function
// object, as it does there: "var.length" is found and cannot be called.
Opcode resolve_operator(std::string_view name);

// True if the operator's second argument is evaluated for each element instead of the data.
inline bool has_element_scope(Opcode op) { return op >= Opcode::kFilter && op <= Opcode::kSome; }

// Calls an eager function. REQUIRES: op > kMissingSome. Errors: Fault.
JsValue call_operator(Opcode op, std::span<const JsValue> args, Arena& arena);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_OPERATORS_H_
