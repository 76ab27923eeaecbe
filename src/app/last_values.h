// LastValues: what keys held after the log entries that were read last.
//
// Who reads the log in order needs the value before each change, which the entry itself does not
// have. It is nearly always here; where it is not, the log has it.
//
// Memory is bounded: two generations of values, of which the older one is dropped when the younger
// one is full.
//
// Threads: one at a time.

#ifndef STATE_ENGINE_APP_LAST_VALUES_H_
#define STATE_ENGINE_APP_LAST_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/json.h"

namespace state_engine {

class LastValues {
 public:
  // Of one generation, counted as JSON text.
  explicit LastValues(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // What `key` holds at `version`; null if it was deleted.
  void put(const std::string& key, std::int64_t version, json::Value value);

  // The value of `key` at `version`, or nullptr if it is not known. Valid until the next call.
  const json::Value* find(const std::string& key, std::int64_t version);

 private:
  struct Held {
    std::int64_t version = 0;
    json::Value value;
  };
  using Generation = std::unordered_map<std::string, Held>;

  const std::size_t bytes_max_;
  std::size_t young_bytes_ = 0;  // of all that was put since the last change of generations
  Generation young_;
  Generation old_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_LAST_VALUES_H_
