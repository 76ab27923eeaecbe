// Firestore's rules for document ids: UTF-8, at most 1,500 bytes, no slash, not "." or "..", not
// "__.*__". Ours are a little narrower, so that ids also survive URLs and consoles.

#include "store/firestore/ids.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/json.h"

namespace state_engine::firestore {
namespace {

constexpr std::size_t kPlainBytesMax = 1000;
constexpr std::string_view kHashed = "h_";
constexpr std::size_t kHashedSize = 2 + 64;

// Otherwise a key of that form and the key that hashes to it would share a document.
bool looks_hashed(std::string_view text) {
  return text.size() == kHashedSize && text.starts_with(kHashed) &&
         text.find_first_not_of("0123456789abcdef", kHashed.size()) == std::string_view::npos;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | (point >> 6U));
    put(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    put(0xE0U | (point >> 12U));
    put(0x80U | ((point >> 6U) & 0x3FU));
    put(0x80U | (point & 0x3FU));
  } else {
    put(0xF0U | (point >> 18U));
    put(0x80U | ((point >> 12U) & 0x3FU));
    put(0x80U | ((point >> 6U) & 0x3FU));
    put(0x80U | (point & 0x3FU));
  }
}

// The code point that `bytes`, one whole character, encode.
std::uint32_t code_point(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (bytes.size() == 1) return first;
  std::uint32_t point = first & (0x7FU >> bytes.size());
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    point = (point << 6U) | (static_cast<unsigned char>(bytes[i]) & 0x3FU);
  }
  return point;
}

}  // namespace

bool is_plain_id(std::string_view text) {
  if (text.empty() || text.size() > kPlainBytesMax || text == "." || text == "..") return false;
  if (text.starts_with("__") && text.ends_with("__") && text.size() >= 4) return false;
  const auto unfit = [](char c) {
    return c == '/' || c == '\x7f' || static_cast<unsigned char>(c) < 0x20;
  };
  return std::none_of(text.begin(), text.end(), unfit) && !looks_hashed(text) &&
         json::is_utf8(text);
}

std::string document_id(std::string_view original) {
  SE_ASSERT(json::is_utf8(original));
  if (is_plain_id(original)) return std::string(original);
  return std::string(kHashed) + sha256_hex(original);
}

std::string sortable(std::string_view text, std::int64_t number) {
  SE_ASSERT(number >= 0);
  return fmt::format("{}\n{:019}", text, number);
}

std::optional<std::string> after_prefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty()) {
    std::size_t start = out.size() - 1;
    while (start > 0 && is_continuation(out[start])) --start;
    std::uint32_t next = code_point(std::string_view(out).substr(start)) + 1;
    if (next == 0xD800) next = 0xE000;  // surrogates are no characters
    out.resize(start);
    if (next <= 0x10FFFF) {
      append_utf8(out, next);
      return out;
    }
  }
  return std::nullopt;
}

std::string_view utf8_beginning(std::string_view text) {
  while (!json::is_utf8(text)) text.remove_suffix(1);
  return text;
}

}  // namespace state_engine::firestore
