// The JSON reader and JsonLogic: what is accepted is written and read again without loss, and an
// evaluation gives the same result each time, within its budget.

#include <array>

#include "base/json.h"
#include "rules/json_logic.h"
#include "tests/fuzz/targets.h"

namespace state_engine::fuzz {
namespace {

void fuzz_json(std::string_view input) {
  const auto value = json::parse(input);
  if (!value.ok()) {
    SE_ASSERT(!value.error().message.empty());
    return;
  }
  const std::string text = json::write(*value);
  const auto again = json::parse(text, json::trusted_limits());
  SE_ASSERT(again.ok());
  SE_ASSERT(json::write(*again) == text);
}

// Input: {"rule": ..., "data": ...}, or a rule by itself.
void fuzz_logic(std::string_view input) {
  const auto value = json::parse(input);
  if (!value.ok()) return;
  json::Value rule = *value;
  json::Value data;
  if (value->is_object() && value->get_object().contains("rule")) {
    rule = value->get_object().at("rule");
    if (const json::Value* given = value->get_object().if_contains("data")) data = *given;
  }
  logic::Budget budget;
  budget.steps_max = 20'000;
  budget.bytes_max = std::size_t{1} << 20U;
  const logic::EvalReport first = logic::eval_once(rule, data, budget);
  const logic::EvalReport second = logic::eval_once(rule, data, budget);
  SE_ASSERT(first.result == second.result);
  SE_ASSERT(first.special == second.special);
  SE_ASSERT(first.truthy == second.truthy);
  SE_ASSERT(first.error.has_value() == second.error.has_value());
  if (!first.error) SE_ASSERT(json::parse(first.result, json::trusted_limits()).ok());
}

constexpr std::array<Target, 2> kTargets{{{"json", fuzz_json}, {"logic", fuzz_logic}}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

}  // namespace state_engine::fuzz
