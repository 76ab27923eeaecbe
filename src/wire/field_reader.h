// FieldReader: reads the fields of one JSON object and collects everything that is wrong with them.
//
// Each reader takes the JSON name of a field and also finds it under its snake_case name, as
// protobuf's JSON mapping asks. Null counts as absent, except for `any`. A fault names the field,
// what was seen and what was expected. The object outlives the reader.

#ifndef STATE_ENGINE_WIRE_FIELD_READER_H_
#define STATE_ENGINE_WIRE_FIELD_READER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace state_engine::wire {

class FieldReader {
 public:
  explicit FieldReader(const json::Object& object);

  // Absent if the field is missing, null or faulty; a wrong type is noted as a fault.
  std::optional<std::string> text(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name);  // a number or a decimal string
  std::optional<bool> flag(std::string_view name);
  std::optional<Timestamp> time(std::string_view name);
  std::optional<std::chrono::milliseconds> seconds(std::string_view name);
  const json::Object* object(std::string_view name);
  const json::Array* array(std::string_view name);

  // The field whatever it holds, null included; nullptr if missing.
  const json::Value* any(std::string_view name);

  // As above, and a missing field is a fault, for fields that are never zero or empty: protobuf's
  // JSON printers leave those out. The fallback is an empty value.
  std::string required_text(std::string_view name);
  std::int64_t required_integer(std::string_view name);
  Timestamp required_time(std::string_view name);

  void add_fault(std::string fault) { faults_.push_back(std::move(fault)); }
  std::vector<std::string>& faults() { return faults_; }

  // All faults in one sentence, behind `subject`; success if there are none.
  Status status(std::string_view subject) const;

  // The members that no reader asked for, in their order.
  std::vector<const boost::json::key_value_pair*> unread() const;

 private:
  const json::Value* not_null(std::string_view name);
  void wrong(std::string_view name, const json::Value& seen, std::string_view expected);
  void missing(std::string_view name, std::string_view expected);

  const json::Object& object_;
  bool has_snake_names_;  // if none of the members does, none is looked up
  std::vector<const json::Value*> read_;
  std::vector<std::string> faults_;
};

// "expectedVersion" -> "expected_version".
std::string snake_case(std::string_view name);

// What stands in a field, for a fault: "null", "true", "7", "'text'", "an array".
std::string describe(const json::Value& value);

// "a; b; c".
std::string join(const std::vector<std::string>& faults);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_FIELD_READER_H_
