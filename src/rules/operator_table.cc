// Names and arity. json-logic-js itself accepts any number of arguments; the bounds here are what a
// rule that means something can have, and are enforced at load only.

#include <algorithm>
#include <array>
#include <string>

#include "rules/operators.h"

namespace state_engine::logic {
namespace {

constexpr std::array<OperatorInfo, 35> kOperators = {{
    {"if", Opcode::kIf, 1, kAnyCount},
    {"?:", Opcode::kIf, 1, kAnyCount},
    {"and", Opcode::kAnd, 1, kAnyCount},
    {"or", Opcode::kOr, 1, kAnyCount},
    {"filter", Opcode::kFilter, 2, 2},
    {"map", Opcode::kMap, 2, 2},
    {"reduce", Opcode::kReduce, 2, 3},
    {"all", Opcode::kAll, 2, 2},
    {"none", Opcode::kNone, 2, 2},
    {"some", Opcode::kSome, 2, 2},
    {"var", Opcode::kVar, 0, 2},
    {"missing", Opcode::kMissing, 1, kAnyCount},
    {"missing_some", Opcode::kMissingSome, 2, 2},
    {"==", Opcode::kLooseEqual, 2, 2},
    {"===", Opcode::kStrictEqual, 2, 2},
    {"!=", Opcode::kLooseNotEqual, 2, 2},
    {"!==", Opcode::kStrictNotEqual, 2, 2},
    {">", Opcode::kGreater, 2, 2},
    {">=", Opcode::kGreaterOrEqual, 2, 2},
    {"<", Opcode::kLess, 2, 3},
    {"<=", Opcode::kLessOrEqual, 2, 3},
    {"!!", Opcode::kTruthy, 1, 1},
    {"!", Opcode::kNot, 1, 1},
    {"%", Opcode::kModulo, 2, 2},
    {"log", Opcode::kLog, 1, 1},
    {"in", Opcode::kIn, 2, 2},
    {"cat", Opcode::kCat, 1, kAnyCount},
    {"substr", Opcode::kSubstr, 2, 3},
    {"+", Opcode::kAdd, 1, kAnyCount},
    {"*", Opcode::kMultiply, 1, kAnyCount},
    {"-", Opcode::kSubtract, 1, 2},
    {"/", Opcode::kDivide, 2, 2},
    {"min", Opcode::kMin, 1, kAnyCount},
    {"max", Opcode::kMax, 1, kAnyCount},
    {"merge", Opcode::kMerge, 0, kAnyCount},
}};

// Where a dotted name leads, starting from the table of eager functions.
enum class Place { kFunction, kPrototype, kText, kNumber };

}  // namespace

std::span<const OperatorInfo> operator_table() { return kOperators; }

const OperatorInfo* find_operator(std::string_view name) {
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [name](const OperatorInfo& info) { return info.name == name; });
  return found != kOperators.end() ? found : nullptr;
}

Opcode resolve_operator(std::string_view name) {
  if (const OperatorInfo* info = find_operator(name)) return info->op;
  std::size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos) return Opcode::kUnrecognized;
  const OperatorInfo* function = find_operator(name.substr(0, dot));
  if (function == nullptr || function->op < Opcode::kVar) return Opcode::kUnrecognized;

  // The own properties of a strict function: length, name, prototype (whose constructor it is).
  Place place = Place::kFunction;
  std::size_t text_size = function->name.size();
  while (dot != std::string_view::npos) {
    const std::size_t next = name.find('.', dot + 1);
    const std::string_view step = name.substr(dot + 1, next - dot - 1);
    const bool is_index = step.size() == 1 && step[0] >= '0' && step[0] <= '9' &&
                          static_cast<std::size_t>(step[0] - '0') < text_size;
    // "missing_some" is the one name with two-digit indexes.
    const bool is_long_index = (step == "10" || step == "11") && text_size > 10;
    if (place == Place::kFunction && step == "prototype") {
      place = Place::kPrototype;
    } else if (place == Place::kFunction && step == "name") {
      place = Place::kText;
    } else if (place == Place::kPrototype && step == "constructor") {
      place = Place::kFunction;
    } else if ((place == Place::kFunction || place == Place::kText) && step == "length") {
      place = Place::kNumber;
    } else if (place == Place::kText && (is_index || is_long_index)) {
      text_size = 1;
    } else {
      return Opcode::kUnrecognized;
    }
    dot = next;
  }
  return place == Place::kFunction ? function->op : Opcode::kNotCallable;
}

}  // namespace state_engine::logic
