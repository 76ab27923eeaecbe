// ECMA-262: StringToNumber (7.1.4.1), parseFloat (19.2.4), IsLooselyEqual (7.2.14) and IsLessThan
// (7.2.13), as far as JSON values and undefined go. Doubles are read with std::from_chars.

#include "rules/js_convert.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/assert.h"
#include "base/json.h"
#include "rules/fault.h"
#include "rules/js_string.h"
#include "rules/json_logic.h"

namespace state_engine::logic {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// JavaScript's own join gives up on nesting, too, only later.
constexpr int kJoinDepthMax = 512;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A decimal literal at the start of a text: where it ends, and its value.
struct Decimal {
  std::size_t size = 0;  // 0 = none
  double value = kNaN;
};

std::size_t count_digits(std::string_view text, std::size_t from) {
  std::size_t end = from;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - from;
}

// The value of a literal that from_chars finds out of range: 0 or Infinity, by the place of its
// first digit that is not zero.
double out_of_range_value(std::string_view digits, std::int64_t exponent) {
  std::int64_t place = 0;  // of the first significant digit, before the exponent
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return 0;
  place = first < point ? static_cast<std::int64_t>(point - first)
                        : -static_cast<std::int64_t>(first - point - 1);
  return place + exponent > 0 ? kInfinity : 0;
}

// StrDecimalLiteral without its sign: "Infinity", digits with point and exponent.
Decimal read_unsigned_decimal(std::string_view text) {
  constexpr std::string_view kInfinityName = "Infinity";
  if (text.starts_with(kInfinityName)) return {kInfinityName.size(), kInfinity};
  const std::size_t whole = count_digits(text, 0);
  std::size_t end = whole;
  std::size_t fraction = 0;
  if (end < text.size() && text[end] == '.') {
    fraction = count_digits(text, end + 1);
    if (whole + fraction == 0) return {};
    end += 1 + fraction;
  }
  if (whole + fraction == 0) return {};
  const std::size_t mantissa_end = end;
  std::int64_t exponent = 0;
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    std::size_t at = end + 1;
    const bool negative = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const std::size_t digits = count_digits(text, at);
    if (digits > 0) {
      end = at + digits;
      constexpr std::int64_t kExponentCap = 1'000'000'000;
      for (const char c : text.substr(at, digits)) {
        exponent = std::min(exponent * 10 + (c - '0'), kExponentCap);
      }
      if (negative) exponent = -exponent;
    }
  }
  double value = 0;
  // from_chars wants a digit before or after the point, as checked above, and reads no sign '+'.
  const auto [rest, status] = std::from_chars(text.data(), text.data() + end, value);
  if (status == std::errc::result_out_of_range) {
    value = out_of_range_value(text.substr(0, mantissa_end), exponent);
  }
  return {end, value};
}

Decimal read_decimal(std::string_view text) {
  const bool signed_text = !text.empty() && (text[0] == '-' || text[0] == '+');
  Decimal decimal = read_unsigned_decimal(text.substr(signed_text ? 1 : 0));
  if (decimal.size == 0 || !signed_text) return decimal;
  ++decimal.size;
  if (text[0] == '-') decimal.value = -decimal.value;
  return decimal;
}

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 36;
}

// The digits after 0x, 0o or 0b, rounded to the nearest double, ties to even.
double read_radix(std::string_view digits, unsigned bits_per_digit) {
  if (digits.empty()) return kNaN;
  std::uint64_t mantissa = 0;
  int dropped_bits = 0;
  bool sticky = false;
  for (const char c : digits) {
    const auto digit = static_cast<unsigned>(digit_value(c));
    if (digit >= 1U << bits_per_digit) return kNaN;
    for (unsigned bit = bits_per_digit; bit-- > 0;) {
      const bool one = ((digit >> bit) & 1U) != 0;
      // 62 bits and a sticky bit: more than the 53 of a double, so that one rounding is right.
      if (mantissa >> 61U == 0) {
        mantissa = mantissa << 1U | (one ? 1U : 0U);
      } else {
        if (dropped_bits < 100'000) ++dropped_bits;
        sticky = sticky || one;
      }
    }
  }
  mantissa = mantissa << 1U | (sticky ? 1U : 0U);
  return std::ldexp(static_cast<double>(mantissa), dropped_bits - 1);
}

void append_text(std::string& out, const JsValue& value, Arena& arena, int depth);

void append_joined(std::string& out, const JsValue& array, Arena& arena, int depth) {
  if (depth >= kJoinDepthMax) {
    fail(EvalError::Kind::kBudget, "arrays nest too deeply to be written as text");
  }
  const std::size_t size = array.array_size();
  for (std::size_t i = 0; i < size; ++i) {
    if (i > 0) out.push_back(',');
    const JsValue element = array.element(i);
    if (!element.is_nullish()) append_text(out, element, arena, depth + 1);
    // Counted as it grows: shared arrays can expand exponentially.
    arena.charge(1);
  }
}

void append_text(std::string& out, const JsValue& value, Arena& arena, int depth) {
  using Kind = JsValue::Kind;
  switch (value.kind()) {
    case Kind::kUndefined:
      out += "undefined";
      return;
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBoolean:
      out += value.as_boolean() ? "true" : "false";
      return;
    case Kind::kNumber:
      out += json::number_to_string(value.as_number());
      return;
    case Kind::kString:
      arena.charge(value.as_string().size());
      append_wtf8(out, value.as_string());
      return;
    case Kind::kJsonArray:
    case Kind::kArenaArray:
      append_joined(out, value, arena, depth);
      return;
    case Kind::kJsonObject:
    case Kind::kArenaObject:
    case Kind::kDataObject:
      out += "[object Object]";
      return;
  }
  SE_UNREACHABLE();
}

JsValue to_primitive(const JsValue& value, Arena& arena) {
  return value.is_container() ? JsValue::string(to_string_view(value, arena)) : value;
}

// A canonical array index ("0", "12", never "01" or "+1").
std::optional<std::size_t> array_index(std::string_view name) {
  if (name.empty() || name.size() > 10 || (name.size() > 1 && name[0] == '0')) return std::nullopt;
  std::size_t index = 0;
  for (const char c : name) {
    if (!is_digit(c)) return std::nullopt;
    index = index * 10 + static_cast<std::size_t>(c - '0');
  }
  return index;
}

JsValue string_property(std::string_view text, std::string_view name, Arena& arena) {
  if (name == "length") return JsValue::number(static_cast<double>(utf16_length(text)));
  const auto index = array_index(name);
  if (!index.has_value() || *index >= utf16_length(text)) return JsValue::undefined();
  return JsValue::string(utf16_slice(text, *index, *index + 1, arena));
}

}  // namespace

double number_of(std::string_view text) {
  const std::string_view trimmed = trim(text);
  if (trimmed.empty()) return 0;
  if (trimmed.size() >= 2 && trimmed[0] == '0') {
    const std::string_view digits = trimmed.substr(2);
    if (trimmed[1] == 'x' || trimmed[1] == 'X') return read_radix(digits, 4);
    if (trimmed[1] == 'o' || trimmed[1] == 'O') return read_radix(digits, 3);
    if (trimmed[1] == 'b' || trimmed[1] == 'B') return read_radix(digits, 1);
  }
  const Decimal decimal = read_decimal(trimmed);
  return decimal.size == trimmed.size() ? decimal.value : kNaN;
}

double to_number(const JsValue& value, Arena& arena) {
  using Kind = JsValue::Kind;
  switch (value.kind()) {
    case Kind::kUndefined:
      return kNaN;
    case Kind::kNull:
      return 0;
    case Kind::kBoolean:
      return value.as_boolean() ? 1 : 0;
    case Kind::kNumber:
      return value.as_number();
    case Kind::kString:
      return number_of(value.as_string());
    default:
      return number_of(to_string_view(value, arena));
  }
}

double parse_float(const JsValue& value, Arena& arena) {
  // A number survives its own text unchanged, but for the sign of zero.
  if (value.is_number()) return value.as_number() + 0.0;
  if (value.is_nullish() || value.is_boolean()) return kNaN;
  return read_decimal(trim_start(to_string_view(value, arena))).value;
}

std::string_view to_string_view(const JsValue& value, Arena& arena) {
  if (value.is_string()) return value.as_string();
  if (value.is_undefined()) return "undefined";
  if (value.is_null()) return "null";
  if (value.is_object()) return "[object Object]";
  std::string text;
  append_text(text, value, arena, 0);
  return arena.copy(text);
}

double to_integer(const JsValue& value, Arena& arena) {
  const double number = to_number(value, arena);
  return std::isnan(number) ? 0 : std::trunc(number);
}

bool strict_equals(const JsValue& a, const JsValue& b) {
  using Kind = JsValue::Kind;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNull:
      return true;
    case Kind::kBoolean:
      return a.as_boolean() == b.as_boolean();
    case Kind::kNumber:
      return a.as_number() == b.as_number();
    case Kind::kString:
      return same_text(a.as_string(), b.as_string());
    default:
      return a.same_identity(b);
  }
}

bool loose_equals(const JsValue& a, const JsValue& b, Arena& arena) {
  if (a.kind() == b.kind()) return strict_equals(a, b);
  if (a.is_nullish() || b.is_nullish()) return a.is_nullish() && b.is_nullish();
  if (a.is_container() && b.is_container()) return false;  // of different kinds: not the same one
  const JsValue left = to_primitive(a, arena);
  const JsValue right = to_primitive(b, arena);
  if (left.is_string() && right.is_string()) return left.as_string() == right.as_string();
  return to_number(left, arena) == to_number(right, arena);
}

bool less(const JsValue& a, const JsValue& b, Arena& arena) {
  if (a.is_number() && b.is_number()) return a.as_number() < b.as_number();
  const JsValue left = to_primitive(a, arena);
  const JsValue right = to_primitive(b, arena);
  if (left.is_string() && right.is_string()) {
    return utf16_compare(left.as_string(), right.as_string()) < 0;
  }
  return to_number(left, arena) < to_number(right, arena);
}

bool less_or_equal(const JsValue& a, const JsValue& b, Arena& arena) {
  if (a.is_number() && b.is_number()) return a.as_number() <= b.as_number();
  const JsValue left = to_primitive(a, arena);
  const JsValue right = to_primitive(b, arena);
  if (left.is_string() && right.is_string()) {
    return utf16_compare(left.as_string(), right.as_string()) <= 0;
  }
  return to_number(left, arena) <= to_number(right, arena);
}

JsValue get_property(const JsValue& value, std::string_view name, Arena& arena) {
  using Kind = JsValue::Kind;
  switch (value.kind()) {
    case Kind::kString:
      return string_property(value.as_string(), name, arena);
    case Kind::kJsonArray:
    case Kind::kArenaArray: {
      if (name == "length") return JsValue::number(static_cast<double>(value.array_size()));
      const auto index = array_index(name);
      if (!index.has_value() || *index >= value.array_size()) return JsValue::undefined();
      return value.element(*index);
    }
    case Kind::kJsonObject: {
      const auto* member = value.json_object().if_contains({name.data(), name.size()});
      return member != nullptr ? JsValue::of(*member) : JsValue::undefined();
    }
    case Kind::kArenaObject:
      for (const ArenaMember& member : value.members()) {
        if (member.name == name) return member.value;
      }
      return JsValue::undefined();
    default:
      return JsValue::undefined();
  }
}

}  // namespace state_engine::logic
