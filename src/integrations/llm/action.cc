// Arguments are checked by hand rather than by a schema validator: the schema that a model sees is
// made from the same few fields, and the faults are worded for a model.

#include "integrations/llm/action.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace state_engine::llm {
namespace {

using Type = ActionParameter::Type;

std::string_view to_string(Type type) {
  switch (type) {
    case Type::kString:
      return "string";
    case Type::kInteger:
      return "integer";
    case Type::kNumber:
      return "number";
    case Type::kBoolean:
      return "boolean";
  }
  SE_UNREACHABLE();
}

json::Object schema_of(const ActionParameter& parameter) {
  json::Object out{{"type", to_string(parameter.type)}};
  if (!parameter.description.empty()) out["description"] = parameter.description;
  if (parameter.type == Type::kString) {
    if (parameter.one_of.empty()) {
      out["maxLength"] = parameter.length_max;
    } else {
      json::Array values;
      for (const std::string& value : parameter.one_of) values.push_back(json::Value(value));
      out["enum"] = std::move(values);
    }
  }
  if (parameter.minimum) out["minimum"] = *parameter.minimum;
  if (parameter.maximum) out["maximum"] = *parameter.maximum;
  return out;
}

std::optional<std::string> text_fault(const ActionParameter& parameter, std::string_view text) {
  if (!parameter.one_of.empty()) {
    if (std::find(parameter.one_of.begin(), parameter.one_of.end(), text) !=
        parameter.one_of.end()) {
      return std::nullopt;
    }
    return fmt::format("must be one of {}", fmt::join(parameter.one_of, ", "));
  }
  if (text.empty()) return "must not be empty";
  if (text.size() > parameter.length_max) {
    return fmt::format("has {} bytes, at most {} are allowed", text.size(), parameter.length_max);
  }
  return std::nullopt;
}

std::optional<std::string> number_fault(const ActionParameter& parameter,
                                        const json::Value& value) {
  if (parameter.type == Type::kInteger && !json::as_int64(value)) return "must be a whole number";
  if (!value.is_number()) return "must be a number";
  const double number = value.to_number<double>();
  if (parameter.minimum && number < *parameter.minimum) {
    return fmt::format("must be at least {}", *parameter.minimum);
  }
  if (parameter.maximum && number > *parameter.maximum) {
    return fmt::format("must be at most {}", *parameter.maximum);
  }
  return std::nullopt;
}

std::optional<std::string> value_fault(const ActionParameter& parameter, const json::Value& value) {
  switch (parameter.type) {
    case Type::kString:
      if (!value.is_string()) return "must be a string";
      return text_fault(parameter, value.get_string());
    case Type::kBoolean:
      if (!value.is_bool()) return "must be true or false";
      return std::nullopt;
    case Type::kInteger:
    case Type::kNumber:
      return number_fault(parameter, value);
  }
  SE_UNREACHABLE();
}

void add_fault(std::string& faults, std::string_view name, std::string_view what) {
  if (!faults.empty()) faults += "; ";
  faults += fmt::format("'{}' {}", cut_text(name, 64), what);
}

}  // namespace

ToolSpec spec_of(const Action& action) {
  json::Object properties;
  json::Array required;
  for (const ActionParameter& parameter : action.parameters) {
    properties[parameter.name] = schema_of(parameter);
    if (!parameter.optional) required.push_back(json::Value(parameter.name));
  }
  ToolSpec spec{action.name, action.description, {}};
  spec.parameters = json::Object{{"type", "object"},
                                 {"properties", std::move(properties)},
                                 {"required", std::move(required)},
                                 {"additionalProperties", false}};
  return spec;
}

Result<json::Object> read_arguments(const Action& action, std::string_view text) {
  // Without parameters some models send nothing at all.
  const auto parsed = json::parse(text.empty() ? "{}" : text);
  if (!parsed.ok() || !parsed->is_object()) {
    return invalid_argument("the arguments are no JSON object" +
                            (parsed.ok() ? std::string{} : ": " + parsed.error().message));
  }
  const json::Object& arguments = parsed->get_object();
  std::string faults;
  for (const ActionParameter& parameter : action.parameters) {
    const json::Value* const value = json::find(arguments, parameter.name);
    if (value == nullptr || value->is_null()) {
      if (!parameter.optional) add_fault(faults, parameter.name, "is missing");
    } else if (const auto fault = value_fault(parameter, *value)) {
      add_fault(faults, parameter.name, *fault);
    }
  }
  for (const auto& member : arguments) {
    const bool known = std::any_of(action.parameters.begin(), action.parameters.end(),
                                   [&](const ActionParameter& parameter) {
                                     return parameter.name == std::string_view(member.key());
                                   });
    if (!known) add_fault(faults, member.key(), "is not a parameter");
  }
  if (!faults.empty()) return invalid_argument(std::move(faults));
  return arguments;
}

json::Array fill_writes(const Action& action, const ChatMessage& chat,
                        const json::Object& arguments, const Reading& reading) {
  json::Array out;
  for (const ActionWrite& write : action.writes) {
    const std::string key = fill_key(write.key, chat, arguments);
    json::Object member{{"key", key}, {"op", write.op}};
    if (write.op != "delete") member["value"] = fill_value(write.value, chat, arguments);
    if (write.ttl_seconds) member["ttl"] = *write.ttl_seconds;
    if (write.expect_version) {
      const auto found = reading.present.find(key);
      member["expectedVersion"] = found != reading.present.end() ? found->second.version : 0;
    }
    out.push_back(std::move(member));
  }
  return out;
}

std::vector<std::string> keys_of(const Action& action, const ChatMessage& chat,
                                 const json::Object& arguments) {
  std::vector<std::string> keys;
  const auto add = [&](std::string key) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  };
  for (const Requirement& requirement : action.requirements) add(requirement.key);
  for (const ActionWrite& write : action.writes) add(fill_key(write.key, chat, arguments));
  return keys;
}

bool may_ask(const Action& action, const ChatMessage& chat) {
  if (action.roles.empty() || chat.from_operator) return true;
  return std::any_of(action.roles.begin(), action.roles.end(), [&](const std::string& role) {
    return std::find(chat.roles.begin(), chat.roles.end(), role) != chat.roles.end();
  });
}

bool is_already_so(const json::Array& writes, const Reading& reading) {
  return std::all_of(writes.begin(), writes.end(), [&](const json::Value& item) {
    const json::Object& write = item.get_object();
    // A ttl would begin anew, which is a change.
    if (write.at("op") != "set" || write.contains("ttl")) return false;
    const auto found = reading.present.find(std::string(write.at("key").as_string()));
    return found != reading.present.end() && json::equal(found->second.value, write.at("value"));
  });
}

}  // namespace state_engine::llm
