// Reflection over descriptors, both ways. Not google::protobuf::util's JSON: that prints int64 as
// text and cannot keep integers beyond 2^53 or deep values. Well-known types are told by
// descriptor.

#include "wire/message_json.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <state_engine/v1/options.pb.h>

#include "base/time.h"
#include "wire/base64.h"
#include "wire/field_reader.h"

namespace state_engine::wire {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;

constexpr int kValueDepthMax = 30;  // protobuf's parsers stop at 100 messages, three a level
constexpr std::int64_t kExactIntegerMax = std::int64_t{1} << 53;

enum class Kind { kValue, kStruct, kTimestamp, kOther };

Kind kind_of(const pb::Descriptor& type) {
  if (&type == pb::Value::descriptor()) return Kind::kValue;
  if (&type == pb::Struct::descriptor()) return Kind::kStruct;
  if (&type == pb::Timestamp::descriptor()) return Kind::kTimestamp;
  return Kind::kOther;
}

// The bytes field beside a Value or Struct field that holds what those cannot, if there is one.
const FieldDescriptor* companion_of(const FieldDescriptor& field) {
  return field.containing_type()->FindFieldByName(std::string{field.name()} + "_json");
}

Error wrong(const FieldDescriptor& field, const json::Value& seen, std::string_view expected) {
  return invalid_argument(
      fmt::format("{} is {}; expected {}", field.json_name(), describe(seen), expected));
}

// ---------------------------------------------------------------------------------------------
// JSON to message.

// True if google.protobuf.Value holds `value` without loss.
bool fits_value(const json::Value& value, int depth) {
  if (const auto* number = value.if_int64()) {
    return *number <= kExactIntegerMax && *number >= -kExactIntegerMax;
  }
  if (value.is_uint64()) return false;
  if (const auto* number = value.if_double()) return std::isfinite(*number);
  if (value.is_primitive()) return true;
  if (depth >= kValueDepthMax) return false;
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) {
      if (!fits_value(element, depth + 1)) return false;
    }
    return true;
  }
  for (const auto& member : value.get_object()) {
    if (!fits_value(member.value(), depth + 1)) return false;
  }
  return true;
}

void fill_struct(const json::Object& object, pb::Struct& out);

void fill_value(const json::Value& value, pb::Value& out) {
  if (value.is_null()) return out.set_null_value(pb::NULL_VALUE);
  if (value.is_bool()) return out.set_bool_value(value.get_bool());
  if (value.is_number()) return out.set_number_value(value.to_number<double>());
  if (const auto* text = value.if_string()) {
    return out.set_string_value(std::string{text->data(), text->size()});
  }
  if (const auto* array = value.if_array()) {
    pb::ListValue& list = *out.mutable_list_value();
    for (const auto& element : *array) fill_value(element, *list.add_values());
    return;
  }
  fill_struct(value.get_object(), *out.mutable_struct_value());
}

void fill_struct(const json::Object& object, pb::Struct& out) {
  for (const auto& member : object) {
    fill_value(member.value(), (*out.mutable_fields())[std::string{member.key()}]);
  }
}

Status fill_timestamp(const FieldDescriptor& field, const json::Value& value, pb::Timestamp& out) {
  if (!value.is_string()) return wrong(field, value, "an RFC 3339 time");
  const auto time = parse_rfc3339(value.get_string());
  if (!time.ok()) return wrong(field, value, "an RFC 3339 time");
  const std::int64_t ms = to_ms(*time);
  const std::int64_t remainder = ((ms % 1000) + 1000) % 1000;
  out.set_seconds((ms - remainder) / 1000);
  out.set_nanos(static_cast<std::int32_t>(remainder * 1'000'000));
  return {};
}

// Values and structs go into the message or, if they would lose something there, into the
// companion.
Status fill_exact(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool is_struct = kind_of(*field.message_type()) == Kind::kStruct;
  if (is_struct && !value.is_object()) return wrong(field, value, "an object");
  const FieldDescriptor* const companion = field.is_repeated() ? nullptr : companion_of(field);
  if (!fits_value(value, 0)) {
    if (companion == nullptr) {
      return wrong(field, value, "integers up to 2^53 and at most 30 levels");
    }
    reflection.SetString(&message, companion, json::write(value));
    return {};
  }
  pb::Message* const target = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                                  : reflection.MutableMessage(&message, &field);
  if (is_struct) {
    fill_struct(value.get_object(), *pb::DynamicCastToGenerated<pb::Struct>(target));
  } else {
    fill_value(value, *pb::DynamicCastToGenerated<pb::Value>(target));
  }
  return {};
}

Status fill_message_field(const FieldDescriptor& field, const json::Value& value,
                          pb::Message& message) {
  const Kind kind = kind_of(*field.message_type());
  if (kind == Kind::kValue || kind == Kind::kStruct) return fill_exact(field, value, message);
  const pb::Reflection& reflection = *message.GetReflection();
  pb::Message* const target = field.is_repeated() ? reflection.AddMessage(&message, &field)
                                                  : reflection.MutableMessage(&message, &field);
  if (kind == Kind::kTimestamp) {
    return fill_timestamp(field, value, *pb::DynamicCastToGenerated<pb::Timestamp>(target));
  }
  if (!value.is_object()) return wrong(field, value, "an object");
  if (Status status = json_to_message(value.get_object(), *target); !status.ok()) {
    return invalid_argument(fmt::format("{}: {}", field.json_name(), status.error().message));
  }
  return {};
}

std::optional<std::int64_t> integer_of(const json::Value& value) {
  if (!value.is_string()) return json::as_int64(value);
  const std::string_view text = value.get_string();
  std::int64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

Status fill_integer(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  const auto number = integer_of(value);
  if (!number) return wrong(field, value, "an integer");
  const pb::Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    reflection.SetInt64(&message, &field, *number);
    return {};
  }
  if (*number < std::numeric_limits<std::int32_t>::min() ||
      *number > std::numeric_limits<std::int32_t>::max()) {
    return wrong(field, value, "a 32-bit integer");
  }
  reflection.SetInt32(&message, &field, static_cast<std::int32_t>(*number));
  return {};
}

Status fill_string(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  if (!value.is_string()) return wrong(field, value, "a string");
  std::string text{value.get_string()};
  if (field.type() == FieldDescriptor::TYPE_BYTES) {
    auto bytes = from_base64(text);
    if (!bytes) return wrong(field, value, "base64");
    text = std::move(*bytes);
  }
  message.GetReflection()->SetString(&message, &field, std::move(text));
  return {};
}

Status fill_enum(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  if (value.is_string()) {
    if (const auto* found = field.enum_type()->FindValueByName(std::string{value.get_string()})) {
      message.GetReflection()->SetEnum(&message, &field, found);
      return {};
    }
  }
  return wrong(field, value, fmt::format("a value of {}", field.enum_type()->name()));
}

Status fill_field(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return fill_integer(field, value, message);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!value.is_number()) return wrong(field, value, "a number");
      reflection.SetDouble(&message, &field, value.to_number<double>());
      return {};
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!value.is_bool()) return wrong(field, value, "true or false");
      reflection.SetBool(&message, &field, value.get_bool());
      return {};
    case FieldDescriptor::CPPTYPE_STRING:
      return fill_string(field, value, message);
    case FieldDescriptor::CPPTYPE_ENUM:
      return fill_enum(field, value, message);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return fill_message_field(field, value, message);
    default:
      SE_UNREACHABLE();  // no schema of this project has other types
  }
}

// Lists of messages only: no schema has a list of scalars.
Status fill_list(const FieldDescriptor& field, const json::Value& value, pb::Message& message) {
  if (!value.is_array()) return wrong(field, value, "an array");
  for (const json::Value& element : value.get_array()) {
    SE_RETURN_IF_ERROR(fill_message_field(field, element, message));
  }
  return {};
}

// ---------------------------------------------------------------------------------------------
// Message to JSON.

Result<json::Value> value_to_json(const pb::Value& value);

Result<json::Object> struct_to_json(const pb::Struct& object) {
  json::Object out;
  for (const auto& [name, member] : object.fields()) {
    auto value = value_to_json(member);
    if (!value.ok()) return std::move(value).error();
    out.emplace(name, std::move(value).value());
  }
  return out;
}

Result<json::Value> list_to_json(const pb::ListValue& list) {
  json::Array out;
  for (const pb::Value& element : list.values()) {
    auto value = value_to_json(element);
    if (!value.ok()) return std::move(value).error();
    out.push_back(std::move(value).value());
  }
  return json::Value(std::move(out));
}

// Integral numbers become integers again, so that 1 stays "1" whatever way it came.
json::Value number_to_json(double number) {
  if (std::trunc(number) == number && std::fabs(number) <= static_cast<double>(kExactIntegerMax) &&
      !(number == 0 && std::signbit(number))) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}

Result<json::Value> value_to_json(const pb::Value& value) {
  switch (value.kind_case()) {
    case pb::Value::kBoolValue:
      return json::Value(value.bool_value());
    case pb::Value::kNumberValue:
      if (!std::isfinite(value.number_value())) {
        return invalid_argument("a number is not finite; JSON has no such number");
      }
      return number_to_json(value.number_value());
    case pb::Value::kStringValue:
      return json::Value(boost::json::string(value.string_value()));
    case pb::Value::kListValue:
      return list_to_json(value.list_value());
    case pb::Value::kStructValue: {
      auto object = struct_to_json(value.struct_value());
      if (!object.ok()) return std::move(object).error();
      return json::Value(std::move(object).value());
    }
    case pb::Value::kNullValue:
    case pb::Value::KIND_NOT_SET:
      return json::Value(nullptr);
  }
  SE_UNREACHABLE();
}

Result<json::Value> timestamp_to_json(const pb::Timestamp& time) {
  constexpr std::int64_t kFirst = -62'135'596'800;  // year 1
  constexpr std::int64_t kLast = 253'402'300'799;   // year 9999
  if (time.seconds() < kFirst || time.seconds() > kLast || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return invalid_argument("a time is outside of the years 1 to 9999");
  }
  const Timestamp timestamp = timestamp_from_ms(time.seconds() * 1000 + time.nanos() / 1'000'000);
  return json::Value(boost::json::string(format_rfc3339(timestamp)));
}

Result<json::Value> submessage_to_json(const pb::Message& message) {
  switch (kind_of(*message.GetDescriptor())) {
    case Kind::kValue:
      return value_to_json(*pb::DynamicCastToGenerated<pb::Value>(&message));
    case Kind::kTimestamp:
      return timestamp_to_json(*pb::DynamicCastToGenerated<pb::Timestamp>(&message));
    case Kind::kStruct: {
      auto object = struct_to_json(*pb::DynamicCastToGenerated<pb::Struct>(&message));
      if (!object.ok()) return std::move(object).error();
      return json::Value(std::move(object).value());
    }
    case Kind::kOther: {
      auto object = message_to_json(message);
      if (!object.ok()) return std::move(object).error();
      return json::Value(std::move(object).value());
    }
  }
  SE_UNREACHABLE();
}

Result<json::Value> field_to_json(const FieldDescriptor& field, const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return json::Value(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return json::Value(std::int64_t{reflection.GetInt64(message, &field)});
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_to_json(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return json::Value(reflection.GetBool(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return json::Value(boost::json::string(reflection.GetString(message, &field)));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = reflection.GetEnumValue(message, &field);
      const auto* const value = field.enum_type()->FindValueByNumber(number);
      if (value == nullptr) {
        return invalid_argument(fmt::format("{} is the number {}, which no value of {} has",
                                            field.json_name(), number, field.enum_type()->name()));
      }
      return json::Value(boost::json::string(value->name()));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return submessage_to_json(reflection.GetMessage(message, &field));
    default:
      SE_UNREACHABLE();  // no schema of this project has other types
  }
}

Result<json::Value> list_field_to_json(const FieldDescriptor& field, const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  json::Array out;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    auto element = submessage_to_json(reflection.GetRepeatedMessage(message, &field, i));
    if (!element.ok()) return std::move(element).error();
    out.push_back(std::move(element).value());
  }
  return json::Value(std::move(out));
}

// True if the field's JSON form is left out of `message`'s.
bool is_left_out(const FieldDescriptor& field, const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  const auto& options = field.options();
  if (options.GetExtension(v1::binary_only)) return true;
  if (field.is_repeated()) {
    return options.GetExtension(v1::absent_when_empty) &&
           reflection.FieldSize(message, &field) == 0;
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return reflection.GetEnumValue(message, &field) == 0;
  }
  if (!field.has_presence() || reflection.HasField(message, &field)) return false;
  if (field.has_optional_keyword()) return !options.GetExtension(v1::null_when_absent);
  // An absent message that should be there: only values have a neutral form, null and {}.
  const Kind kind = kind_of(*field.message_type());
  return kind == Kind::kTimestamp || kind == Kind::kOther;
}

Status put_field(const FieldDescriptor& field, const pb::Message& message, json::Object& out) {
  const pb::Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* const companion = companion_of(field);
  Result<json::Value> value = json::Value(nullptr);
  if (companion != nullptr && reflection.HasField(message, companion)) {
    value = json::parse(reflection.GetString(message, companion));
  } else if (is_left_out(field, message)) {
    return {};
  } else if (field.is_repeated()) {
    value = list_field_to_json(field, message);
  } else if (!field.has_optional_keyword() || reflection.HasField(message, &field)) {
    value = field_to_json(field, message);
  }
  if (!value.ok()) {
    return invalid_argument(fmt::format("{}: {}", field.json_name(), value.error().message));
  }
  out.emplace(field.json_name(), std::move(value).value());
  return {};
}

}  // namespace

Status json_to_message(const json::Object& object, pb::Message& message) {
  const pb::Descriptor& type = *message.GetDescriptor();
  for (const auto& member : object) {
    const std::string name{member.key()};
    const FieldDescriptor* field = type.FindFieldByCamelcaseName(name);
    if (field == nullptr) field = type.FindFieldByName(name);
    if (field == nullptr) {
      return invalid_argument(fmt::format("{} has no field {}", type.name(), name));
    }
    const bool takes_null = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                            kind_of(*field->message_type()) == Kind::kValue;
    if (member.value().is_null() && !takes_null) continue;
    SE_RETURN_IF_ERROR(field->is_repeated() ? fill_list(*field, member.value(), message)
                                            : fill_field(*field, member.value(), message));
  }
  return {};
}

Result<json::Object> message_to_json(const pb::Message& message) {
  json::Object out;
  const pb::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    SE_RETURN_IF_ERROR(put_field(*type.field(i), message, out));
  }
  return out;
}

}  // namespace state_engine::wire
