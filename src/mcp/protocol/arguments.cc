// Hand-typed reading instead of a schema validator: its messages are written for a model, and tell
// every fault at once.

#include "mcp/protocol/arguments.h"

#include <algorithm>

namespace state_engine::mcp {
namespace {

// At most this many faults are told; more would not help a model.
constexpr std::size_t kFaultsMax = 8;

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string_to(out, text);
  return out;
}

std::string shown(const json::Value& value) {
  constexpr std::size_t kShownBytesMax = 60;
  if (value.is_object() || value.is_array()) return std::string{json::type_name(value)};
  std::string text = json::write(value);
  if (text.size() > kShownBytesMax) return std::string{json::type_name(value)};
  return std::string{json::type_name(value)} + " " + text;
}

}  // namespace

ArgumentReader::ArgumentReader(const json::Object& arguments, std::string_view tool,
                               std::string path)
    : arguments_(arguments), tool_(tool), path_(std::move(path)) {}

void ArgumentReader::add_fault(std::string_view name, std::string_view expected) {
  faults_.push_back("'" + path_ + std::string{name} + "' " + std::string{expected});
}

void ArgumentReader::add_faults_of(ArgumentReader& nested) {
  nested.check_unknown();
  for (std::string& fault : nested.faults_) faults_.push_back(std::move(fault));
  nested.faults_.clear();
}

void ArgumentReader::wrong_type(std::string_view name, std::string_view expected,
                                const json::Value& seen) {
  add_fault(name, "must be " + std::string{expected} + ", got " + shown(seen));
}

bool ArgumentReader::has(std::string_view name) const { return arguments_.contains(name); }

const json::Value* ArgumentReader::take(std::string_view name) {
  known_.push_back(name);
  return arguments_.if_contains(name);
}

const json::Value* ArgumentReader::take_present(std::string_view name) {
  const json::Value* value = take(name);
  return value && !value->is_null() ? value : nullptr;
}

const json::Value* ArgumentReader::take_required(std::string_view name, std::string_view expected) {
  const json::Value* value = take(name);
  if (!value) add_fault(name, "is required: " + std::string{expected});
  return value;
}

std::string ArgumentReader::checked_string(std::string_view name, const json::Value& value,
                                           const StringRule& rule, bool& good) {
  good = false;
  if (!value.is_string()) {
    wrong_type(name, "a string", value);
    return {};
  }
  std::string text{std::string_view{value.get_string()}};
  if (text.size() < rule.bytes_min) {
    add_fault(name, text.empty() ? "must not be empty"
                                 : "must have at least " + std::to_string(rule.bytes_min) +
                                       " bytes, got " + std::to_string(text.size()));
    return {};
  }
  if (text.size() > rule.bytes_max) {
    add_fault(name, "must have at most " + std::to_string(rule.bytes_max) + " bytes, got " +
                        std::to_string(text.size()));
    return {};
  }
  if (!rule.one_of.empty() &&
      std::find(rule.one_of.begin(), rule.one_of.end(), text) == rule.one_of.end()) {
    std::string allowed;
    for (const std::string_view choice : rule.one_of) {
      allowed.append(allowed.empty() ? "" : ", ").append(quoted(choice));
    }
    add_fault(name, "must be one of " + allowed + "; got " + shown(value));
    return {};
  }
  good = true;
  return text;
}

std::string ArgumentReader::required_string(std::string_view name, const StringRule& rule) {
  const json::Value* value = take_required(name, "a string");
  bool good = false;
  return value ? checked_string(name, *value, rule, good) : std::string{};
}

std::optional<std::string> ArgumentReader::optional_string(std::string_view name,
                                                           const StringRule& rule) {
  const json::Value* value = take_present(name);
  if (!value) return std::nullopt;
  bool good = false;
  std::string text = checked_string(name, *value, rule, good);
  return good ? std::optional{std::move(text)} : std::nullopt;
}

std::int64_t ArgumentReader::required_int(std::string_view name, std::int64_t min,
                                          std::int64_t max) {
  if (!take_required(name, "an integer")) return 0;
  if (arguments_.at(name).is_null()) {
    wrong_type(name, "an integer", arguments_.at(name));
    return 0;
  }
  return optional_int(name, min, max).value_or(0);
}

std::optional<std::int64_t> ArgumentReader::optional_int(std::string_view name, std::int64_t min,
                                                         std::int64_t max) {
  const json::Value* value = take_present(name);
  if (!value) return std::nullopt;
  const auto number = value->is_number() ? json::as_int64(*value) : std::nullopt;
  if (!number) {
    wrong_type(name, "an integer", *value);
    return std::nullopt;
  }
  if (*number < min || *number > max) {
    const bool open_above = max == std::numeric_limits<std::int64_t>::max();
    add_fault(name,
              (open_above ? "must be at least " + std::to_string(min)
                          : "must be from " + std::to_string(min) + " to " + std::to_string(max)) +
                  ", got " + std::to_string(*number));
    return std::nullopt;
  }
  return number;
}

std::optional<double> ArgumentReader::optional_number(std::string_view name) {
  const json::Value* value = take_present(name);
  if (!value) return std::nullopt;
  if (!value->is_number()) {
    wrong_type(name, "a number", *value);
    return std::nullopt;
  }
  return value->to_number<double>();
}

std::optional<bool> ArgumentReader::optional_bool(std::string_view name) {
  const json::Value* value = take_present(name);
  if (!value) return std::nullopt;
  if (!value->is_bool()) {
    wrong_type(name, "true or false", *value);
    return std::nullopt;
  }
  return value->get_bool();
}

const json::Value* ArgumentReader::required_value(std::string_view name) {
  return take_required(name, "any JSON value");
}

const json::Value* ArgumentReader::optional_value(std::string_view name) { return take(name); }

const json::Object* ArgumentReader::optional_object(std::string_view name) {
  const json::Value* value = take_present(name);
  if (!value) return nullptr;
  if (!value->is_object()) wrong_type(name, "an object", *value);
  return value->if_object();
}

std::optional<std::vector<std::string>> ArgumentReader::checked_list(std::string_view name,
                                                                     const json::Value& value,
                                                                     const StringListRule& rule) {
  if (!value.is_array()) {
    wrong_type(name, "an array of strings", value);
    return std::nullopt;
  }
  const json::Array& array = value.get_array();
  if (array.size() < rule.items_min || array.size() > rule.items_max) {
    add_fault(name, "must have " + std::to_string(rule.items_min) + " to " +
                        std::to_string(rule.items_max) + " items, got " +
                        std::to_string(array.size()));
    return std::nullopt;
  }
  std::vector<std::string> list;
  list.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    const json::Value& item = array[i];
    if (item.is_string() && item.get_string().size() <= rule.item_bytes_max) {
      list.emplace_back(std::string_view{item.get_string()});
      continue;
    }
    const std::string item_name = std::string{name} + "[" + std::to_string(i) + "]";
    bool good = false;
    checked_string(item_name, item, {0, rule.item_bytes_max, {}}, good);
    return std::nullopt;
  }
  return list;
}

std::vector<std::string> ArgumentReader::required_string_list(std::string_view name,
                                                              const StringListRule& rule) {
  const json::Value* value = take_required(name, "an array of strings");
  if (!value) return {};
  return checked_list(name, *value, rule).value_or(std::vector<std::string>{});
}

std::optional<std::vector<std::string>> ArgumentReader::optional_string_list(
    std::string_view name, const StringListRule& rule) {
  const json::Value* value = take_present(name);
  if (!value) return std::nullopt;
  return checked_list(name, *value, rule);
}

std::vector<const json::Object*> ArgumentReader::required_object_list(std::string_view name,
                                                                      std::size_t items_min,
                                                                      std::size_t items_max) {
  const json::Value* value = take_required(name, "an array of objects");
  if (!value) return {};
  if (!value->is_array()) {
    wrong_type(name, "an array of objects", *value);
    return {};
  }
  const json::Array& array = value->get_array();
  if (array.size() < items_min || array.size() > items_max) {
    add_fault(name, "must have " + std::to_string(items_min) + " to " + std::to_string(items_max) +
                        " items, got " + std::to_string(array.size()));
    return {};
  }
  std::vector<const json::Object*> objects;
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!array[i].is_object()) {
      wrong_type(std::string{name} + "[" + std::to_string(i) + "]", "an object", array[i]);
      return {};
    }
    objects.push_back(&array[i].get_object());
  }
  return objects;
}

void ArgumentReader::check_unknown() {
  std::string unknown;
  for (const auto& member : arguments_) {
    if (std::find(known_.begin(), known_.end(), std::string_view{member.key()}) == known_.end()) {
      unknown.append(unknown.empty() ? "'" : ", '").append(path_);
      unknown.append(std::string_view{member.key()}.substr(0, 100)).append("'");
    }
  }
  if (unknown.empty()) return;
  std::string allowed;
  for (const std::string_view name : known_) {
    if (allowed.find("'" + std::string{name} + "'") != std::string::npos) continue;
    allowed.append(allowed.empty() ? "'" : ", '").append(name).append("'");
  }
  faults_.push_back("unknown argument " + unknown +
                    "; allowed: " + (allowed.empty() ? std::string{"none"} : allowed));
}

std::optional<std::string> ArgumentReader::finish() {
  check_unknown();
  if (faults_.empty()) return std::nullopt;
  std::string text = "invalid arguments for " + tool_ + ": ";
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    if (i == kFaultsMax) {
      text += "; and " + std::to_string(faults_.size() - i) + " more";
      break;
    }
    if (i > 0) text += "; ";
    text += faults_[i];
  }
  text += ". Correct the arguments and call " + tool_ + " again.";
  return text;
}

}  // namespace state_engine::mcp
