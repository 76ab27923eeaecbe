// WTF-8 text read as UTF-16. Bytes are compared and searched where that gives the same answer, and
// units only where a surrogate is involved.

#include "rules/js_string.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/assert.h"

namespace state_engine::logic {
namespace {

constexpr std::size_t kSurrogateBytes = 3;

std::uint8_t byte_at(std::string_view text, std::size_t position) {
  return static_cast<std::uint8_t>(text[position]);
}

bool is_continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xC0U) == 0x80; }

bool is_high(char32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(char32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

// Appends one code point, surrogates as three bytes.
void append_code_point(std::string& out, char32_t c) {
  const auto put = [&out](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | (c >> 6U));
    put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | (c >> 12U));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | (c >> 18U));
    put(0x80U | ((c >> 12U) & 0x3FU));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

// A position between two units: the byte where its code point starts, and whether it lies in the
// middle of a pair.
struct UnitPosition {
  std::size_t byte;
  bool inside_pair;
};

UnitPosition find_unit(std::string_view text, std::size_t unit) {
  std::size_t units = 0;
  std::size_t byte = 0;
  while (units < unit) {
    const std::size_t start = byte;
    const char32_t c = next_code_point(text, byte);
    units += c >= 0x10000 ? 2 : 1;
    if (units > unit) return {start, true};
  }
  return {byte, false};
}

char32_t high_half(char32_t c) { return 0xD800 + ((c - 0x10000) >> 10U); }
char32_t low_half(char32_t c) { return 0xDC00 + ((c - 0x10000) & 0x3FFU); }

std::u16string to_utf16(std::string_view text) {
  std::u16string units;
  units.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c >= 0x10000) {
      units.push_back(static_cast<char16_t>(high_half(c)));
      units.push_back(static_cast<char16_t>(low_half(c)));
    } else {
      units.push_back(static_cast<char16_t>(c));
    }
  }
  return units;
}

// WhiteSpace and LineTerminator of ECMA-262.
bool is_space(char32_t c) {
  constexpr std::array<char32_t, 12> kWide = {0x00A0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F,
                                              0x3000, 0xFEFF, 0x0020, 0x000B, 0x000C, 0x0009};
  if (c == '\n' || c == '\r') return true;
  if (c >= 0x2000 && c <= 0x200A) return true;
  return std::find(kWide.begin(), kWide.end(), c) != kWide.end();
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  SE_ASSERT(position < text.size());
  const std::uint8_t lead = byte_at(text, position);
  if (lead < 0x80) {
    ++position;
    return lead;
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  // Text comes from checked JSON; damaged text is still read without running over its end.
  const std::size_t end = std::min(position + length, text.size());
  char32_t c = lead & (0x7FU >> length);
  for (++position; position < end; ++position) c = (c << 6U) | (byte_at(text, position) & 0x3FU);
  return c;
}

std::size_t utf16_length(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    if (!is_continuation(c)) units += static_cast<std::uint8_t>(c) >= 0xF0 ? 2 : 1;
  }
  return units;
}

std::string_view utf16_slice(std::string_view text, std::size_t begin, std::size_t end,
                             Arena& arena) {
  SE_ASSERT(begin <= end);
  if (begin == end) return {};
  UnitPosition from = find_unit(text, begin);
  const UnitPosition to = find_unit(text, end);
  if (!from.inside_pair && !to.inside_pair) return text.substr(from.byte, to.byte - from.byte);

  std::string cut;
  if (from.inside_pair) append_code_point(cut, low_half(next_code_point(text, from.byte)));
  if (to.byte > from.byte) cut += text.substr(from.byte, to.byte - from.byte);
  if (to.inside_pair) {
    std::size_t at = to.byte;
    append_code_point(cut, high_half(next_code_point(text, at)));
  }
  return arena.copy(cut);
}

int utf16_compare(std::string_view a, std::string_view b) {
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (left == a.end() || right == b.end()) {
    return (left == a.end() ? 0 : 1) - (right == b.end() ? 0 : 1);
  }
  // Bytes sort as code points. Code units differ from that only where one side is above the basic
  // plane (its units are surrogates) and the other from U+D800 on.
  auto start = static_cast<std::size_t>(left - a.begin());
  while (start > 0 && is_continuation(a[start])) --start;
  std::size_t at_a = start;
  std::size_t at_b = start;
  char32_t unit_a = next_code_point(a, at_a);
  char32_t unit_b = next_code_point(b, at_b);
  if (unit_a >= 0x10000 && unit_b >= 0x10000) return unit_a < unit_b ? -1 : 1;
  if (unit_a >= 0x10000) unit_a = high_half(unit_a);
  if (unit_b >= 0x10000) unit_b = high_half(unit_b);
  // A pair against an unpaired half: the next units decide.
  if (unit_a == unit_b) return to_utf16(a.substr(start)).compare(to_utf16(b.substr(start)));
  return unit_a < unit_b ? -1 : 1;
}

bool utf16_contains(std::string_view text, std::string_view part) {
  if (!has_surrogate(part)) return text.find(part) != std::string_view::npos;
  return to_utf16(text).find(to_utf16(part)) != std::u16string::npos;
}

void append_wtf8(std::string& out, std::string_view part) {
  if (out.size() >= kSurrogateBytes && part.size() >= kSurrogateBytes && part[0] == '\xED') {
    std::size_t at_high = out.size() - kSurrogateBytes;
    std::size_t at_low = 0;
    if (out[at_high] == '\xED') {
      const char32_t high = next_code_point(out, at_high);
      const char32_t low = next_code_point(part, at_low);
      if (is_high(high) && is_low(low)) {
        out.resize(out.size() - kSurrogateBytes);
        append_code_point(out, 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00));
        out += part.substr(at_low);
        return;
      }
    }
  }
  out += part;
}

std::string_view trim_start(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t next = begin;
    if (!is_space(next_code_point(text, next))) break;
    begin = next;
  }
  return text.substr(begin);
}

std::string_view trim(std::string_view text) {
  text = trim_start(text);
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && is_continuation(text[last])) --last;
    std::size_t at = last;
    if (!is_space(next_code_point(text, at))) break;
    text = text.substr(0, last);
  }
  return text;
}

bool has_surrogate(std::string_view text) {
  for (std::size_t at = text.find('\xED'); at != std::string_view::npos;
       at = text.find('\xED', at + 1)) {
    if (at + 1 < text.size() && byte_at(text, at + 1) >= 0xA0) return true;
  }
  return false;
}

std::string to_utf8(std::string_view text) {
  if (!has_surrogate(text)) return std::string(text);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    append_code_point(out, is_surrogate(c) ? 0xFFFD : c);
  }
  return out;
}

}  // namespace state_engine::logic
