// Keys and key patterns.
//
// A key is 1-512 bytes of [A-Za-z0-9._:/@-], for example "stream.state" or "user.fact.4711/tz".
// A pattern is a key, or a prefix followed by one trailing '*' ("user.fact.*", "*").

#ifndef STATE_ENGINE_CORE_KEYS_H_
#define STATE_ENGINE_CORE_KEYS_H_

#include <optional>
#include <string>
#include <string_view>

namespace state_engine {

// Returns what is wrong with `key`, or nothing if it is a key.
std::optional<std::string> key_fault(std::string_view key);

// True for keys that only the engine itself may write ("state-engine/...").
bool is_reserved_key(std::string_view key);

// A parsed pattern.
struct KeyPattern {
  std::string text;     // without the '*'
  bool prefix = false;  // ended in '*'

  bool matches(std::string_view key) const { return prefix ? key.starts_with(text) : key == text; }
  // Exact patterns are more specific than any prefix, longer prefixes than shorter ones.
  bool more_specific_than(const KeyPattern& other) const {
    if (prefix != other.prefix) return !prefix;
    return text.size() > other.text.size();
  }
  std::string str() const { return prefix ? text + "*" : text; }
};

// Returns the pattern, or nothing if '*' stands anywhere but at the end.
std::optional<KeyPattern> parse_pattern(std::string_view text);

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_KEYS_H_
