// Code: a compiled rule, as an array of nodes. The arguments of a node lie side by side.

#ifndef STATE_ENGINE_RULES_NODE_H_
#define STATE_ENGINE_RULES_NODE_H_

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rules/js_value.h"
#include "rules/operators.h"

namespace state_engine::logic {

// The scope of a reduce: {"current", "accumulator"}, in this order.
inline constexpr std::int8_t kNoMember = -1;
inline constexpr std::int8_t kCurrent = 0;
inline constexpr std::int8_t kAccumulator = 1;

struct Node {
  Opcode op = Opcode::kConstant;
  // The operator's argument was not an array: `{"var": "a"}`.
  bool wrapped = false;
  // kVarPath in the body of a reduce: which member of its scope the name begins with, or kNoMember.
  std::int8_t scope_member = kNoMember;
  // kReduce: nothing in the body can hold on to the scope itself, so that one serves all elements.
  bool reuses_scope = false;
  std::uint32_t first = 0;  // of the arguments or elements, in Code::nodes
  std::uint32_t count = 0;
  std::uint32_t path_first = 0;  // kVarPath: the pieces of the name, in Code::path_steps
  std::uint32_t path_count = 0;  // 0 = the whole data
  std::string_view name;         // of the operator, as written
  JsValue constant;              // kConstant
};

struct Code {
  std::vector<Node> nodes;  // [0] is the root
  std::vector<std::string_view> path_steps;
  std::deque<std::string> texts;  // what path_steps points into where the rule has no such text

  std::span<const Node> children(const Node& node) const {
    return std::span(nodes).subspan(node.first, node.count);
  }
  std::span<const std::string_view> path(const Node& node) const {
    return std::span(path_steps).subspan(node.path_first, node.path_count);
  }
};

// Compiles `rule` (which outlives the code). Throws Fault if it nests deeper than `nesting_max`.
Code compile_code(const JsValue& rule, int nesting_max);

// Splits a `var` name on its dots; the pieces stay consecutive in memory.
void split_path(std::string_view name, std::vector<std::string_view>& steps);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_NODE_H_
