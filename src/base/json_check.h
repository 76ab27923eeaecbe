// Checks JSON text without keeping what it says.

#ifndef STATE_ENGINE_BASE_JSON_CHECK_H_
#define STATE_ENGINE_BASE_JSON_CHECK_H_

#include <string_view>

#include "base/json.h"

namespace state_engine::json {

// Says whether parse() would succeed, with the same errors. Cost: O(text), for small text without
// an allocation.
Status check(std::string_view text, const ParseLimits& parse_limits = {});

}  // namespace state_engine::json

#endif  // STATE_ENGINE_BASE_JSON_CHECK_H_
