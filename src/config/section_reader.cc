// Typed access to JSON values that come from a person's file: every refusal names what was expected
// and what was found, and unknown names get the nearest known one as a suggestion.

#include "config/section_reader.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rules/lint.h"

namespace state_engine::config {

Path operator/(Path path, std::string_view step) {
  path.emplace_back(step);
  return path;
}

Path operator/(Path path, std::size_t index) {
  path.push_back(std::to_string(index));
  return path;
}

void SectionReader::wrong_type(const Path& path, std::string_view expected,
                               const json::Value& found) {
  fault(path, fmt::format("expected {}, found {}", expected,
                          found.is_null() ? "nothing" : json::type_name(found)));
}

const json::Object* SectionReader::object(const json::Value& value, const Path& path) {
  if (value.is_object()) return &value.get_object();
  wrong_type(path, "a map", value);
  return nullptr;
}

const json::Array* SectionReader::list(const json::Value& value, const Path& path,
                                       std::string_view of_what) {
  if (value.is_array()) return &value.get_array();
  wrong_type(path, fmt::format("a list of {}", of_what), value);
  return nullptr;
}

std::vector<std::string> SectionReader::strings(const json::Value& value, const Path& path,
                                                std::string_view of_what) {
  std::vector<std::string> out;
  const json::Array* items = list(value, path, of_what);
  if (items == nullptr) return out;
  for (std::size_t i = 0; i < items->size(); ++i) {
    const json::Value& item = (*items)[i];
    if (item.is_string()) {
      out.emplace_back(item.get_string());
    } else {
      wrong_type(path / i, "a string (quote it if it looks like a number)", item);
      out.emplace_back();  // keeps later indices right
    }
  }
  return out;
}

std::string SectionReader::text(const json::Value& value, const Path& path) {
  if (value.is_string()) return std::string(value.get_string());
  wrong_type(path, "text", value);
  return {};
}

bool SectionReader::flag(const json::Value& value, const Path& path) {
  if (value.is_bool()) return value.get_bool();
  wrong_type(path, "true or false", value);
  return false;
}

std::optional<double> SectionReader::number(const json::Value& value, const Path& path) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  wrong_type(path, "a number", value);
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> SectionReader::seconds(const json::Value& value,
                                                                const Path& path) {
  constexpr double kSecondsMax = 1e11;  // some 3,000 years
  const auto count = number(value, path);
  if (!count) return std::nullopt;
  if (!(*count > 0) || *count > kSecondsMax) {
    fault(path, fmt::format("{} is out of range; expected more than 0 seconds",
                            json::number_to_string(*count)));
    return std::nullopt;
  }
  return std::chrono::milliseconds(std::llround(*count * 1000.0));
}

void read_members(const json::Object& object, const Path& path, std::span<const SectionKey> keys,
                  SectionReader& reader) {
  std::vector<std::string_view> names;
  names.reserve(keys.size());
  for (const SectionKey& key : keys) names.push_back(key.name);
  for (const auto& member : object) {
    const std::string_view name = member.key();
    const SectionKey* known = nullptr;
    for (const SectionKey& key : keys) {
      if (key.name == name) known = &key;
    }
    if (known != nullptr) {
      known->read(member.value(), path / name);
      continue;
    }
    reader.fault(path / name, fmt::format("unknown key{}; expected {}",
                                          logic::suggestion(name, names), fmt::join(names, ", ")));
  }
}

}  // namespace state_engine::config
