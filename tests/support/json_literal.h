// JSON in tests: R"({"a": 1})"_json, read by the same parser as the product's input.

#ifndef STATE_ENGINE_TESTS_SUPPORT_JSON_LITERAL_H_
#define STATE_ENGINE_TESTS_SUPPORT_JSON_LITERAL_H_

#include <string_view>

#include "base/json.h"

namespace state_engine::testing {

// REQUIRES: `text` is JSON within the trusted limits.
inline json::Value json_of(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  SE_ASSERT(value.ok());
  return *value;
}

inline json::Value operator""_json(const char* text, std::size_t size) {
  return json_of({text, size});
}

}  // namespace state_engine::testing

#endif  // STATE_ENGINE_TESTS_SUPPORT_JSON_LITERAL_H_
