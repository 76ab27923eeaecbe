// The eager functions. Two coercions: `+` and `*` use parseFloat, the others Number().

#include "rules/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/assert.h"
#include "rules/fault.h"
#include "rules/js_convert.h"
#include "rules/js_string.h"
#include "rules/json_logic.h"

namespace state_engine::logic {
namespace {

constexpr std::size_t kScanBytesPerCharge = 16;

// Missing arguments are undefined.
JsValue arg(std::span<const JsValue> args, std::size_t index) {
  return index < args.size() ? args[index] : JsValue::undefined();
}

// Takes the cost of reading long texts off the budget.
void charge_scan(const JsValue& value, Arena& arena) {
  if (value.is_string()) arena.charge(value.as_string().size() / kScanBytesPerCharge);
}

bool less_charged(const JsValue& a, const JsValue& b, Arena& arena) {
  charge_scan(a, arena);
  return less(a, b, arena);
}

bool less_or_equal_charged(const JsValue& a, const JsValue& b, Arena& arena) {
  charge_scan(a, arena);
  return less_or_equal(a, b, arena);
}

JsValue in(const JsValue& part, const JsValue& whole, Arena& arena) {
  if (!truthy(whole) && !whole.is_array()) return JsValue::boolean(false);
  if (whole.is_string()) {
    charge_scan(whole, arena);
    return JsValue::boolean(utf16_contains(whole.as_string(), to_string_view(part, arena)));
  }
  if (whole.is_array()) {
    const std::size_t size = whole.array_size();
    arena.charge(size);
    for (std::size_t i = 0; i < size; ++i) {
      if (strict_equals(whole.element(i), part)) return JsValue::boolean(true);
    }
    return JsValue::boolean(false);
  }
  bool has_index_of = false;
  if (whole.kind() == JsValue::Kind::kDataObject) {
    const std::string_view name = "indexOf";
    std::size_t steps_used = 0;
    has_index_of = !whole.as_data_object().resolve({&name, 1}, steps_used, arena).is_undefined();
  } else {
    has_index_of = !get_property(whole, "indexOf", arena).is_undefined();
  }
  if (has_index_of) fail(EvalError::Kind::kTypeError, "b.indexOf is not a function");
  return JsValue::boolean(false);
}

JsValue cat(std::span<const JsValue> args, Arena& arena) {
  std::string text;
  for (const JsValue& value : args) {
    if (value.is_nullish()) continue;
    const std::string_view part = to_string_view(value, arena);
    arena.charge(part.size());
    append_wtf8(text, part);
  }
  return JsValue::string(arena.copy(text));
}

// String.prototype.substr (ECMA-262 annex B).
std::string_view substr_of(std::string_view text, double start, double length, Arena& arena) {
  const auto size = static_cast<double>(utf16_length(text));
  const double begin = start < 0 ? std::max(size + start, 0.0) : std::min(start, size);
  const double end = std::min(begin + std::clamp(length, 0.0, size), size);
  if (begin >= end) return {};
  return utf16_slice(text, static_cast<std::size_t>(begin), static_cast<std::size_t>(end), arena);
}

JsValue substr(const JsValue& source, const JsValue& start, const JsValue& length, Arena& arena) {
  constexpr double kRest = std::numeric_limits<double>::infinity();
  const std::string_view text = to_string_view(source, arena);
  arena.charge(text.size() / kScanBytesPerCharge);
  const double from = to_integer(start, arena);
  if (!less(length, JsValue::number(0), arena)) {
    const double count = length.is_undefined() ? kRest : to_integer(length, arena);
    return JsValue::string(substr_of(text, from, count, arena));
  }
  // A negative length drops units from the end. Written as a text ("-1") JavaScript's `+` makes
  // "5-1" of it, which is no number: nothing is left.
  const std::string_view rest = substr_of(text, from, kRest, arena);
  const double kept = length.is_number()
                          ? std::trunc(static_cast<double>(utf16_length(rest)) + length.as_number())
                          : 0;
  return JsValue::string(substr_of(rest, 0, kept, arena));
}

JsValue add(std::span<const JsValue> args, Arena& arena) {
  double sum = 0;
  for (const JsValue& value : args) sum += parse_float(value, arena);
  return JsValue::number(sum);
}

JsValue multiply(std::span<const JsValue> args, Arena& arena) {
  if (args.empty()) {
    fail(EvalError::Kind::kTypeError, "Reduce of empty array with no initial value");
  }
  if (args.size() == 1) return args[0];
  JsValue product = args[0];
  for (const JsValue& value : args.subspan(1)) {
    product = JsValue::number(parse_float(product, arena) * parse_float(value, arena));
  }
  return product;
}

JsValue subtract(std::span<const JsValue> args, Arena& arena) {
  const double a = to_number(arg(args, 0), arena);
  const JsValue b = arg(args, 1);
  return JsValue::number(b.is_undefined() ? -a : a - to_number(b, arena));
}

// Math.min and Math.max: NaN wins, and -0 is below 0.
JsValue extreme(std::span<const JsValue> args, bool want_max, Arena& arena) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double best = want_max ? -kInfinity : kInfinity;
  bool any_nan = false;
  for (const JsValue& value : args) {
    const double number = to_number(value, arena);
    any_nan = any_nan || std::isnan(number);
    const bool same_zero = number == 0 && best == 0;
    const bool better =
        same_zero ? std::signbit(number) != want_max : (want_max ? number > best : number < best);
    if (better) best = number;
  }
  return JsValue::number(any_nan ? std::numeric_limits<double>::quiet_NaN() : best);
}

JsValue merge(std::span<const JsValue> args, Arena& arena) {
  std::size_t size = 0;
  for (const JsValue& value : args) size += value.is_array() ? value.array_size() : 1;
  const std::span<JsValue> merged = arena.make_values(size);
  std::size_t at = 0;
  for (const JsValue& value : args) {
    if (!value.is_array()) {
      merged[at++] = value;
      continue;
    }
    const std::size_t count = value.array_size();
    for (std::size_t i = 0; i < count; ++i) merged[at++] = value.element(i);
  }
  return JsValue::array(merged);
}

// a < b, or a < b < c if there is a third argument that is not undefined.
template <typename Compare>
JsValue between(std::span<const JsValue> args, Arena& arena, Compare compare) {
  const JsValue c = arg(args, 2);
  const JsValue b = arg(args, 1);
  const bool first = compare(arg(args, 0), b, arena);
  return JsValue::boolean(c.is_undefined() ? first : first && compare(b, c, arena));
}

}  // namespace

JsValue call_operator(Opcode op, std::span<const JsValue> args, Arena& arena) {
  const auto a = [args] { return arg(args, 0); };
  const auto b = [args] { return arg(args, 1); };
  switch (op) {
    case Opcode::kLooseEqual:
      return JsValue::boolean(loose_equals(a(), b(), arena));
    case Opcode::kLooseNotEqual:
      return JsValue::boolean(!loose_equals(a(), b(), arena));
    case Opcode::kStrictEqual:
      return JsValue::boolean(strict_equals(a(), b()));
    case Opcode::kStrictNotEqual:
      return JsValue::boolean(!strict_equals(a(), b()));
    case Opcode::kGreater:
      return JsValue::boolean(less_charged(b(), a(), arena));
    case Opcode::kGreaterOrEqual:
      return JsValue::boolean(less_or_equal_charged(b(), a(), arena));
    case Opcode::kLess:
      return between(args, arena, less_charged);
    case Opcode::kLessOrEqual:
      return between(args, arena, less_or_equal_charged);
    case Opcode::kTruthy:
      return JsValue::boolean(truthy(a()));
    case Opcode::kNot:
      return JsValue::boolean(!truthy(a()));
    case Opcode::kModulo:
      return JsValue::number(std::fmod(to_number(a(), arena), to_number(b(), arena)));
    case Opcode::kDivide:
      return JsValue::number(to_number(a(), arena) / to_number(b(), arena));
    case Opcode::kLog:
      return a();
    case Opcode::kIn:
      return in(a(), b(), arena);
    case Opcode::kCat:
      return cat(args, arena);
    case Opcode::kSubstr:
      return substr(a(), b(), arg(args, 2), arena);
    case Opcode::kAdd:
      return add(args, arena);
    case Opcode::kMultiply:
      return multiply(args, arena);
    case Opcode::kSubtract:
      return subtract(args, arena);
    case Opcode::kMin:
      return extreme(args, false, arena);
    case Opcode::kMax:
      return extreme(args, true, arena);
    case Opcode::kMerge:
      return merge(args, arena);
    default:
      SE_UNREACHABLE();
  }
}

}  // namespace state_engine::logic
