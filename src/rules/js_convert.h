// The conversions and comparisons of ECMAScript that JsonLogic relies on.
//
// Errors: those that make text throw Fault when the arena's budget is used up or arrays nest too
// deeply to be joined.

#ifndef STATE_ENGINE_RULES_JS_CONVERT_H_
#define STATE_ENGINE_RULES_JS_CONVERT_H_

#include <string>
#include <string_view>

#include "rules/js_value.h"

namespace state_engine::logic {

// Number(value): the whole text, "" is 0, null is 0, undefined NaN, arrays through their text.
double to_number(const JsValue& value, Arena& arena);
// Number(text).
double number_of(std::string_view text);

// parseFloat(value): the longest numeric prefix of the text; null, true and "" are NaN.
double parse_float(const JsValue& value, Arena& arena);

// String(value). A view of the value's own text where it is a string already.
std::string_view to_string_view(const JsValue& value, Arena& arena);

// ToIntegerOrInfinity: NaN becomes 0, fractions are cut.
double to_integer(const JsValue& value, Arena& arena);

bool strict_equals(const JsValue& a, const JsValue& b);
bool loose_equals(const JsValue& a, const JsValue& b, Arena& arena);

// a < b and a <= b; with NaN both are false.
bool less(const JsValue& a, const JsValue& b, Arena& arena);
bool less_or_equal(const JsValue& a, const JsValue& b, Arena& arena);

// A property read, value[name], own properties only: members, indexes, and `length` of strings and
// arrays. undefined if there is none. REQUIRES: `value` is no DataObject.
JsValue get_property(const JsValue& value, std::string_view name, Arena& arena);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_JS_CONVERT_H_
