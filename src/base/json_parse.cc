// Reading JSON text: one pass, recursive descent over RFC 8259, straight into boost::json values.
//
// Not boost::json::basic_parser: this way every refusal can say at which byte it stands and what
// was expected there, duplicate keys and limits are seen before anything is built for them, and a
// number is converted once, from its whole text, by std::from_chars. Each container member is made
// first and filled in place, so that nothing is moved and a duplicate costs one hash look-up.
// Recursion is bounded by ParseLimits::depth_max.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>

#include <boost/json/monotonic_resource.hpp>
#include <fmt/format.h>

#include "base/json.h"
#include "base/json_check.h"
#include "base/json_utf8.h"

namespace state_engine::json {
namespace {

constexpr std::size_t kQuotedBytesMax = 40;  // of foreign text in an error message

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

// The beginning of `text`, cut at a character boundary, for an error message.
std::string_view excerpt(std::string_view text) {
  if (text.size() <= kQuotedBytesMax) return text;
  std::size_t end = kQuotedBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// The power of ten of the first significant digit of `text`, a JSON number; exact enough to tell
// numbers beyond the largest double from those below the smallest.
std::int64_t decimal_exponent(std::string_view text) {
  constexpr std::int64_t kFar = 1'000'000'000'000;  // beyond any text's length
  const std::size_t exponent_at = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, exponent_at);
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return -kFar;
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::int64_t place =
      static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) - (first < point ? 1 : 0);
  if (exponent_at == text.size()) return place;
  std::string_view exponent_text = text.substr(exponent_at + 1);
  if (exponent_text.front() == '+') exponent_text.remove_prefix(1);
  std::int64_t exponent = 0;
  const auto result =
      std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  if (result.ec != std::errc{} || std::abs(exponent) > kFar) {
    exponent = exponent_text.front() == '-' ? -kFar : kFar;
  }
  return place + exponent;
}

class Parser {
 public:
  Parser(std::string_view text, const ParseLimits& parse_limits)
      : begin_(text.data()),
        at_(text.data()),
        end_(text.data() + text.size()),
        limits_(parse_limits) {}

  // True on success; otherwise error() says why.
  bool parse_document(Value& out);
  Error error() && { return std::move(error_); }

 private:
  bool parse_value(Value& out, int depth);
  bool parse_object(Object& out, int depth);
  bool parse_member(Object& out, int depth);
  bool parse_array(Array& out, int depth);
  bool parse_number(Value& out);
  bool parse_integer(std::string_view text, Value& out);
  bool parse_double(std::string_view text, Value& out);
  bool parse_literal(std::string_view literal, Value value, Value& out);

  // Reads a string from its opening quote on. `out` is good until the next call.
  bool parse_string(std::string_view& out);
  bool parse_escape();
  bool parse_hex4(std::uint32_t& out);
  // Moves over plain characters. REQUIRES: inside a string.
  bool skip_plain();

  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool skip_digits() {
    const char* const start = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return at_ > start;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Each notes the first error and returns false.
  bool expected(std::string_view what);
  bool fail(const char* where, std::string message);
  bool over_limit(const char* where, std::string message);

  const char* begin_;
  const char* at_;
  const char* end_;
  const ParseLimits& limits_;
  std::size_t nodes_ = 0;
  std::string decoded_;  // the string being read, if it holds escapes
  Error error_;
};

bool Parser::fail(const char* where, std::string message) {
  error_ = invalid_argument(fmt::format("JSON, byte {}: {}", where - begin_, message));
  return false;
}

bool Parser::over_limit(const char* where, std::string message) {
  error_ = {ErrorCode::kResourceExhausted,
            fmt::format("JSON, byte {}: {}", where - begin_, message)};
  return false;
}

bool Parser::expected(std::string_view what) {
  std::string found;
  if (at_ == end_) {
    found = "the end of the text";
  } else if (const auto byte = static_cast<unsigned char>(*at_); byte > 0x20 && byte < 0x7F) {
    found = fmt::format("'{}'", *at_);
  } else {
    found = fmt::format("byte 0x{:02x}", byte);
  }
  return fail(at_, fmt::format("expected {}, found {}", what, found));
}

bool Parser::parse_document(Value& out) {
  const auto size = static_cast<std::size_t>(end_ - begin_);
  if (size > limits_.bytes_max) {
    return over_limit(
        begin_, fmt::format("the text has {} bytes; the limit is {}", size, limits_.bytes_max));
  }
  if (std::string_view{begin_, size}.starts_with("\xEF\xBB\xBF")) {
    return fail(at_, "expected a value, found a byte order mark; send UTF-8 without one");
  }
  skip_space();
  if (!parse_value(out, 0)) return false;
  skip_space();
  return at_ == end_ || expected("nothing more after the value");
}

bool Parser::parse_value(Value& out, int depth) {
  if (++nodes_ > limits_.nodes_max) {
    return over_limit(at_,
                      fmt::format("more than {} values; that is the limit", limits_.nodes_max));
  }
  if (at_ == end_) return expected("a value");
  switch (*at_) {
    case '{':
    case '[':
      if (depth >= limits_.depth_max) {
        return over_limit(at_, fmt::format("nested {} levels deep; the limit is {}", depth + 1,
                                           limits_.depth_max));
      }
      return *at_ == '{' ? parse_object(out.emplace_object(), depth + 1)
                         : parse_array(out.emplace_array(), depth + 1);
    case '"': {
      std::string_view text;
      if (!parse_string(text)) return false;
      out.emplace_string().assign(text);
      return true;
    }
    case 't':
      return parse_literal("true", true, out);
    case 'f':
      return parse_literal("false", false, out);
    case 'n':
      return parse_literal("null", nullptr, out);
    default:
      return parse_number(out);
  }
}

bool Parser::parse_object(Object& out, int depth) {
  ++at_;  // '{'
  skip_space();
  if (take('}')) return true;
  while (true) {
    if (!parse_member(out, depth)) return false;
    skip_space();
    if (take('}')) return true;
    if (!take(',')) return expected("',' or '}' after a member");
    skip_space();
  }
}

bool Parser::parse_member(Object& out, int depth) {
  const char* const start = at_;
  if (at_ == end_ || *at_ != '"') return expected("a member name in double quotes");
  std::string_view name;
  if (!parse_string(name)) return false;
  const auto [member, is_new] = out.emplace(name, nullptr);
  if (!is_new) {
    return fail(start,
                fmt::format("the member name '{}' occurs twice in one object", excerpt(name)));
  }
  skip_space();
  if (!take(':')) return expected("':' after a member name");
  skip_space();
  return parse_value(member->value(), depth);
}

bool Parser::parse_array(Array& out, int depth) {
  ++at_;  // '['
  skip_space();
  if (take(']')) return true;
  while (true) {
    if (!parse_value(out.emplace_back(nullptr), depth)) return false;
    skip_space();
    if (take(']')) return true;
    if (!take(',')) return expected("',' or ']' after an element");
    skip_space();
  }
}

bool Parser::parse_literal(std::string_view literal, Value value, Value& out) {
  for (const char c : literal) {
    if (!take(c)) return expected(fmt::format("the literal {}", literal));
  }
  out = std::move(value);
  return true;
}

bool Parser::parse_number(Value& out) {
  const char* const start = at_;
  const bool negative = take('-');
  if (!negative && (at_ == end_ || !is_digit(*at_))) return expected("a value");
  if (take('0')) {
    if (at_ < end_ && is_digit(*at_)) return expected("no digit after a leading zero");
  } else if (!skip_digits()) {
    return expected("a digit after '-'");
  }
  bool is_integer = true;
  if (take('.')) {
    is_integer = false;
    if (!skip_digits()) return expected("a digit after the decimal point");
  }
  if (take('e') || take('E')) {
    is_integer = false;
    if (!take('+')) take('-');
    if (!skip_digits()) return expected("a digit in the exponent");
  }
  const std::string_view text{start, static_cast<std::size_t>(at_ - start)};
  return is_integer ? parse_integer(text, out) : parse_double(text, out);
}

bool Parser::parse_integer(std::string_view text, Value& out) {
  const char* const last = text.data() + text.size();
  std::int64_t number = 0;
  if (std::from_chars(text.data(), last, number).ec == std::errc{}) {
    // No integer kind holds minus zero.
    if (number == 0 && text.front() == '-') {
      out = -0.0;
    } else {
      out = number;
    }
    return true;
  }
  std::uint64_t large = 0;
  if (text.front() != '-' && std::from_chars(text.data(), last, large).ec == std::errc{}) {
    out = large;
    return true;
  }
  return parse_double(text, out);
}

bool Parser::parse_double(std::string_view text, Value& out) {
  double number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec == std::errc::result_out_of_range && decimal_exponent(text) < 0) {
    number = text.front() == '-' ? -0.0 : 0.0;
  } else if (result.ec != std::errc{} || !std::isfinite(number)) {
    return fail(text.data(),
                fmt::format("the number {} is beyond what a double can hold", excerpt(text)));
  }
  out = number;
  return true;
}

bool Parser::parse_string(std::string_view& out) {
  const char* const open = at_++;
  const char* run = at_;
  bool has_escapes = false;
  while (true) {
    if (!skip_plain()) return false;
    if (*at_ == '"') break;
    if (!has_escapes) decoded_.clear();
    has_escapes = true;
    decoded_.append(run, at_);
    if (!parse_escape()) return false;
    run = at_;
  }
  out = {run, static_cast<std::size_t>(at_ - run)};
  if (has_escapes) {
    decoded_.append(out);
    out = decoded_;
  }
  ++at_;
  if (out.size() > limits_.string_bytes_max) {
    return over_limit(open, fmt::format("a string of {} bytes; the limit is {}", out.size(),
                                        limits_.string_bytes_max));
  }
  return true;
}

bool Parser::skip_plain() {
  while (true) {
    while (end_ - at_ >= 8) {
      const std::size_t plain = internal::plain_bytes(at_);
      at_ += plain;
      if (plain < 8) break;
    }
    if (at_ == end_) return expected("'\"' at the end of a string");
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte == '"' || byte == '\\') return true;
    if (byte < 0x20) {
      return fail(at_, fmt::format("a control character 0x{:02x} stands in a string; write it as "
                                   "\\u{:04x}",
                                   byte, byte));
    }
    const std::size_t length = internal::utf8_length(at_, end_);
    if (length == 0) {
      return fail(at_, fmt::format("expected UTF-8, found byte 0x{:02x} that starts no valid "
                                   "character",
                                   byte));
    }
    at_ += length;
  }
}

bool Parser::parse_hex4(std::uint32_t& out) {
  if (end_ - at_ < 4) {
    at_ = end_;
    return expected("four hexadecimal digits after \\u");
  }
  const auto result = std::from_chars(at_, at_ + 4, out, 16);
  if (result.ptr != at_ + 4) {
    at_ = result.ptr;
    return expected("four hexadecimal digits after \\u");
  }
  at_ += 4;
  return true;
}

bool Parser::parse_escape() {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kCharacters = "\"\\/\b\f\n\r\t";
  const char* const start = at_++;
  if (at_ == end_) return expected("an escape after '\\'");
  if (const std::size_t index = kNames.find(*at_); index != std::string_view::npos) {
    decoded_.push_back(kCharacters[index]);
    ++at_;
    return true;
  }
  if (!take('u')) return expected("one of \"\\/bfnrtu after '\\'");
  std::uint32_t code_point = 0;
  if (!parse_hex4(code_point)) return false;
  if (code_point >= 0xDC00 && code_point <= 0xDFFF) {
    return fail(start, "a low surrogate without the high one before it is no character");
  }
  if (code_point >= 0xD800 && code_point <= 0xDBFF) {
    std::uint32_t low = 0;
    if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
      return fail(start, "a high surrogate without the low one behind it is no character");
    }
    at_ += 2;
    if (!parse_hex4(low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) {
      return fail(start, "a high surrogate without the low one behind it is no character");
    }
    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(decoded_, code_point);
  return true;
}

}  // namespace

ParseLimits trusted_limits() {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  // Twice the nesting of a rule (operator and its argument list) and the record around it fit.
  return {.bytes_max = kNone, .depth_max = 1024, .nodes_max = kNone, .string_bytes_max = kNone};
}

Result<Value> parse(std::string_view text, const ParseLimits& parse_limits) {
  Parser parser(text, parse_limits);
  Value out;
  if (!parser.parse_document(out)) return std::move(parser).error();
  return Result<Value>(std::move(out));
}

Status check(std::string_view text, const ParseLimits& parse_limits) {
  constexpr std::size_t kOnStack = 4096;
  unsigned char buffer[kOnStack];
  boost::json::monotonic_resource memory(buffer, sizeof buffer);
  Parser parser(text, parse_limits);
  Value scratch(nullptr, boost::json::storage_ptr(&memory));
  if (!parser.parse_document(scratch)) return std::move(parser).error();
  return {};
}

}  // namespace state_engine::json
