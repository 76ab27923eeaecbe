// Field by field, so that one run reports everything that is wrong.

#include "rules/rule_loader.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/hex.h"
#include "base/limits.h"
#include "core/keys.h"

namespace state_engine {
namespace {

constexpr std::array<std::string_view, 7> kRuleFields = {"id",       "when",    "on",         "for",
                                                         "cooldown", "actions", "description"};
constexpr std::array<std::string_view, 2> kPublishFields = {"type", "payload"};
constexpr std::array<std::string_view, 7> kMutationFields = {
    "type", "key", "op", "value", "expectedVersion", "ttl", "reason"};
constexpr std::array<std::string_view, 4> kTriggers = {"commit", "change", "rise", "fall"};
constexpr std::array<std::string_view, 2> kActionTypes = {"publishEgress", "proposeMutation"};
constexpr std::array<std::string_view, 5> kOps = {"set", "delete", "increment", "push", "merge"};

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string found_type(const json::Value& value) {
  return ", found " + std::string(json::type_name(value));
}

std::string one_of(std::span<const std::string_view> names) {
  std::string text = "must be one of";
  for (const std::string_view name : names) text += " " + std::string(name);
  return text;
}

}  // namespace

std::vector<Rule> RuleLoader::load(const json::Value& source) {
  std::vector<Rule> rules;
  if (!source.is_array()) {
    report("", "rules must be an array" + found_type(source));
    return rules;
  }
  for (std::size_t i = 0; i < source.get_array().size(); ++i) {
    std::optional<Rule> rule = load_rule(source.get_array()[i], logic::child_path("", i));
    if (rule.has_value()) rules.push_back(*std::move(rule));
  }
  return rules;
}

std::optional<Rule> RuleLoader::load_rule(const json::Value& source, const std::string& path) {
  if (!source.is_object()) {
    report(path, "a rule must be an object" + found_type(source));
    return std::nullopt;
  }
  const json::Object& object = source.get_object();
  const std::size_t problems_before = problems_.size();
  check_fields(object, kRuleFields, path);
  std::string id = load_id(object, path);
  const Trigger trigger = load_trigger(object, path);
  const std::chrono::milliseconds hold = load_duration(object, "for", path);
  const std::chrono::milliseconds cooldown = load_duration(object, "cooldown", path);
  std::string description;
  if (const json::Value* text = json::find(object, "description")) {
    if (!text->is_string()) {
      report(logic::child_path(path, "description"), "must be a string" + found_type(*text));
    } else {
      description = std::string(text->get_string());
    }
  }
  std::vector<Action> actions = load_actions(object, path);

  const json::Value* when = json::find(object, "when");
  if (when == nullptr) {
    report(path, "\"when\" is missing: the condition, as JsonLogic");
    return std::nullopt;
  }
  const std::string when_path = logic::child_path(path, "when");
  logic::check_rule(*when, when_path, problems_);
  if (problems_.size() != problems_before) return std::nullopt;
  Result<logic::Program> program = logic::Program::compile(*when);
  if (!program.ok()) {
    report(when_path, program.error().message);
    return std::nullopt;
  }
  return Rule{std::move(id),
              std::move(description),
              sha256_hex(json::write_canonical(source)),
              trigger,
              std::move(program).value(),
              logic::find_dependencies(*when),
              std::move(actions),
              hold,
              cooldown};
}

std::string RuleLoader::load_id(const json::Object& source, const std::string& path) {
  const json::Value* value = json::find(source, "id");
  if (value == nullptr) {
    report(path, "\"id\" is missing");
    return "";
  }
  const std::string here = logic::child_path(path, "id");
  if (!value->is_string() || value->get_string().empty() ||
      value->get_string().size() > limits::kIdCharsMax) {
    report(here, "must be a string of 1 to " + std::to_string(limits::kIdCharsMax) + " characters");
    return "";
  }
  std::string id(value->get_string());
  if (!ids_.insert(id).second) report(here, "two rules have the id " + quoted(id));
  return id;
}

Trigger RuleLoader::load_trigger(const json::Object& source, const std::string& path) {
  const json::Value* value = json::find(source, "on");
  if (value == nullptr) return Trigger::kCommit;
  const std::optional<Trigger> trigger =
      value->is_string() ? parse_trigger(value->get_string()) : std::nullopt;
  if (!trigger.has_value()) {
    std::string advice;
    if (value->is_string()) advice = logic::suggestion(value->get_string(), kTriggers);
    report(logic::child_path(path, "on"), one_of(kTriggers) + advice);
  }
  return trigger.value_or(Trigger::kCommit);
}

std::chrono::milliseconds RuleLoader::load_duration(const json::Object& source,
                                                    std::string_view name,
                                                    const std::string& path) {
  const json::Value* value = json::find(source, name);
  if (value == nullptr) return {};
  std::string text;
  if (value->is_string()) text = std::string(value->get_string());
  if (value->is_number()) text = json::number_to_string(value->to_number<double>());
  const auto duration = parse_duration(text);
  if (duration.ok()) return *duration;
  std::string message = duration.error().message;
  if (text.empty())
    message = "must be a number of seconds or a text such as \"5m\"" + found_type(*value);
  report(logic::child_path(path, name), std::move(message));
  return {};
}

std::vector<Action> RuleLoader::load_actions(const json::Object& source, const std::string& path) {
  std::vector<Action> actions;
  const json::Value* value = json::find(source, "actions");
  if (value == nullptr) {
    report(path, "\"actions\" is missing: what to do when the rule fires");
    return actions;
  }
  const std::string here = logic::child_path(path, "actions");
  if (!value->is_array()) {
    report(here, "must be an array" + found_type(*value));
    return actions;
  }
  for (std::size_t i = 0; i < value->get_array().size(); ++i) {
    auto action = load_action(value->get_array()[i], logic::child_path(here, i));
    if (action.has_value()) actions.push_back(*std::move(action));
  }
  return actions;
}

std::optional<Action> RuleLoader::load_action(const json::Value& source, const std::string& path) {
  if (!source.is_object()) {
    report(path, "an action must be an object" + found_type(source));
    return std::nullopt;
  }
  const std::optional<std::string> type = json::find_string(source.get_object(), "type");
  if (type == "publishEgress") return load_publish(source.get_object(), path);
  if (type == "proposeMutation") return load_mutation(source.get_object(), path);
  report(logic::child_path(path, "type"),
         one_of(kActionTypes) + logic::suggestion(type.value_or(""), kActionTypes));
  return std::nullopt;
}

std::optional<Action> RuleLoader::load_publish(const json::Object& source,
                                               const std::string& path) {
  check_fields(source, kPublishFields, path);
  const json::Value* payload = json::find(source, "payload");
  if (payload == nullptr) {
    report(path, "\"payload\" is missing: the event to publish");
    return std::nullopt;
  }
  const std::string here = logic::child_path(path, "payload");
  if (!payload->is_object()) {
    report(here, "must be an object" + found_type(*payload));
    return std::nullopt;
  }
  auto compiled = load_template(*payload, here);
  if (!compiled.has_value()) return std::nullopt;
  return PublishEgress{*std::move(compiled)};
}

std::optional<Action> RuleLoader::load_mutation(const json::Object& source,
                                                const std::string& path) {
  check_fields(source, kMutationFields, path);
  if (json::find(source, "key") == nullptr) report(path, "\"key\" is missing: what to change");
  auto key = load_text(source, "key", path);
  if (key.has_value() && key->is_constant()) {
    if (const auto fault = key_fault(key->source().get_string())) {
      report(logic::child_path(path, "key"), *fault);
    }
  }
  const Op op = load_op(source, path);
  auto value = load_value(source, op, path);
  auto reason = load_text(source, "reason", path);
  if (!key.has_value()) return std::nullopt;
  ProposeMutation mutation{op,           *std::move(key), std::move(value), std::move(reason),
                           std::nullopt, std::nullopt};
  load_limits(source, path, mutation);
  return mutation;
}

Op RuleLoader::load_op(const json::Object& source, const std::string& path) {
  const json::Value* value = json::find(source, "op");
  if (value == nullptr) return Op::kSet;
  const std::optional<Op> op = value->is_string() ? parse_op(value->get_string()) : std::nullopt;
  if (op.has_value() && *op != Op::kExpire) return *op;
  std::string advice;
  if (value->is_string()) advice = logic::suggestion(value->get_string(), kOps);
  report(logic::child_path(path, "op"), one_of(kOps) + advice);
  return Op::kSet;
}

std::optional<logic::Template> RuleLoader::load_value(const json::Object& source, Op op,
                                                      const std::string& path) {
  const json::Value* value = json::find(source, "value");
  if (op == Op::kDelete) {
    if (value != nullptr) report(logic::child_path(path, "value"), "delete takes no value");
    return std::nullopt;
  }
  if (value == nullptr) {
    report(path, "\"value\" is missing: " + std::string(to_string(op)) + " needs one");
    return std::nullopt;
  }
  return load_template(*value, logic::child_path(path, "value"));
}

void RuleLoader::load_limits(const json::Object& source, const std::string& path,
                             ProposeMutation& mutation) {
  if (const json::Value* version = json::find(source, "expectedVersion")) {
    mutation.expected_version = json::as_int64(*version);
    if (!mutation.expected_version.has_value() || *mutation.expected_version < 0) {
      report(logic::child_path(path, "expectedVersion"),
             "must be an integer from 0 (0 = the key must be absent)");
    }
  }
  if (const json::Value* ttl = json::find(source, "ttl")) {
    constexpr double kSecondsMax = 1e10;  // some three centuries
    const double seconds = ttl->is_number() ? ttl->to_number<double>() : 0;
    const double milliseconds = std::round(seconds * 1000);
    if (seconds > kSecondsMax || milliseconds < 1) {
      report(logic::child_path(path, "ttl"), "must be a number of seconds above 0");
      return;
    }
    mutation.ttl = std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
  }
}

std::optional<logic::Template> RuleLoader::load_text(const json::Object& source,
                                                     std::string_view name,
                                                     const std::string& path) {
  const json::Value* value = json::find(source, name);
  if (value == nullptr) return std::nullopt;
  const std::string here = logic::child_path(path, name);
  if (!value->is_string() && logic::find_hole(*value) == nullptr) {
    report(here, "must be a string or {\"$logic\": ...}" + found_type(*value));
    return std::nullopt;
  }
  return load_template(*value, here);
}

std::optional<logic::Template> RuleLoader::load_template(const json::Value& source,
                                                         const std::string& path) {
  const std::size_t problems_before = problems_.size();
  logic::check_template(source, path, problems_);
  if (problems_.size() != problems_before) return std::nullopt;
  Result<logic::Template> compiled = logic::Template::compile(source);
  if (!compiled.ok()) {
    report(path, compiled.error().message);
    return std::nullopt;
  }
  return std::move(compiled).value();
}

void RuleLoader::check_fields(const json::Object& source, std::span<const std::string_view> allowed,
                              const std::string& path) {
  for (const auto& member : source) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    report(logic::child_path(path, name),
           "unknown field " + quoted(name) + logic::suggestion(name, allowed));
  }
}

void RuleLoader::report(const std::string& path, std::string message) {
  problems_.push_back({path, std::move(message)});
}

}  // namespace state_engine
