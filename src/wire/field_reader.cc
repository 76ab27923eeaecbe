// A field is looked up under both its names and remembered as read; what nobody read is unknown.
// Objects on this wire have few members, so the list of read ones is searched linearly.

#include "wire/field_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine::wire {
namespace {

constexpr std::size_t kDescribedBytesMax = 40;
constexpr double kSecondsMax = 1e12;  // far beyond any deadline that RFC 3339 can write

// Reads the whole of `text` as a number.
template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return number;
}

std::string_view cut(std::string_view text) {
  if (text.size() <= kDescribedBytesMax) return text;
  std::size_t end = kDescribedBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

std::string snake_case(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
  }
  return out;
}

std::string describe(const json::Value& value) {
  if (value.is_string()) {
    const std::string_view text = value.get_string();
    return fmt::format("'{}{}'", cut(text), text.size() > kDescribedBytesMax ? "..." : "");
  }
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return json::write(value);
}

std::string join(const std::vector<std::string>& faults) {
  return fmt::format("{}", fmt::join(faults, "; "));
}

FieldReader::FieldReader(const json::Object& object)
    : object_(object),
      has_snake_names_(std::any_of(object.begin(), object.end(), [](const auto& member) {
        return std::string_view(member.key()).find('_') != std::string_view::npos;
      })) {}

const json::Value* FieldReader::any(std::string_view name) {
  const json::Value* value = json::find(object_, name);
  if (has_snake_names_) {
    const std::string snake = snake_case(name);
    const json::Value* other = snake != name ? json::find(object_, snake) : nullptr;
    if (other != nullptr) {
      if (value != nullptr) {
        add_fault(fmt::format("{} is given twice, also as {}; expected one of them", name, snake));
        read_.push_back(other);
      } else {
        value = other;
      }
    }
  }
  if (value != nullptr) read_.push_back(value);
  return value;
}

const json::Value* FieldReader::not_null(std::string_view name) {
  const json::Value* value = any(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void FieldReader::wrong(std::string_view name, const json::Value& seen, std::string_view expected) {
  add_fault(fmt::format("{} is {}; expected {}", name, describe(seen), expected));
}

void FieldReader::missing(std::string_view name, std::string_view expected) {
  add_fault(fmt::format("{} is missing; expected {}", name, expected));
}

std::optional<std::string> FieldReader::text(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::string{value->get_string()};
  wrong(name, *value, "a string");
  return std::nullopt;
}

std::optional<std::int64_t> FieldReader::integer(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return std::nullopt;
  auto number =
      value->is_string() ? number_of<std::int64_t>(value->get_string()) : json::as_int64(*value);
  if (!number) wrong(name, *value, "an integer");
  return number;
}

std::optional<bool> FieldReader::flag(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->get_bool();
  wrong(name, *value, "true or false");
  return std::nullopt;
}

std::optional<Timestamp> FieldReader::time(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) {
    if (auto time = parse_rfc3339(value->get_string()); time.ok()) return *time;
  }
  wrong(name, *value, "an RFC 3339 time such as '2026-11-22T18:30:00.000Z'");
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> FieldReader::seconds(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return std::nullopt;
  std::optional<double> seconds;
  if (value->is_string()) {
    seconds = number_of<double>(value->get_string());
  } else if (value->is_number()) {
    seconds = value->to_number<double>();
  }
  // Written so that NaN fails.
  if (!seconds || !(*seconds > 0 && *seconds <= kSecondsMax)) {
    wrong(name, *value, "a number of seconds greater than 0");
    return std::nullopt;
  }
  return std::chrono::milliseconds{std::max<std::int64_t>(1, std::llround(*seconds * 1000))};
}

const json::Object* FieldReader::object(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return nullptr;
  if (value->is_object()) return &value->get_object();
  wrong(name, *value, "an object");
  return nullptr;
}

const json::Array* FieldReader::array(std::string_view name) {
  const json::Value* value = not_null(name);
  if (value == nullptr) return nullptr;
  if (value->is_array()) return &value->get_array();
  wrong(name, *value, "an array");
  return nullptr;
}

std::string FieldReader::required_text(std::string_view name) {
  const std::size_t before = faults_.size();
  auto found = text(name);
  if (!found && faults_.size() == before) missing(name, "a string");
  return std::move(found).value_or("");
}

std::int64_t FieldReader::required_integer(std::string_view name) {
  const std::size_t before = faults_.size();
  const auto found = integer(name);
  if (!found && faults_.size() == before) missing(name, "an integer");
  return found.value_or(0);
}

Timestamp FieldReader::required_time(std::string_view name) {
  const std::size_t before = faults_.size();
  const auto found = time(name);
  if (!found && faults_.size() == before) missing(name, "an RFC 3339 time");
  return found.value_or(Timestamp{});
}

Status FieldReader::status(std::string_view subject) const {
  if (faults_.empty()) return {};
  return invalid_argument(fmt::format("{}: {}", subject, join(faults_)));
}

std::vector<const boost::json::key_value_pair*> FieldReader::unread() const {
  std::vector<const boost::json::key_value_pair*> out;
  for (const auto& member : object_) {
    if (std::find(read_.begin(), read_.end(), &member.value()) == read_.end()) {
      out.push_back(&member);
    }
  }
  return out;
}

}  // namespace state_engine::wire
