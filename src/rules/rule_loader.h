// RuleLoader: reads the `rules` array of a configuration and reports every mistake in it.

#ifndef STATE_ENGINE_RULES_RULE_LOADER_H_
#define STATE_ENGINE_RULES_RULE_LOADER_H_

#include <chrono>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "rules/lint.h"
#include "rules/rule.h"

namespace state_engine {

class RuleLoader {
 public:
  explicit RuleLoader(RuleProblems& problems) : problems_(problems) {}

  // The rules that are in order; cycles are not looked for.
  std::vector<Rule> load(const json::Value& source);

 private:
  std::optional<Rule> load_rule(const json::Value& source, const std::string& path);
  std::string load_id(const json::Object& source, const std::string& path);
  Trigger load_trigger(const json::Object& source, const std::string& path);
  // A length of time; 0 if absent or wrong.
  std::chrono::milliseconds load_duration(const json::Object& source, std::string_view name,
                                          const std::string& path);
  std::vector<Action> load_actions(const json::Object& source, const std::string& path);
  std::optional<Action> load_action(const json::Value& source, const std::string& path);
  std::optional<Action> load_publish(const json::Object& source, const std::string& path);
  std::optional<Action> load_mutation(const json::Object& source, const std::string& path);
  Op load_op(const json::Object& source, const std::string& path);
  std::optional<logic::Template> load_value(const json::Object& source, Op op,
                                            const std::string& path);
  void load_limits(const json::Object& source, const std::string& path, ProposeMutation& mutation);
  // A text or a template that makes one; nullopt if absent or wrong.
  std::optional<logic::Template> load_text(const json::Object& source, std::string_view name,
                                           const std::string& path);
  std::optional<logic::Template> load_template(const json::Value& source, const std::string& path);

  void check_fields(const json::Object& source, std::span<const std::string_view> allowed,
                    const std::string& path);
  void report(const std::string& path, std::string message);

  RuleProblems& problems_;
  std::set<std::string> ids_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_RULE_LOADER_H_
