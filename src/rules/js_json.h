// Results as JSON: JSON.stringify, and JSON values for payloads.
//
// Errors: both throw Fault when the arena's budget is used up (shared arrays can expand
// exponentially) or the value nests too deeply.

#ifndef STATE_ENGINE_RULES_JS_JSON_H_
#define STATE_ENGINE_RULES_JS_JSON_H_

#include <optional>
#include <string>

#include "base/json.h"
#include "rules/js_value.h"

namespace state_engine::logic {

// JSON.stringify(value): NaN and infinities are null, undefined members are left out and undefined
// elements null, unpaired surrogates are \udxxx. nullopt for undefined itself.
std::optional<std::string> stringify(const JsValue& value, Arena& arena);

// The same as a JSON value, with U+FFFD for unpaired surrogates. nullopt for undefined itself.
std::optional<json::Value> to_json(const JsValue& value, Arena& arena);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_JS_JSON_H_
