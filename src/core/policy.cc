// Patterns are sorted once, most specific first, so that the first match decides.

#include "core/policy.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hex.h"

namespace state_engine {
namespace {

json::Value ops_json(const std::vector<Op>& ops) {
  json::Array array;
  for (const Op op : ops) array.emplace_back(to_string(op));
  return array;
}

template <typename Strings>
json::Value strings_json(const Strings& strings) {
  json::Array array;
  for (const std::string& text : strings) array.emplace_back(text);
  return array;
}

json::Value rule_json(const PolicyRuleConfig& rule) {
  json::Object object;
  object["keys"] = strings_json(rule.keys);
  if (rule.writers) object["writers"] = strings_json(*rule.writers);
  if (rule.ops) object["ops"] = ops_json(*rule.ops);
  if (rule.schema) object["schema"] = *rule.schema;
  if (!rule.requirements.empty()) {
    json::Object wanted;
    for (const KeyRequirement& item : rule.requirements) wanted[item.key] = item.value;
    object["requires"] = std::move(wanted);
  }
  if (rule.rate) {
    object["rate"] =
        json::Object{{"perSecond", rule.rate->per_second}, {"burst", rule.rate->burst}};
  }
  if (rule.ttl_default) object["ttlDefaultMs"] = rule.ttl_default->count();
  if (rule.ttl_max) object["ttlMaxMs"] = rule.ttl_max->count();
  return object;
}

std::string source_text(const PolicyConfig& config) {
  json::Array rules;
  for (const PolicyRuleConfig& rule : config.rules) rules.push_back(rule_json(rule));
  return json::write_canonical(json::Object{{"allowedKeys", strings_json(config.allowed_keys)},
                                            {"policy", std::move(rules)}});
}

std::vector<KeyPattern> compile_patterns(const std::vector<std::string>& texts,
                                         const std::string& path,
                                         std::vector<ConfigFault>& faults) {
  std::vector<KeyPattern> patterns;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (auto pattern = parse_pattern(texts[i])) {
      patterns.push_back(std::move(*pattern));
    } else {
      faults.push_back({fmt::format("{}[{}]", path, i),
                        fmt::format("'{}' is no pattern: expected a name, or a prefix and one "
                                    "trailing '*'",
                                    texts[i])});
    }
  }
  return patterns;
}

void check_numbers(const PolicyRuleConfig& rule, const std::string& path,
                   std::vector<ConfigFault>& faults) {
  if (rule.rate && !(rule.rate->per_second > 0)) {
    faults.push_back({path + ".rate.perSecond", "must be greater than 0"});
  }
  if (rule.rate && !(rule.rate->burst >= 1)) {
    faults.push_back({path + ".rate.burst", "must be at least 1"});
  }
  if (rule.ttl_default && rule.ttl_default->count() <= 0) {
    faults.push_back({path + ".ttlDefault", "must be greater than 0 seconds"});
  }
  if (rule.ttl_max && rule.ttl_max->count() <= 0) {
    faults.push_back({path + ".ttlMax", "must be greater than 0 seconds"});
  }
  if (rule.ttl_default && rule.ttl_max && *rule.ttl_default > *rule.ttl_max) {
    faults.push_back({path + ".ttlDefault", "is above ttlMax"});
  }
}

// A required key that nobody may write is a typing mistake that would refuse everything.
void check_requirements_of(const PolicyRuleConfig& rule, const std::vector<KeyPattern>& allowed,
                           const std::string& path, std::vector<ConfigFault>& faults) {
  for (const KeyRequirement& item : rule.requirements) {
    if (auto fault = key_fault(item.key)) {
      faults.push_back({path + ".requires", fmt::format("'{}': {}", item.key, *fault)});
    } else if (std::none_of(allowed.begin(), allowed.end(),
                            [&](const KeyPattern& p) { return p.matches(item.key); })) {
      faults.push_back({path + ".requires",
                        fmt::format("'{}' matches no entry of allowedKeys, so it can never have a "
                                    "value",
                                    item.key)});
    }
  }
}

void compile_rule(const PolicyRuleConfig& config, const std::string& path,
                  std::vector<PolicyRule>& out, std::vector<ConfigFault>& faults) {
  PolicyRule base;
  const std::vector<KeyPattern> keys = compile_patterns(config.keys, path + ".keys", faults);
  if (config.keys.empty()) faults.push_back({path + ".keys", "names no key"});
  if (config.writers) base.writers = compile_patterns(*config.writers, path + ".writers", faults);
  base.ops = config.ops;
  base.requirements = config.requirements;
  base.rate = config.rate;
  base.ttl_default = config.ttl_default;
  base.ttl_max = config.ttl_max;
  check_numbers(config, path, faults);
  if (config.schema) {
    auto schema = ValueSchema::compile(*config.schema);
    if (schema.ok()) {
      base.schema = *schema;
    } else {
      faults.push_back({path + ".schema", schema.error().message});
    }
  }
  for (const KeyPattern& key : keys) {
    const bool taken = std::any_of(out.begin(), out.end(), [&](const PolicyRule& other) {
      return other.pattern.str() == key.str();
    });
    if (taken) {
      faults.push_back(
          {path + ".keys", fmt::format("'{}' stands in two policy entries", key.str())});
      continue;
    }
    PolicyRule rule = base;
    rule.pattern = key;
    out.push_back(std::move(rule));
  }
}

std::string listed(const std::vector<KeyPattern>& patterns) {
  std::string text;
  for (const KeyPattern& pattern : patterns) {
    if (!text.empty()) text += ", ";
    text += pattern.str();
  }
  return text.empty() ? "nobody" : text;
}

double seconds(std::chrono::milliseconds duration) {
  return static_cast<double>(duration.count()) / 1000.0;
}

}  // namespace

std::vector<std::string> default_allowed_keys() {
  return {"stream.state", "stream.title",       "stream.category",
          "obs.scene",    "user.disposition.*", "user.fact.*"};
}

Policy::Compiled Policy::compile(const PolicyConfig& config) {
  auto policy = std::make_shared<Policy>();
  std::vector<ConfigFault> faults;
  policy->allowed_ = compile_patterns(config.allowed_keys, "allowedKeys", faults);
  for (std::size_t i = 0; i < config.rules.size(); ++i) {
    const std::string path = fmt::format("policy[{}]", i);
    compile_rule(config.rules[i], path, policy->rules_, faults);
    check_requirements_of(config.rules[i], policy->allowed_, path, faults);
  }
  if (!faults.empty()) return faults;
  std::stable_sort(policy->rules_.begin(), policy->rules_.end(),
                   [](const PolicyRule& a, const PolicyRule& b) {
                     return a.pattern.more_specific_than(b.pattern);
                   });
  policy->source_ = source_text(config);
  policy->revision_ = sha256_hex(policy->source_).substr(0, 16);
  return std::shared_ptr<const Policy>(std::move(policy));
}

bool Policy::key_allowed(std::string_view key) const {
  return std::any_of(allowed_.begin(), allowed_.end(),
                     [&](const KeyPattern& pattern) { return pattern.matches(key); });
}

const PolicyRule* Policy::rule_for(std::string_view key) const {
  for (const PolicyRule& rule : rules_) {
    if (rule.pattern.matches(key)) return &rule;
  }
  return nullptr;
}

std::optional<PolicyDenial> Policy::check(const Proposal& proposal, const PolicyRule* rule) const {
  if (!key_allowed(proposal.key)) {
    return PolicyDenial{RejectionCode::kKeyNotAllowed, "Key not allowed"};
  }
  if (rule == nullptr) return std::nullopt;
  if (rule->writers) {
    const bool writer =
        std::any_of(rule->writers->begin(), rule->writers->end(),
                    [&](const KeyPattern& pattern) { return pattern.matches(proposal.actor); });
    if (!writer) {
      return PolicyDenial{
          RejectionCode::kActorNotAllowed,
          fmt::format("Actor '{}' may not write '{}': writers of {} are {}", proposal.actor,
                      proposal.key, rule->pattern.str(), listed(*rule->writers))};
    }
  }
  if (rule->ops &&
      std::find(rule->ops->begin(), rule->ops->end(), proposal.op) == rule->ops->end()) {
    std::string allowed;
    for (const Op op : *rule->ops)
      allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(op));
    return PolicyDenial{RejectionCode::kActorNotAllowed,
                        fmt::format("Operation '{}' is not allowed on '{}': allowed are {}",
                                    to_string(proposal.op), proposal.key, allowed)};
  }
  if (rule->ttl_max && proposal.ttl && *proposal.ttl > *rule->ttl_max) {
    return PolicyDenial{
        RejectionCode::kInvalidValue,
        fmt::format("ttl of {} s exceeds the maximum of {} s for {}", seconds(*proposal.ttl),
                    seconds(*rule->ttl_max), rule->pattern.str())};
  }
  return std::nullopt;
}

std::optional<PolicyDenial> Policy::check_requirements(const PolicyRule* rule,
                                                       const ValueReader& read) const {
  if (rule == nullptr) return std::nullopt;
  for (const KeyRequirement& item : rule->requirements) {
    const json::Value* const found = read(item.key);
    // Null asks for a key without a value, which a stored null is not.
    const bool holds = item.value.is_null() ? found == nullptr
                                            : found != nullptr && json::equal(*found, item.value);
    if (holds) continue;
    const std::string wanted =
        item.value.is_null() ? "to have no value" : "= " + json::write(item.value);
    return PolicyDenial{
        RejectionCode::kPreconditionFailed,
        fmt::format("A write of {} requires {} {}; it {}", rule->pattern.str(), item.key, wanted,
                    found == nullptr ? "has no value" : "has another value")};
  }
  return std::nullopt;
}

std::optional<PolicyDenial> Policy::check_value(const json::Value& value,
                                                const PolicyRule* rule) const {
  if (rule == nullptr || rule->schema == nullptr) return std::nullopt;
  if (auto fault = rule->schema->check(value)) {
    return PolicyDenial{
        RejectionCode::kInvalidValue,
        fmt::format("The value breaks the schema of {}: {}", rule->pattern.str(), *fault)};
  }
  return std::nullopt;
}

}  // namespace state_engine
