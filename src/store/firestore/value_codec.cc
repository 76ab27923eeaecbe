// Firestore has one integer type (int64) and one double; JSON numbers map to the one they are.

#include "store/firestore/value_codec.h"

#include <limits>
#include <map>
#include <string>
#include <string_view>

#include "base/time.h"
#include "wire/base64.h"

namespace state_engine::firestore {
namespace {

namespace fs = google::firestore::v1;

constexpr std::size_t kNameBytesMax = 1500;

bool is_field_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  if (name.starts_with("__") && name.ends_with("__")) return false;
  return json::is_utf8(name);
}

// Fills `out`; false where there is no native form.
bool convert(const json::Value& value, fs::Value& out, int depth, std::size_t& nodes) {
  if (++nodes > kNativeNodesMax || depth > kNativeDepthMax) return false;
  switch (value.kind()) {
    case boost::json::kind::null:
      out.set_null_value(google::protobuf::NULL_VALUE);
      return true;
    case boost::json::kind::bool_:
      out.set_boolean_value(value.get_bool());
      return true;
    case boost::json::kind::int64:
      out.set_integer_value(value.get_int64());
      return true;
    case boost::json::kind::uint64:
      if (value.get_uint64() > std::numeric_limits<std::int64_t>::max()) return false;
      out.set_integer_value(static_cast<std::int64_t>(value.get_uint64()));
      return true;
    case boost::json::kind::double_:
      out.set_double_value(value.get_double());
      return true;
    case boost::json::kind::string: {
      const std::string_view text(value.get_string().data(), value.get_string().size());
      if (!json::is_utf8(text)) return false;
      out.set_string_value(std::string(text));
      return true;
    }
    case boost::json::kind::array: {
      auto& array = *out.mutable_array_value();
      for (const json::Value& item : value.get_array()) {
        if (item.is_array() || !convert(item, *array.add_values(), depth + 1, nodes)) return false;
      }
      return true;
    }
    case boost::json::kind::object: {
      auto& fields = *out.mutable_map_value()->mutable_fields();
      for (const auto& member : value.get_object()) {
        const std::string name(member.key().data(), member.key().size());
        if (!is_field_name(name) || !convert(member.value(), fields[name], depth + 1, nodes)) {
          return false;
        }
      }
      return true;
    }
  }
  return false;
}

json::Value text_value(const std::string& text) {
  return json::Value(boost::json::string_view(text.data(), text.size()));
}

}  // namespace

std::optional<fs::Value> to_native(const json::Value& value) {
  fs::Value out;
  std::size_t nodes = 0;
  if (!convert(value, out, 0, nodes)) return std::nullopt;
  return out;
}

json::Value from_native(const fs::Value& value) {
  switch (value.value_type_case()) {
    case fs::Value::kBooleanValue:
      return value.boolean_value();
    case fs::Value::kIntegerValue:
      return std::int64_t{value.integer_value()};
    case fs::Value::kDoubleValue:
      return value.double_value();
    case fs::Value::kStringValue:
      return text_value(value.string_value());
    case fs::Value::kTimestampValue:
      return text_value(format_rfc3339(timestamp_from_ms(
          value.timestamp_value().seconds() * 1000 + value.timestamp_value().nanos() / 1'000'000)));
    case fs::Value::kBytesValue:
      return text_value(wire::to_base64(value.bytes_value()));
    case fs::Value::kReferenceValue:
      return text_value(value.reference_value());
    case fs::Value::kGeoPointValue:
      return json::Object{{"latitude", value.geo_point_value().latitude()},
                          {"longitude", value.geo_point_value().longitude()}};
    case fs::Value::kArrayValue: {
      json::Array array;
      for (const fs::Value& item : value.array_value().values()) array.push_back(from_native(item));
      return array;
    }
    case fs::Value::kMapValue: {
      std::map<std::string_view, const fs::Value*> sorted;
      for (const auto& [name, item] : value.map_value().fields()) sorted.emplace(name, &item);
      json::Object object;
      for (const auto& [name, item] : sorted) object.emplace(name, from_native(*item));
      return object;
    }
    default:
      return nullptr;
  }
}

}  // namespace state_engine::firestore
