// lint: what is wrong with a condition before it ever runs.
//
// json-logic-js reports a mistake only when it is reached, on some evening, by throwing. Here
// unknown operators, wrong numbers of arguments and too deep nesting are refused at load, all at
// once, each with its JSON pointer.

#ifndef STATE_ENGINE_RULES_LINT_H_
#define STATE_ENGINE_RULES_LINT_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine {

// A mistake in the rules. `path` is a JSON pointer into the array given ("/3/when/and/0").
struct RuleProblem {
  std::string path;
  std::string message;
};

using RuleProblems = std::vector<RuleProblem>;

namespace logic {

// Appends what is wrong with the condition `rule`, found at `path`. Cost: O(rule).
void check_rule(const json::Value& rule, const std::string& path, RuleProblems& problems);

// Appends what is wrong with the holes of a template.
void check_template(const json::Value& source, const std::string& path, RuleProblems& problems);

// `path` with one more step, escaped as RFC 6901 wants.
std::string child_path(const std::string& path, std::string_view name);
std::string child_path(const std::string& path, std::size_t index);

// " (did you mean \"when\"?)", or nothing if no candidate is close.
std::string suggestion(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace logic
}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_LINT_H_
