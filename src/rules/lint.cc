// Walks a condition as the compiler does and knows, as it does, where data is an array element.

#include "rules/lint.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/limits.h"
#include "rules/operators.h"
#include "rules/template.h"

namespace state_engine::logic {
namespace {

// What people write who know other languages.
struct Synonym {
  std::string_view name;
  std::string_view use;
};
constexpr std::array<Synonym, 12> kSynonyms = {{
    {"not", R"({"!": [...]})"},
    {"xor", R"({"!=": [{"!!": [...]}, {"!!": [...]}]})"},
    {"eq", R"({"==": [...]})"},
    {"ne", R"({"!=": [...]})"},
    {"equals", R"({"==": [...]})"},
    {"contains", R"({"in": [part, whole]})"},
    {"length", R"({"var": "name.length"})"},
    {"val", R"({"var": "name"})"},
    {"exists", R"({"!": {"missing": ["name"]}})"},
    {"??", R"({"var": ["name", default]})"},
    {"concat", R"({"cat": [...]})"},
    {"method", "an operator; method was removed from json-logic-js"},
}};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

// The same letters in another order, as in "wehn".
bool is_anagram(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

std::string unknown_operator_advice(std::string_view name) {
  for (const Synonym& synonym : kSynonyms) {
    if (synonym.name == name) return "; use " + std::string(synonym.use);
  }
  std::vector<std::string_view> names;
  for (const OperatorInfo& info : operator_table()) names.push_back(info.name);
  return suggestion(name, names);
}

std::string expected_count(const OperatorInfo& info) {
  std::string least = std::to_string(info.args_min);
  if (info.args_max == kAnyCount) return "at least " + least;
  if (info.args_min == info.args_max) return least;
  return least + " to " + std::to_string(info.args_max);
}

class Checker {
 public:
  explicit Checker(RuleProblems& problems) : problems_(problems) {}

  // `in_context`: the data is the change, not an element of an array.
  void check(const json::Value& value, const std::string& path, int depth, bool in_context) {
    if (depth > limits::kRuleNestingMax) {
      if (!too_deep_) report(path, "nests deeper than " + std::to_string(limits::kRuleNestingMax));
      too_deep_ = true;
      return;
    }
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        check(value.get_array()[i], child_path(path, i), depth + 1, in_context);
      }
    } else if (value.is_object()) {
      check_object(value.get_object(), path, depth, in_context);
    }
  }

 private:
  void check_object(const json::Object& object, const std::string& path, int depth,
                    bool in_context) {
    if (object.size() != 1) {
      check_literal(object, path);
      return;
    }
    const auto& member = *object.begin();
    const std::string_view name(member.key().data(), member.key().size());
    const std::string here = child_path(path, name);
    const OperatorInfo* info = find_operator(name);
    if (info == nullptr) {
      report(here,
             "unknown operator \"" + std::string(name) + "\"" + unknown_operator_advice(name));
      return;
    }
    const json::Value& argument = member.value();
    const bool wrapped = !argument.is_array();
    const std::size_t count = wrapped ? 1 : argument.get_array().size();
    if (count < static_cast<std::size_t>(info->args_min) ||
        count > static_cast<std::size_t>(info->args_max)) {
      report(here, "\"" + std::string(name) + "\" takes " + expected_count(*info) +
                       " arguments, found " + std::to_string(count));
    }
    if (info->op == Opcode::kVar && in_context) check_var(argument, here);
    for (std::size_t i = 0; i < count; ++i) {
      const bool element_scoped = has_element_scope(info->op) && i == 1;
      check(wrapped ? argument : argument.get_array()[i], wrapped ? here : child_path(here, i),
            depth + 1, in_context && !element_scoped);
    }
  }

  // Several operators in one object are a literal: nothing in it is evaluated, and it is true.
  void check_literal(const json::Object& object, const std::string& path) {
    if (object.empty()) return;
    const bool all_operators = std::all_of(object.begin(), object.end(), [](const auto& member) {
      return find_operator({member.key().data(), member.key().size()}) != nullptr;
    });
    if (all_operators) {
      report(path, "an object with " + std::to_string(object.size()) +
                       " operators is a literal and is never evaluated; join them with \"and\"");
    }
  }

  void check_var(const json::Value& argument, const std::string& path) {
    const json::Value* name = &argument;
    if (argument.is_array()) {
      if (argument.get_array().empty()) return;
      name = &argument.get_array()[0];
    }
    if (name->is_string() && name->get_string() == "state") {
      report(path,
             "\"state\" cannot be read as a whole; name a key, as in {\"var\": "
             "\"state.stream.state\"}");
    }
  }

  void report(const std::string& path, std::string message) {
    problems_.push_back({path, std::move(message)});
  }

  RuleProblems& problems_;
  bool too_deep_ = false;
};

}  // namespace

void check_rule(const json::Value& rule, const std::string& path, RuleProblems& problems) {
  Checker(problems).check(rule, path, 0, true);
}

void check_template(const json::Value& source, const std::string& path, RuleProblems& problems) {
  if (const json::Value* hole = find_hole(source)) {
    check_rule(*hole, child_path(path, "$logic"), problems);
    return;
  }
  if (source.is_array()) {
    for (std::size_t i = 0; i < source.get_array().size(); ++i) {
      check_template(source.get_array()[i], child_path(path, i), problems);
    }
  } else if (source.is_object()) {
    for (const auto& member : source.get_object()) {
      if (member.key() == "$logic") {
        problems.push_back({child_path(path, "$logic"), "\"$logic\" must be the only member"});
        continue;
      }
      check_template(member.value(), child_path(path, {member.key().data(), member.key().size()}),
                     problems);
    }
  }
}

std::string child_path(const std::string& path, std::string_view name) {
  std::string result = path + "/";
  for (const char c : name) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

std::string child_path(const std::string& path, std::size_t index) {
  return path + "/" + std::to_string(index);
}

std::string suggestion(std::string_view name, std::span<const std::string_view> candidates) {
  constexpr std::size_t kNameMax = 64;  // longer ones are no slip of the pen
  if (name.size() > kNameMax) return "";
  std::string_view best;
  std::size_t best_distance =
      std::max<std::size_t>(1, std::min<std::size_t>(2, name.size() / 3)) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = is_anagram(name, candidate) ? 1 : edit_distance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best.empty() ? "" : " (did you mean \"" + std::string(best) + "\"?)";
}

}  // namespace state_engine::logic
