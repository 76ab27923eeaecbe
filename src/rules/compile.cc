// The compiler: JSON (or a value of an evaluation, which `missing` may find to be a rule) to nodes.

#include <algorithm>
#include <string>
#include <utility>

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
    compile_into(code_.root, rule, 0);
    return std::move(code_);
  }

 private:
  void compile_into(Node& node, const JsValue& value, int depth) {
    if (depth > nesting_max_) {
      fail(EvalError::Kind::kBudget, "the rule nests deeper than " + std::to_string(nesting_max_));
    }
    if (value.is_array()) {
      node.op = Opcode::kArray;
      compile_elements(node, value, depth);
      return;
    }
    const RuleMember member = single_member(value);
    if (!member.found) {
      node.op = Opcode::kConstant;
      node.leaf = Leaf::kConstant;
      node.constant = value;
      return;
    }
    compile_operator(node, member, depth);
  }

  void compile_elements(Node& node, const JsValue& array, int depth) {
    const std::span<Node> args = make_args(node, array.array_size());
    for (std::size_t i = 0; i < args.size(); ++i) {
      const Scope outside = scope_;
      const bool is_body = has_element_scope(node.op) && i == 1;
      if (is_body) scope_ = {node.op == Opcode::kReduce, false};
      compile_into(args[i], array.element(i), depth + 1);
      if (node.op == Opcode::kReduce && is_body) node.reuses_scope = !scope_.escapes;
      if (is_body) scope_ = outside;
    }
  }

  void compile_operator(Node& node, const RuleMember& member, int depth) {
    node.op = resolve_operator(member.name);
    node.name = member.name;
    if (member.argument.is_array()) {
      compile_elements(node, member.argument, depth);
    } else {
      node.wrapped = true;
      compile_into(make_args(node, 1)[0], member.argument, depth + 1);
    }
    if (node.op == Opcode::kVar) fix_path(node);
    note_scope(node);
    node.leaf = leaf_of(node);
    node.has_leaves = std::all_of(node.args.begin(), node.args.end(),
                                  [](const Node& arg) { return arg.leaf != Leaf::kNone; });
  }

  static Leaf leaf_of(const Node& node) {
    if (node.op != Opcode::kVarPath || node.args.size() > 1) return Leaf::kNone;
    const bool is_member = node.path.size() == 1 && node.scope_member == kNoMember;
    return is_member ? Leaf::kMember : Leaf::kName;
  }

  std::span<Node> make_args(Node& node, std::size_t count) {
    std::vector<Node>& args = code_.args.emplace_back(count);
    code_.node_count += count;
    node.args = args;
    return args;
  }

  // What `node` does with the scope of the reduce that it is in.
  void note_scope(Node& node) {
    if (!scope_.of_reduce) return;
    const bool computed =
        node.op == Opcode::kVar || node.op == Opcode::kMissing || node.op == Opcode::kMissingSome;
    if (computed || (node.op == Opcode::kVarPath && node.path.empty())) scope_.escapes = true;
    if (node.op != Opcode::kVarPath || node.path.empty()) return;
    if (node.path[0] == "current") node.scope_member = kCurrent;
    if (node.path[0] == "accumulator") node.scope_member = kAccumulator;
  }

  // Splits a name that is known now. Extra arguments stay with the general `var`.
  void fix_path(Node& node) {
    if (node.args.size() > 2) return;
    if (!node.args.empty()) {
      const Node& name = node.args[0];
      if (name.op != Opcode::kConstant || name.constant.is_container()) return;
      const bool whole = name.constant.is_nullish() ||
                         (name.constant.is_string() && name.constant.as_string().empty());
      if (!whole) node.path = code_.paths.emplace_back(split_path(persistent_text(name.constant)));
    }
    node.op = Opcode::kVarPath;
  }

  std::string_view persistent_text(const JsValue& name) {
    if (name.is_string()) return name.as_string();
    Arena scratch(1024);
    return code_.texts.emplace_front(to_string_view(name, scratch));
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

std::vector<std::string_view> split_path(std::string_view name) {
  std::vector<std::string_view> steps;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t dot = name.find('.', begin);
    if (dot == std::string_view::npos) break;
    steps.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  steps.push_back(name.substr(begin));
  return steps;
}

}  // namespace state_engine::logic
