// Policy: which actor may do what to which key. Data, deny by default.
//
// A key must match an entry of `allowed_keys`. Then the most specific matching policy rule decides
// about writers, operations, what other keys must hold, value schema, rate and ttl; a key that no
// rule matches is free to all actors. Policies never change once compiled; a reload makes a new
// one.

#ifndef STATE_ENGINE_CORE_POLICY_H_
#define STATE_ENGINE_CORE_POLICY_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "core/keys.h"
#include "core/schema.h"
#include "core/types.h"

namespace state_engine {

struct RateLimit {
  double per_second = 0;
  double burst = 0;
};

// Another key and the value it must have for a write; null = it must have none. The engine checks
// it with the commit, so that no change of that key can come between.
struct KeyRequirement {
  std::string key;
  json::Value value;
};

// One entry of the config's `policy` list.
struct PolicyRuleConfig {
  std::vector<std::string> keys;                    // patterns
  std::optional<std::vector<std::string>> writers;  // actor patterns; absent = all
  std::optional<std::vector<Op>> ops;               // absent = all
  std::optional<json::Value> schema;                // JSON Schema draft-7
  std::vector<KeyRequirement> requirements;
  std::optional<RateLimit> rate;  // per actor and pattern
  std::optional<std::chrono::milliseconds> ttl_default;
  std::optional<std::chrono::milliseconds> ttl_max;
};

struct PolicyConfig {
  std::vector<std::string> allowed_keys;
  std::vector<PolicyRuleConfig> rules;
};

// The keys that the reference service allows when it has no configuration.
std::vector<std::string> default_allowed_keys();

// One fault of a configuration: where (a path such as "policy[2].schema") and what.
struct ConfigFault {
  std::string path;
  std::string message;
};

// A compiled policy rule, for one pattern.
struct PolicyRule {
  KeyPattern pattern;
  std::optional<std::vector<KeyPattern>> writers;
  std::optional<std::vector<Op>> ops;
  std::shared_ptr<const ValueSchema> schema;
  std::vector<KeyRequirement> requirements;
  std::optional<RateLimit> rate;
  std::optional<std::chrono::milliseconds> ttl_default;
  std::optional<std::chrono::milliseconds> ttl_max;
};

struct PolicyDenial {
  RejectionCode code = RejectionCode::kNone;
  std::string message;
};

class Policy {
 public:
  using Compiled = std::variant<std::shared_ptr<const Policy>, std::vector<ConfigFault>>;

  // Compiles `config`; on failure returns every fault at once.
  static Compiled compile(const PolicyConfig& config);

  // The rule that decides about `key`, or null if none matches. Cost: O(patterns).
  const PolicyRule* rule_for(std::string_view key) const;

  // Checks key, actor, operation and ttl of `proposal` against `rule` (from rule_for; may be null).
  std::optional<PolicyDenial> check(const Proposal& proposal, const PolicyRule* rule) const;

  // Checks what `rule` requires of other keys. `read` gives a key's value, or null for none.
  using ValueReader = std::function<const json::Value*(const std::string& key)>;
  std::optional<PolicyDenial> check_requirements(const PolicyRule* rule,
                                                 const ValueReader& read) const;

  // Checks the value that the operation would leave behind.
  std::optional<PolicyDenial> check_value(const json::Value& value, const PolicyRule* rule) const;

  bool key_allowed(std::string_view key) const;

  // Hash of the source; names this policy in every log entry (I14).
  const std::string& revision() const { return revision_; }
  // The source as canonical JSON.
  const std::string& source() const { return source_; }

 private:
  std::vector<KeyPattern> allowed_;
  std::vector<PolicyRule> rules_;  // most specific first
  std::string revision_;
  std::string source_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_POLICY_H_
