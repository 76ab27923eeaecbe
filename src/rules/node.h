// Code: a compiled rule, as a tree of nodes. The arguments of a node lie side by side.

#ifndef STATE_ENGINE_RULES_NODE_H_
#define STATE_ENGINE_RULES_NODE_H_

#include <cstddef>
#include <cstdint>
#include <forward_list>
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

// What an argument is that takes one step and no further evaluation.
enum class Leaf : std::uint8_t {
  kNone,
  kConstant,
  kMember,  // a name of one piece, without a default, outside of a reduce's scope
  kName,    // any other name without a default
};

struct Node {
  Opcode op = Opcode::kConstant;
  // The operator's argument was not an array: `{"var": "a"}`.
  bool wrapped = false;
  // kVarPath in the body of a reduce: which member of its scope the name begins with, or kNoMember.
  std::int8_t scope_member = kNoMember;
  // kReduce: nothing in the body can hold on to the scope itself, so that one serves all elements.
  bool reuses_scope = false;
  Leaf leaf = Leaf::kNone;
  bool has_leaves = false;                 // all arguments are leaves
  std::span<const Node> args;              // or the elements of an array literal
  std::span<const std::string_view> path;  // kVarPath: the pieces of the name; none = all data
  std::string_view name;                   // of the operator, as written
  JsValue constant;                        // kConstant
};

// Moves, but never copies: the nodes point into its lists.
struct Code {
  Code() = default;
  Code(Code&&) = default;
  Code& operator=(Code&&) = default;

  Node root;
  std::size_t node_count = 1;
  std::vector<std::vector<Node>> args;               // of all nodes
  std::vector<std::vector<std::string_view>> paths;  // of all names
  std::forward_list<std::string> texts;  // what a path points into where the rule has no such text
};

// Compiles `rule` (which outlives the code). Throws Fault if it nests deeper than `nesting_max`.
Code compile_code(const JsValue& rule, int nesting_max);

// A `var` name, split on its dots; the pieces are consecutive in memory.
std::vector<std::string_view> split_path(std::string_view name);

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_NODE_H_
