// Writing JSON text, and small questions about values. Reading is in json_parse.cc.
//
// Doubles: std::to_chars gives the shortest digits that read back to the same double; the layout
// around them is Number::toString of ECMA-262 (section 6.1.6.1.20). One exception: an integral
// double between 2^53 and 2^64 is written with all its digits. ECMAScript pads the shortest digits
// with zeros there ("1000000000000000100"), which our own reader, exact for integers, would take
// for another number.

#include "base/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/json_utf8.h"

namespace state_engine::json {
namespace {

constexpr double kTwoTo53 = 9007199254740992.0;
constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

// Room for any number that we write: sign, 21 digits or 17 digits with point, zeros and exponent.
using NumberBuffer = std::array<char, 40>;

template <typename Integer>
std::string_view format_integer(NumberBuffer& buffer, Integer number) {
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  SE_ASSERT(result.ec == std::errc{});
  return {buffer.data(), static_cast<std::size_t>(result.ptr - buffer.data())};
}

// The digits and the decimal point's place of a finite positive double: 0.digits x 10^point.
struct Decimal {
  std::array<char, 20> digits{};
  int count = 0;
  int point = 0;
};

Decimal shortest_decimal(double number) {
  std::array<char, 32> text{};
  const auto result =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::scientific);
  SE_ASSERT(result.ec == std::errc{});
  Decimal decimal;
  const char* at = text.data();
  for (; *at != 'e'; ++at) {
    if (*at != '.') decimal.digits[static_cast<std::size_t>(decimal.count++)] = *at;
  }
  ++at;
  if (*at == '+') ++at;
  int exponent = 0;
  std::from_chars(at, result.ptr, exponent);
  decimal.point = exponent + 1;
  return decimal;
}

// ECMA-262 Number::toString, steps 5 to 12, for a finite number.
std::string_view format_ecmascript(NumberBuffer& buffer, double number) {
  if (number == 0) return "0";
  const Decimal decimal = shortest_decimal(std::fabs(number));
  const int count = decimal.count;
  const int point = decimal.point;
  char* out = buffer.data();
  const auto put = [&out](char c) { *out++ = c; };
  const auto put_digits = [&](int from, int to) {
    for (int i = from; i < to; ++i) put(decimal.digits[static_cast<std::size_t>(i)]);
  };
  const auto put_zeros = [&](int zeros) {
    for (int i = 0; i < zeros; ++i) put('0');
  };
  if (number < 0) put('-');
  if (count <= point && point <= 21) {
    put_digits(0, count);
    put_zeros(point - count);
  } else if (0 < point && point <= 21) {
    put_digits(0, point);
    put('.');
    put_digits(point, count);
  } else if (-6 < point && point <= 0) {
    put('0');
    put('.');
    put_zeros(-point);
    put_digits(0, count);
  } else {
    put_digits(0, 1);
    if (count > 1) put('.');
    put_digits(1, count);
    put('e');
    put(point > 0 ? '+' : '-');
    const auto result = std::to_chars(out, buffer.data() + buffer.size(), std::abs(point - 1));
    SE_ASSERT(result.ec == std::errc{});
    out = result.ptr;
  }
  return {buffer.data(), static_cast<std::size_t>(out - buffer.data())};
}

// The JSON text of a double; see the top of this file.
std::string_view format_double(NumberBuffer& buffer, double number) {
  if (!std::isfinite(number)) return "null";
  if (number >= kTwoTo53 && number < kTwoTo64) {
    return format_integer(buffer, static_cast<std::uint64_t>(number));
  }
  if (number <= -kTwoTo53 && number >= -kTwoTo63) {
    return format_integer(buffer, static_cast<std::int64_t>(number));
  }
  return format_ecmascript(buffer, number);
}

struct StringSink {
  std::string& out;
  void put(char c) { out.push_back(c); }
  void put(std::string_view text) { out.append(text); }
  void put_indent(std::size_t spaces) { out.append(spaces, ' '); }
};

struct CountingSink {
  std::size_t bytes = 0;
  void put(char) { ++bytes; }
  void put(std::string_view text) { bytes += text.size(); }
  void put_indent(std::size_t spaces) { bytes += spaces; }
};

enum class Layout { kCompact, kCanonical, kPretty };

// Writes the escape of a control character, at most 6 characters, to `out`. Returns how many.
std::size_t write_escape(char* out, unsigned char c) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  static constexpr std::string_view kNamed = "\b\f\n\r\t";
  static constexpr std::string_view kNames = "bfnrt";
  out[0] = '\\';
  if (const auto at = kNamed.find(static_cast<char>(c)); at != std::string_view::npos) {
    out[1] = kNames[at];
    return 2;
  }
  out[1] = 'u';
  out[2] = out[3] = '0';
  out[4] = kHex[c >> 4];
  out[5] = kHex[c & 0x0F];
  return 6;
}

#ifdef __SSE2__
// A bit for each of 16 bytes that must be escaped.
unsigned escaped_bytes(__m128i bytes) {
  const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  // What a subtraction that stops at zero leaves of them.
  const __m128i controls =
      _mm_cmpeq_epi8(_mm_subs_epu8(bytes, _mm_set1_epi8(0x1F)), _mm_setzero_si128());
  return static_cast<unsigned>(
      _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)));
}

__m128i load16(const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
void store16(char* at, __m128i bytes) { _mm_storeu_si128(reinterpret_cast<__m128i*>(at), bytes); }

constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kBlockRoom = 7 * kBlockBytes;

// Writes the escaped form of the block at `text` to `out`, which has kBlockRoom, and returns its
// end. Reads a second block's bytes behind it. Text that is JSON itself has a quote in nearly every
// block.
char* put_block(char* out, const char* text) {
  unsigned escaped = escaped_bytes(load16(text));
  const char* const end = text + kBlockBytes;
  while (escaped != 0) {
    const int plain = std::countr_zero(escaped);
    store16(out, load16(text));
    text += plain;
    out += plain;
    const auto c = static_cast<unsigned char>(*text++);
    if (c >= 0x20) {
      *out++ = '\\';
      *out++ = static_cast<char>(c);
    } else {
      out += write_escape(out, c);
    }
    escaped >>= plain;
    escaped >>= 1;
  }
  store16(out, load16(text));
  return out + (end - text);
}
#endif

// Goes through a small buffer: most texts fit, and the sink sees few and long pieces.
template <typename Sink>
void put_string(Sink& sink, std::string_view text) {
  std::array<char, 512> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  char* const room_end = buffer.data() + buffer.size() - 8;
  char* out = buffer.data();
  const auto flush = [&] {
    sink.put(std::string_view(buffer.data(), static_cast<std::size_t>(out - buffer.data())));
    out = buffer.data();
  };
  *out++ = '"';
  std::size_t i = 0;
#ifdef __SSE2__
  for (; text.size() - i >= 2 * kBlockBytes; i += kBlockBytes) {
    if (out + kBlockRoom > room_end) flush();
    out = put_block(out, text.data() + i);
  }
#endif
  while (i < text.size()) {
    if (out > room_end) flush();
    if (text.size() - i >= 8) {
      // The builtin: a checked memcpy would be a call for every 8 bytes.
      __builtin_memcpy(out, text.data() + i, 8);
      const std::size_t plain = internal::plain_bytes(text.data() + i);
      i += plain;
      out += plain;
      if (plain == 8) continue;
      if (out > room_end) flush();
    }
    const auto c = static_cast<unsigned char>(text[i++]);
    if (c >= 0x20) {
      if (c == '"' || c == '\\') *out++ = '\\';
      *out++ = static_cast<char>(c);
    } else {
      out += write_escape(out, c);
    }
  }
  if (out > room_end) flush();
  *out++ = '"';
  flush();
}

template <typename Sink, Layout kLayout>
class Writer {
 public:
  explicit Writer(Sink& sink) : sink_(sink) {}

  void put_value(const Value& value) {
    NumberBuffer buffer;
    switch (value.kind()) {
      case boost::json::kind::null:
        return sink_.put("null");
      case boost::json::kind::bool_:
        return sink_.put(value.get_bool() ? std::string_view{"true"} : std::string_view{"false"});
      case boost::json::kind::int64:
        return sink_.put(format_integer(buffer, value.get_int64()));
      case boost::json::kind::uint64:
        return sink_.put(format_integer(buffer, value.get_uint64()));
      case boost::json::kind::double_:
        return sink_.put(format_double(buffer, value.get_double()));
      case boost::json::kind::string:
        return put_string(sink_, value.get_string());
      case boost::json::kind::array:
        return put_array(value.get_array());
      case boost::json::kind::object:
        return put_object(value.get_object());
    }
    SE_UNREACHABLE();
  }
  void put_value(const Object& object) { put_object(object); }

 private:
  void put_array(const Array& array) {
    if (array.empty()) return sink_.put("[]");
    char before = '[';
    ++depth_;
    for (const Value& element : array) {
      put_separator(before);
      put_value(element);
      before = ',';
    }
    --depth_;
    put_close(']');
  }

  void put_object(const Object& object) {
    if (object.empty()) return sink_.put("{}");
    ++depth_;
    if constexpr (kLayout == Layout::kCanonical) {
      put_members_sorted(object);
    } else {
      char before = '{';
      for (const auto& member : object) {
        put_separator(before);
        put_member(member);
        before = ',';
      }
    }
    --depth_;
    put_close('}');
  }

  void put_members_sorted(const Object& object) {
    std::vector<const boost::json::key_value_pair*> members;
    members.reserve(object.size());
    for (const auto& member : object) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
      return std::string_view{a->key()} < std::string_view{b->key()};
    });
    char before = '{';
    for (const auto* member : members) {
      put_separator(before);
      put_member(*member);
      before = ',';
    }
  }

  void put_member(const boost::json::key_value_pair& member) {
    put_string(sink_, member.key());
    sink_.put(':');
    if constexpr (kLayout == Layout::kPretty) sink_.put(' ');
    put_value(member.value());
  }

  void put_separator(char c) {
    sink_.put(c);
    put_line();
  }
  void put_close(char c) {
    put_line();
    sink_.put(c);
  }
  void put_line() {
    if constexpr (kLayout == Layout::kPretty) {
      sink_.put('\n');
      sink_.put_indent(2 * depth_);
    }
  }

  Sink& sink_;
  std::size_t depth_ = 0;
};

template <Layout kLayout, typename Any>
std::string write_as(const Any& value) {
  std::string out;
  out.reserve(256);
  StringSink sink{out};
  Writer<StringSink, kLayout>(sink).put_value(value);
  return out;
}

// The number as an integer, if it is one in the range of int64 or uint64.
struct Integer {
  bool negative = false;
  std::uint64_t magnitude = 0;
  bool operator==(const Integer&) const = default;
};

std::optional<Integer> integer_of(const Value& value) {
  const auto from_signed = [](std::int64_t number) {
    const auto bits = static_cast<std::uint64_t>(number);
    return number < 0 ? Integer{true, 0 - bits} : Integer{false, bits};
  };
  if (const auto* number = value.if_int64()) return from_signed(*number);
  if (const auto* number = value.if_uint64()) return Integer{false, *number};
  const auto* number = value.if_double();
  if (number == nullptr || std::trunc(*number) != *number) return std::nullopt;
  if (*number >= 0 && *number < kTwoTo64)
    return Integer{false, static_cast<std::uint64_t>(*number)};
  if (*number < 0 && *number >= -kTwoTo63) return from_signed(static_cast<std::int64_t>(*number));
  return std::nullopt;
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is_double() && b.is_double()) return a.get_double() == b.get_double();
  const auto left = integer_of(a);
  return left.has_value() && left == integer_of(b);
}

bool equal_objects(const Object& a, const Object& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&b](const auto& member) {
    const Value* other = b.if_contains(member.key());
    return other != nullptr && equal(member.value(), *other);
  });
}

}  // namespace

std::string write(const Value& value) { return write_as<Layout::kCompact>(value); }

std::string write(const Object& object) { return write_as<Layout::kCompact>(object); }

void write_to(std::string& out, const Value& value) {
  StringSink sink{out};
  Writer<StringSink, Layout::kCompact>(sink).put_value(value);
}

void write_to(std::string& out, const Object& object) {
  StringSink sink{out};
  Writer<StringSink, Layout::kCompact>(sink).put_value(object);
}

std::string write_canonical(const Value& value) { return write_as<Layout::kCanonical>(value); }

std::string write_pretty(const Value& value) { return write_as<Layout::kPretty>(value); }

void write_string_to(std::string& out, std::string_view text) {
  StringSink sink{out};
  put_string(sink, text);
}

std::string number_to_string(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  NumberBuffer buffer;
  return std::string{format_ecmascript(buffer, number)};
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case boost::json::kind::null:
      return true;
    case boost::json::kind::bool_:
      return a.get_bool() == b.get_bool();
    case boost::json::kind::string:
      return a.get_string() == b.get_string();
    case boost::json::kind::array:
      return std::equal(a.get_array().begin(), a.get_array().end(), b.get_array().begin(),
                        b.get_array().end(), equal);
    case boost::json::kind::object:
      return equal_objects(a.get_object(), b.get_object());
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
    case boost::json::kind::double_:
      break;  // numbers are compared above
  }
  SE_UNREACHABLE();
}

std::size_t written_bytes(const Value& value) {
  CountingSink sink;
  Writer<CountingSink, Layout::kCompact>(sink).put_value(value);
  return sink.bytes;
}

bool is_utf8(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::uint64_t word = 0;
    if (end - at >= 8 && (std::memcpy(&word, at, 8), (word & 0x8080808080808080ULL) == 0)) {
      at += 8;
      continue;
    }
    const std::size_t length = internal::utf8_length(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

const Value* find(const Object& object, std::string_view name) { return object.if_contains(name); }

std::optional<std::string> find_string(const Object& object, std::string_view name) {
  const Value* value = find(object, name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string{value->get_string()};
}

std::optional<std::int64_t> find_int(const Object& object, std::string_view name) {
  const Value* value = find(object, name);
  return value == nullptr ? std::nullopt : as_int64(*value);
}

std::optional<std::int64_t> as_int64(const Value& value) {
  const auto integer = integer_of(value);
  if (!integer.has_value()) return std::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (integer->magnitude > kMax + (integer->negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(integer->negative ? 0 - integer->magnitude : integer->magnitude);
}

std::string_view type_name(const Value& value) {
  if (value.is_number()) return "number";
  switch (value.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "boolean";
    case boost::json::kind::string:
      return "string";
    case boost::json::kind::array:
      return "array";
    default:
      return "object";
  }
}

}  // namespace state_engine::json
