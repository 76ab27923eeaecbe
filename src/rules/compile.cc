// The compiler: JSON (or a value of an evaluation, which `missing` may find to be a rule) to nodes.

#include <string>

#include "base/json.h"
#include "rules/fault.h"
#include "rules/js_convert.h"
#include "rules/node.h"

namespace state_engine::logic {
namespace {

// A rule is an object with exactly one member.
struct RuleMember {
  bool found = false;
  std::string_view name;
  JsValue argument;
};

RuleMember single_member(const JsValue& value) {
  if (value.kind() == JsValue::Kind::kJsonObject && value.json_object().size() == 1) {
    const auto& member = *value.json_object().begin();
    return {true, {member.key().data(), member.key().size()}, JsValue::of(member.value())};
  }
  if (value.kind() == JsValue::Kind::kArenaObject && value.members().size() == 1) {
    return {true, value.members()[0].name, value.members()[0].value};
  }
  return {};
}

class Compiler {
 public:
  explicit Compiler(int nesting_max) : nesting_max_(nesting_max) {}

  Code compile(const JsValue& rule) {
    code_.nodes.emplace_back();
    compile_into(0, rule, 0);
    return std::move(code_);
  }

 private:
  void compile_into(std::uint32_t at, const JsValue& value, int depth) {
    if (depth > nesting_max_) {
      fail(EvalError::Kind::kBudget, "the rule nests deeper than " + std::to_string(nesting_max_));
    }
    if (value.is_array()) {
      code_.nodes[at].op = Opcode::kArray;
      compile_elements(at, value, depth);
      return;
    }
    const RuleMember member = single_member(value);
    if (!member.found) {
      code_.nodes[at].op = Opcode::kConstant;
      code_.nodes[at].constant = value;
      return;
    }
    compile_operator(at, member, depth);
  }

  void compile_elements(std::uint32_t at, const JsValue& array, int depth) {
    const auto count = static_cast<std::uint32_t>(array.array_size());
    const auto first = static_cast<std::uint32_t>(code_.nodes.size());
    code_.nodes.resize(first + count);
    code_.nodes[at].first = first;
    code_.nodes[at].count = count;
    const Opcode op = code_.nodes[at].op;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Scope outside = scope_;
      if (has_element_scope(op) && i == 1) scope_ = {op == Opcode::kReduce, false};
      compile_into(first + i, array.element(i), depth + 1);
      if (op == Opcode::kReduce && i == 1) code_.nodes[at].reuses_scope = !scope_.escapes;
      if (has_element_scope(op) && i == 1) scope_ = outside;
    }
  }

  void compile_operator(std::uint32_t at, const RuleMember& member, int depth) {
    code_.nodes[at].op = resolve_operator(member.name);
    code_.nodes[at].name = member.name;
    if (member.argument.is_array()) {
      compile_elements(at, member.argument, depth);
    } else {
      code_.nodes[at].wrapped = true;
      const auto first = static_cast<std::uint32_t>(code_.nodes.size());
      code_.nodes.emplace_back();
      code_.nodes[at].first = first;
      code_.nodes[at].count = 1;
      compile_into(first, member.argument, depth + 1);
    }
    if (code_.nodes[at].op == Opcode::kVar) fix_path(code_.nodes[at]);
    note_scope(code_.nodes[at]);
  }

  // What `node` does with the scope of the reduce that it is in.
  void note_scope(Node& node) {
    if (!scope_.of_reduce) return;
    const bool computed =
        node.op == Opcode::kVar || node.op == Opcode::kMissing || node.op == Opcode::kMissingSome;
    if (computed || (node.op == Opcode::kVarPath && node.path_count == 0)) scope_.escapes = true;
    if (node.op != Opcode::kVarPath || node.path_count == 0) return;
    const std::string_view first = code_.path_steps[node.path_first];
    if (first == "current") node.scope_member = kCurrent;
    if (first == "accumulator") node.scope_member = kAccumulator;
  }

  // Splits a name that is known now. Extra arguments stay with the general `var`.
  void fix_path(Node& node) {
    if (node.count > 2) return;
    node.path_first = static_cast<std::uint32_t>(code_.path_steps.size());
    if (node.count > 0) {
      const Node& name = code_.nodes[node.first];
      if (name.op != Opcode::kConstant || name.constant.is_container()) return;
      const bool whole = name.constant.is_nullish() ||
                         (name.constant.is_string() && name.constant.as_string().empty());
      if (!whole) split_path(persistent_text(name.constant), code_.path_steps);
    }
    node.path_count = static_cast<std::uint32_t>(code_.path_steps.size()) - node.path_first;
    node.op = Opcode::kVarPath;
  }

  std::string_view persistent_text(const JsValue& name) {
    if (name.is_string()) return name.as_string();
    Arena scratch(1024);
    return code_.texts.emplace_back(to_string_view(name, scratch));
  }

  // The data that the nodes being compiled will see.
  struct Scope {
    bool of_reduce = false;
    bool escapes = false;  // a value may be the scope object itself
  };

  int nesting_max_;
  Scope scope_;
  Code code_;
};

}  // namespace

Code compile_code(const JsValue& rule, int nesting_max) {
  return Compiler(nesting_max).compile(rule);
}

void split_path(std::string_view name, std::vector<std::string_view>& steps) {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t dot = name.find('.', begin);
    if (dot == std::string_view::npos) break;
    steps.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  steps.push_back(name.substr(begin));
}

}  // namespace state_engine::logic
