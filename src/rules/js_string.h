// JavaScript strings over WTF-8 text (js_value.h): lengths, indexes and order in UTF-16 code units.

#ifndef STATE_ENGINE_RULES_JS_STRING_H_
#define STATE_ENGINE_RULES_JS_STRING_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "rules/js_value.h"

namespace state_engine::logic {

// The number of UTF-16 code units. Cost: O(text).
std::size_t utf16_length(std::string_view text);

// The units [begin, end) as a string; half of a pair becomes an unpaired surrogate.
// REQUIRES: begin <= end <= utf16_length(text). Cost: O(text).
std::string_view utf16_slice(std::string_view text, std::size_t begin, std::size_t end,
                             Arena& arena);

// Below, equal or above zero as `a` sorts before, with or after `b` by code units.
int utf16_compare(std::string_view a, std::string_view b);

// String.prototype.includes.
bool utf16_contains(std::string_view text, std::string_view part);

// Appends `part`; a high surrogate at the end of `out` and a low one at its start become a pair.
void append_wtf8(std::string& out, std::string_view part);

// Without the white space of ECMAScript at the start, and at the end.
std::string_view trim_start(std::string_view text);
std::string_view trim(std::string_view text);

// Reads the code point at `position` and moves past it. REQUIRES: well-formed WTF-8 there.
char32_t next_code_point(std::string_view text, std::size_t& position);

inline bool is_surrogate(char32_t code_point) {
  return code_point >= 0xD800 && code_point <= 0xDFFF;
}

// True if `text` holds an unpaired surrogate. Cost: O(text).
bool has_surrogate(std::string_view text);

// `text` with every unpaired surrogate replaced by U+FFFD.
std::string to_utf8(std::string_view text);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_JS_STRING_H_
