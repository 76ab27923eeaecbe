#include "rules/rule.h"

#include <array>

#include "base/assert.h"

namespace state_engine {
namespace {

struct TriggerName {
  Trigger trigger;
  std::string_view name;
};
constexpr std::array<TriggerName, 4> kTriggers = {{{Trigger::kCommit, "commit"},
                                                   {Trigger::kChange, "change"},
                                                   {Trigger::kRise, "rise"},
                                                   {Trigger::kFall, "fall"}}};

}  // namespace

std::string_view to_string(Trigger trigger) {
  for (const TriggerName& known : kTriggers) {
    if (known.trigger == trigger) return known.name;
  }
  SE_UNREACHABLE();
}

std::optional<Trigger> parse_trigger(std::string_view text) {
  for (const TriggerName& known : kTriggers) {
    if (known.name == text) return known.trigger;
  }
  return std::nullopt;
}

}  // namespace state_engine
