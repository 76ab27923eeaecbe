// The seam of the evaluator: Faults become EvalErrors here.

#include "rules/json_logic.h"

#include <cmath>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "rules/evaluator.h"
#include "rules/fault.h"
#include "rules/js_json.h"
#include "rules/node.h"

namespace state_engine::logic {
namespace {

// The name of a value that JSON cannot hold.
std::string special_name(const JsValue& value) {
  if (value.is_undefined()) return "undefined";
  if (!value.is_number()) return "";
  const double number = value.as_number();
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number == 0 && std::signbit(number) ? "-0" : "";
}

}  // namespace

std::string_view to_string(EvalError::Kind kind) {
  switch (kind) {
    case EvalError::Kind::kUnrecognizedOperation:
      return "unrecognized_operation";
    case EvalError::Kind::kTypeError:
      return "type_error";
    case EvalError::Kind::kBudget:
      return "budget_exceeded";
  }
  SE_UNREACHABLE();
}

Program::Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Result<Program> Program::compile(json::Value rule) {
  Program program;
  program.rule_ = std::make_unique<const json::Value>(std::move(rule));
  try {
    program.code_ = std::make_unique<const Code>(
        compile_code(JsValue::of(*program.rule_), limits::kRuleNestingMax));
  } catch (const Fault& fault) {
    return invalid_argument(fault.error.message);
  }
  return program;
}

EvalResult Program::evaluate(JsValue data, Arena& arena, const Budget& budget,
                             TraceSink* trace) const {
  const Code* const code = code_.get();
  SE_ASSERT(code != nullptr);
  try {
    return {Evaluator(*code, arena, budget, trace).run(data), std::nullopt};
  } catch (const Fault& fault) {
    return {JsValue::undefined(), fault.error};
  }
}

bool internal::truthy_unless_boolean(JsValue value) {
  using Kind = JsValue::Kind;
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNull:
      return false;
    case Kind::kBoolean:
      return value.as_boolean();
    case Kind::kNumber:
      return value.as_number() != 0 && !std::isnan(value.as_number());
    case Kind::kString:
      return !value.as_string().empty();
    case Kind::kJsonArray:
    case Kind::kArenaArray:
      return value.array_size() > 0;
    case Kind::kJsonObject:
    case Kind::kArenaObject:
    case Kind::kDataObject:
      return true;
  }
  SE_UNREACHABLE();
}

EvalReport eval_once(const json::Value& rule, const json::Value& data, const Budget& budget) {
  EvalReport report;
  const Result<Program> program = Program::compile(rule);
  if (!program.ok()) {
    report.error = EvalError{EvalError::Kind::kBudget, program.error().message};
    return report;
  }
  Arena arena(budget.bytes_max);
  EvalResult result = program->evaluate(JsValue::of(data), arena, budget);
  if (!result.ok()) {
    report.error = std::move(result.error);
    return report;
  }
  report.special = special_name(result.value);
  report.truthy = truthy(result.value);
  if (!report.special.empty()) return report;
  try {
    report.result = stringify(result.value, arena).value_or("null");
  } catch (const Fault& fault) {
    report.error = fault.error;
  }
  return report;
}

}  // namespace state_engine::logic
