// Keys are ASCII on purpose: no two keys look alike, and every store and bus can hold them.

#include "core/keys.h"

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine {
namespace {

bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == ':' || c == '/' || c == '@' || c == '-';
}

}  // namespace

std::optional<std::string> key_fault(std::string_view key) {
  if (key.empty()) return "key is empty; expected a name such as stream.state";
  if (key.size() > limits::kKeyBytesMax) {
    return fmt::format("key has {} bytes; at most {} are allowed", key.size(),
                       limits::kKeyBytesMax);
  }
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (is_key_char(key[i])) continue;
    return fmt::format(
        "key has the byte 0x{:02x} at position {}; allowed are A-Z a-z 0-9 . _ : / @ -",
        static_cast<unsigned char>(key[i]), i);
  }
  return std::nullopt;
}

bool is_reserved_key(std::string_view key) { return key.starts_with("state-engine/"); }

std::optional<KeyPattern> parse_pattern(std::string_view text) {
  KeyPattern pattern;
  if (text.ends_with('*')) {
    pattern.prefix = true;
    text.remove_suffix(1);
  }
  if (text.find('*') != std::string_view::npos) return std::nullopt;
  if (text.empty() && !pattern.prefix) return std::nullopt;
  pattern.text = std::string(text);
  return pattern;
}

}  // namespace state_engine
