// JavaScript strings over WTF-8 text (js_value.h): lengths, indexes and order in UTF-16 code units.

#ifndef STATE_ENGINE_RULES_JS_STRING_H_
#define STATE_ENGINE_RULES_JS_STRING_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "rules/js_value.h"

namespace state_engine::logic {

inline constexpr std::size_t kShortText = 16;

namespace internal {

// The first and the last bytes of both texts, which overlap in a text shorter than two words.
template <typename Word>
bool same_ends(const char* a, const char* b, std::size_t size) {
  Word a_first;
  Word b_first;
  Word a_last;
  Word b_last;
  std::memcpy(&a_first, a, sizeof(Word));
  std::memcpy(&b_first, b, sizeof(Word));
  std::memcpy(&a_last, a + size - sizeof(Word), sizeof(Word));
  std::memcpy(&b_last, b + size - sizeof(Word), sizeof(Word));
  return ((a_first ^ b_first) | (a_last ^ b_last)) == 0;
}

}  // namespace internal

// Whether two texts of `size` <= kShortText bytes are equal, in less time than a call of memcmp.
inline bool same_short_text(const char* a, const char* b, std::size_t size) {
  if (size >= sizeof(std::uint64_t)) return internal::same_ends<std::uint64_t>(a, b, size);
  if (size >= sizeof(std::uint32_t)) return internal::same_ends<std::uint32_t>(a, b, size);
  if (size >= sizeof(std::uint16_t)) return internal::same_ends<std::uint16_t>(a, b, size);
  return size == 0 || *a == *b;
}

// a == b.
inline bool same_text(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a.size() <= kShortText) return same_short_text(a.data(), b.data(), a.size());
  return std::memcmp(a.data(), b.data(), a.size()) == 0;
}

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
