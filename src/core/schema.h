// ValueSchema: JSON Schema draft-7 for the value of a key.
//
// Validation is valijson's. Keywords it does not know are a load error rather than silently
// ignored; `pattern` needs a maxLength beside it, since std::regex backtracks.

#ifndef STATE_ENGINE_CORE_SCHEMA_H_
#define STATE_ENGINE_CORE_SCHEMA_H_

#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace state_engine {

class ValueSchema {
 public:
  // Errors: kInvalidArgument, naming the path inside the schema and what is wrong.
  static Result<std::shared_ptr<const ValueSchema>> compile(const json::Value& schema);

  ~ValueSchema();
  ValueSchema(const ValueSchema&) = delete;
  ValueSchema& operator=(const ValueSchema&) = delete;

  // Returns what is wrong with `value` (path and expectation), or nothing. Threads: one at a time.
  std::optional<std::string> check(const json::Value& value) const;

 private:
  struct Compiled;
  explicit ValueSchema(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_SCHEMA_H_
