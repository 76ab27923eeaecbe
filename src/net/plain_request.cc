// A strict subset of RFC 9112 that has one reading only. Whatever is not in it (a coding, an
// expectation, an upgrade, odd characters, repeated lengths, a missing or second Host, a body that
// is still on its way) is left to Beast's parser, which then decides from the first byte on. So
// this file refuses nothing, and every refusal keeps its one place.

#include "net/plain_request.h"

#include <array>
#include <charconv>
#include <cstring>

namespace state_engine::net {
namespace {

constexpr std::string_view kVersion = "HTTP/1.1\r\n";
constexpr std::size_t kMethodBytesMax = 16;
constexpr std::size_t kLengthDigitsMax = 9;
constexpr std::size_t kFieldsUsual = 12;

enum Kind : unsigned char { kName = 1, kTarget = 2, kValue = 4, kUpper = 8 };

// What each byte may be part of.
constexpr std::array<unsigned char, 256> kinds() {
  std::array<unsigned char, 256> table{};
  for (unsigned c = 0x20; c < 0x7F; ++c) table[c] = kValue;
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  for (unsigned c = 0x20; c < 0x7F; ++c) {
    const char character = static_cast<char>(c);
    if (letter_or_digit(character)) table[c] |= kName | kTarget;
    if (character >= 'A' && character <= 'Z') table[c] |= kUpper;
  }
  for (const char c : {'-', '_', '.'}) table[static_cast<unsigned char>(c)] |= kName;
  for (const char c : {'-', '_', '.', '/', '?', '=', '&', '%', '~', '+', ',', ':'}) {
    table[static_cast<unsigned char>(c)] |= kTarget;
  }
  return table;
}

constexpr std::array<unsigned char, 256> kKinds = kinds();

class Reader {
 public:
  explicit Reader(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  // The longest run of bytes of that kind; may be empty.
  std::string_view run(Kind kind) {
    const char* const start = at_;
    while (at_ < end_ && (kKinds[static_cast<unsigned char>(*at_)] & kind) != 0) ++at_;
    return {start, static_cast<std::size_t>(at_ - start)};
  }
  bool take(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size() ||
        std::memcmp(at_, text.data(), text.size()) != 0) {
      return false;
    }
    at_ += text.size();
    return true;
  }
  const char* at() const { return at_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

 private:
  const char* at_;
  const char* end_;
};

// The field without the spaces around its value.
std::string_view without_spaces(std::string_view value) {
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
  return value;
}

// What the fields say that the framing depends on.
struct Framing {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t body_bytes = 0;

  // False if the field needs the general parser.
  bool note(std::string_view name, std::string_view value) {
    switch (name.size()) {
      case 4:
        if (equals_ignoring_case(name, "host")) ++hosts;
        return true;
      case 6:
        return !equals_ignoring_case(name, "expect");
      case 7:
        return !equals_ignoring_case(name, "upgrade");
      case 10:
        return !equals_ignoring_case(name, "connection") ||
               equals_ignoring_case(value, "keep-alive");
      case 14:
        return !equals_ignoring_case(name, "content-length") || note_length(value);
      case 16:
        return !equals_ignoring_case(name, "proxy-connection");
      case 17:
        return !equals_ignoring_case(name, "transfer-encoding");
      default:
        return true;
    }
  }

  bool note_length(std::string_view digits) {
    if (++lengths > 1 || digits.empty() || digits.size() > kLengthDigitsMax) return false;
    const char* const last = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), last, body_bytes);
    return result.ec == std::errc{} && result.ptr == last;
  }
};

bool read_request_line(Reader& reader, HttpRequest& request) {
  const std::string_view method = reader.run(kUpper);
  if (method.empty() || method.size() > kMethodBytesMax || !reader.take(" ")) return false;
  const std::string_view target = reader.run(kTarget);
  if (!target.starts_with('/') || !reader.take(" ") || !reader.take(kVersion)) return false;
  request.method = method;
  request.target = target;
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  return true;
}

bool read_fields(Reader& reader, HttpRequest& request, Framing& framing) {
  request.headers.reserve(kFieldsUsual);
  while (!reader.take("\r\n")) {
    const std::string_view name = reader.run(kName);
    if (name.empty() || !reader.take(":")) return false;
    const std::string_view value = without_spaces(reader.run(kValue));
    if (!reader.take("\r\n") || !framing.note(name, value)) return false;
    request.headers.add(std::string{name}, std::string{value});
  }
  return true;
}

}  // namespace

std::size_t read_plain_request(std::string_view bytes, const PlainRequestLimits& request_limits,
                               HttpRequest& request) {
  Reader reader(bytes);
  Framing framing;
  if (!read_request_line(reader, request) || !read_fields(reader, request, framing)) return 0;
  const std::size_t head_bytes = bytes.size() - reader.left();
  // Beast decides about a head that comes close to the limit.
  if (head_bytes + 16 > request_limits.header_bytes_max || framing.hosts != 1 ||
      framing.body_bytes > request_limits.body_bytes_max || framing.body_bytes > reader.left()) {
    return 0;
  }
  request.body.assign(reader.at(), framing.body_bytes);
  return head_bytes + framing.body_bytes;
}

}  // namespace state_engine::net
