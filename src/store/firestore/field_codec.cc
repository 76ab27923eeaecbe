// Exact text wins over the native form, and what is not there reads as absent, never as a fault.

#include "store/firestore/field_codec.h"

#include <cmath>

#include <fmt/format.h>

#include "store/firestore/value_codec.h"

namespace state_engine::firestore {
namespace {

constexpr std::int64_t kYear0Ms = -62'167'219'200'000;        // 0000-01-01T00:00:00.000Z
constexpr std::int64_t kYear9999EndMs = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z

}  // namespace

google::firestore::v1::Value& FieldWriter::field(const char* name) {
  return (*document_.mutable_fields())[name];
}

void FieldWriter::text(const char* name, std::string_view text) {
  if (!json::is_utf8(text)) {
    if (status_.ok()) {
      status_ = invalid_argument(fmt::format("{} is not UTF-8, which Firestore requires", name));
    }
    return;
  }
  field(name).set_string_value(std::string(text));
}

void FieldWriter::integer(const char* name, std::int64_t number) {
  field(name).set_integer_value(number);
}

void FieldWriter::boolean(const char* name, bool value) { field(name).set_boolean_value(value); }

void FieldWriter::null(const char* name) {
  field(name).set_null_value(google::protobuf::NULL_VALUE);
}

void FieldWriter::time(const char* name, Timestamp time) {
  const std::int64_t ms = to_ms(time);
  if (ms < kYear0Ms || ms > kYear9999EndMs) {
    integer(name, ms);
  } else {
    text(name, format_rfc3339(time));
  }
}

void FieldWriter::seconds(const char* name, std::chrono::milliseconds duration) {
  if (duration.count() % 1000 == 0) {
    integer(name, duration.count() / 1000);
  } else {
    field(name).set_double_value(static_cast<double>(duration.count()) / 1000.0);
  }
}

void FieldWriter::json(const char* name, const json::Value& value) {
  if (auto native = to_native(value)) {
    field(name) = std::move(*native);
    return;
  }
  null(name);
  text((std::string(name) + "Json").c_str(), json::write(value));
}

const google::firestore::v1::Value* FieldReader::find(const char* name) const {
  const auto item = document_.fields().find(name);
  return item != document_.fields().end() ? &item->second : nullptr;
}

std::string_view FieldReader::document_id() const {
  const std::string_view name = document_.name();
  return name.substr(name.rfind('/') + 1);
}

std::string FieldReader::text(const char* name) const {
  const auto* value = find(name);
  return value != nullptr ? value->string_value() : "";
}

std::optional<std::int64_t> FieldReader::integer(const char* name) const {
  const auto* value = find(name);
  return value != nullptr ? json::as_int64(from_native(*value)) : std::nullopt;
}

bool FieldReader::boolean(const char* name, bool otherwise) const {
  const auto* value = find(name);
  return value != nullptr && value->has_boolean_value() ? value->boolean_value() : otherwise;
}

std::optional<Timestamp> FieldReader::time(const char* name) const {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->has_integer_value()) return timestamp_from_ms(value->integer_value());
  const json::Value text = from_native(*value);  // a native timestamp becomes text
  if (!text.is_string()) return std::nullopt;
  const auto time = parse_rfc3339({text.get_string().data(), text.get_string().size()});
  return time.ok() ? std::optional(*time) : std::nullopt;
}

std::optional<std::chrono::milliseconds> FieldReader::seconds(const char* name) const {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->has_integer_value()) {
    const std::int64_t whole = value->integer_value();
    if (whole < 0 || whole > kYear9999EndMs) return std::nullopt;
    return std::chrono::milliseconds{whole * 1000};
  }
  const double fraction = value->double_value();
  if (!value->has_double_value() || !(fraction >= 0 && fraction < 1e13)) return std::nullopt;
  return std::chrono::milliseconds{std::llround(fraction * 1000.0)};
}

std::optional<json::Value> FieldReader::json(const char* name) {
  if (const auto* exact = find((std::string(name) + "Json").c_str())) {
    auto value = json::parse(exact->string_value(), json::trusted_limits());
    if (value.ok()) return std::move(*value);
    if (status_.ok()) {
      status_ = damaged(fmt::format("field {}Json: {}", name, value.error().message));
    }
    return std::nullopt;
  }
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  return from_native(*value);
}

Error FieldReader::damaged(std::string_view what) const {
  return {ErrorCode::kDataLoss,
          fmt::format("Firestore document {} is damaged: {}; mend or restore it", document_.name(),
                      what)};
}

}  // namespace state_engine::firestore
