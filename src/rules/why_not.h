// Why a rule was no candidate for a change: which of its guards said no.

#ifndef STATE_ENGINE_RULES_WHY_NOT_H_
#define STATE_ENGINE_RULES_WHY_NOT_H_

#include <string>
#include <string_view>

#include "base/json.h"
#include "rules/rule.h"

namespace state_engine {

// One sentence, or nothing if `rule` is run on a change of `key` to `value` (null if it is gone).
// Empty exactly if rule.admits(key, value).
std::string why_not_a_candidate(const Rule& rule, std::string_view key, const json::Value& value);

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_WHY_NOT_H_
