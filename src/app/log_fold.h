// LogFold: the state that the log leads to, entry by entry.
//
// A value that was set is kept as its JSON text and read only when an operation needs it, since
// most are replaced unread.
//
// Threads: one.

#ifndef STATE_ENGINE_APP_LOG_FOLD_H_
#define STATE_ENGINE_APP_LOG_FOLD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "core/types.h"

namespace state_engine {

class LogFold {
 public:
  struct Value {
    std::string text;  // JSON; unused if `parsed` holds the value
    std::optional<json::Value> parsed;
    std::int64_t version = 0;

    json::Value get() const;
  };

  // Applies an accepted entry. `value`: the JSON text that was proposed, for operations with one.
  // False if it does not apply to the state before it; nothing is changed then.
  bool apply(Op op, std::string_view key, std::string_view value, std::int64_t version);

  // Keys that have a value, in order.
  std::vector<std::string_view> keys() const;

  // REQUIRES: `key` is one of keys().
  const Value& at(std::string_view key) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  std::unordered_map<std::string, Value, Hash, std::equal_to<>> values_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_LOG_FOLD_H_
