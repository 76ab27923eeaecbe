// The recursive evaluator. Lazy operators evaluate their own arguments; eager ones get theirs in a
// small array on the stack, so that a simple condition allocates nothing.
//
// Most rules compare a name with a constant. So an operator of two arguments that are leaves
// (node.h) reads them in place: no call, no dispatch, the steps of both taken at once. Under a
// trace, and when steps run out, every argument is evaluated on its own.

#include "rules/evaluator.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "base/assert.h"
#include "rules/fault.h"
#include "rules/js_convert.h"
#include "rules/js_string.h"

namespace state_engine::logic {
namespace {

// Rules found in data: how often one may lead to another, and how deep each may nest.
constexpr int kApplyDepthMax = 8;
constexpr int kApplyNestingMax = 64;

JsValue scope_member(std::span<const ArenaMember> members, std::string_view name) {
  for (const ArenaMember& member : members) {
    if (same_text(member.name, name)) return member.value;
  }
  return JsValue::undefined();
}

// Null = no such member. Short names in small objects are found faster than by Boost.JSON's general
// look-up.
inline const json::Value* find_member(const json::Object& object, std::string_view name) {
  constexpr std::size_t kFewMembers = 12;
  if (object.size() > kFewMembers || name.size() > kShortText) {
    return object.if_contains({name.data(), name.size()});
  }
  for (const auto& member : object) {
    const auto key = member.key();
    if (key.size() == name.size() && same_short_text(key.data(), name.data(), name.size())) {
      return &member.value();
    }
  }
  return nullptr;
}

JsValue member_or_null(const json::Object& object, std::string_view name) {
  const json::Value* const member = find_member(object, name);
  return member != nullptr ? JsValue::of(*member) : JsValue::null();
}

// x % y, at once for whole numbers from 1 to 2^32 - 1.
double remainder(double x, double y) {
  constexpr double kMax = std::numeric_limits<std::uint32_t>::max();
  if (x >= 1 && x <= kMax && y >= 1 && y <= kMax) {
    const auto a = static_cast<std::uint32_t>(x);
    const auto b = static_cast<std::uint32_t>(y);
    if (a == x && b == y) return a % b;
  }
  return std::fmod(x, y);
}

}  // namespace

void Evaluator::out_of_steps() {
  fail(EvalError::Kind::kBudget, "the evaluation needs more steps than its budget");
}

inline JsValue Evaluator::eval(const Node& node, JsValue data) {
  step();
  if (trace_ != nullptr) [[unlikely]]
    return eval_traced(node, data);
  return eval_node(node, data);
}

inline JsValue Evaluator::eval_leaf(const Node& node, JsValue data) {
  if (node.leaf == Leaf::kConstant) return node.constant;
  if (node.leaf == Leaf::kMember && data.kind() == JsValue::Kind::kJsonObject) [[likely]]
    return member_or_null(data.json_object(), node.path.data()[0]);
  return read_path(node, JsValue::null(), data);
}

inline bool Evaluator::step_over_leaves(const Node& node) {
  if (!node.has_leaves || trace_ != nullptr || steps_left_ < 2) return false;
  steps_left_ -= 2;
  return true;
}

JsValue Evaluator::run(JsValue data) { return eval(code_.root, data); }

JsValue Evaluator::eval_traced(const Node& node, JsValue data) {
  trace_->enter(node);
  const JsValue value = eval_node(node, data);
  trace_->leave(node, value);
  return value;
}

JsValue Evaluator::eval_node(const Node& node, JsValue data) {
  switch (node.op) {
    case Opcode::kConstant:
      return node.constant;
    case Opcode::kArray:
      return eval_array(node, data);
    case Opcode::kVarPath:
      return eval_var_path(node, data);
    case Opcode::kIf:
      return eval_if(node, data);
    case Opcode::kAnd:
    case Opcode::kOr:
      return eval_and_or(node, data);
    case Opcode::kFilter:
      return eval_filter(node, data);
    case Opcode::kMap:
      return eval_map(node, data);
    case Opcode::kReduce:
      return eval_reduce(node, data);
    case Opcode::kAll:
    case Opcode::kNone:
    case Opcode::kSome:
      return eval_quantifier(node, data);
    case Opcode::kLooseEqual:
    case Opcode::kStrictEqual:
    case Opcode::kLooseNotEqual:
    case Opcode::kStrictNotEqual:
      return node.args.size() == 2 ? eval_equality(node, data) : eval_eager(node, data);
    case Opcode::kGreater:
    case Opcode::kGreaterOrEqual:
    case Opcode::kLess:
    case Opcode::kLessOrEqual:
    case Opcode::kModulo:
    case Opcode::kAdd:
    case Opcode::kMultiply:
    case Opcode::kSubtract:
    case Opcode::kDivide:
      return node.args.size() == 2 ? eval_pair(node, data) : eval_eager(node, data);
    default:
      return eval_eager(node, data);
  }
}

// The operators that conditions consist of, for the kinds of arguments that they mostly get.
JsValue Evaluator::eval_equality(const Node& node, JsValue data) {
  const Node* const args = node.args.data();
  const bool in_place = step_over_leaves(node);
  const JsValue a = in_place ? eval_leaf(args[0], data) : eval(args[0], data);
  const JsValue b = in_place ? eval_leaf(args[1], data) : eval(args[1], data);
  const bool wanted = node.op == Opcode::kLooseEqual || node.op == Opcode::kStrictEqual;
  if (a.is_string() && b.is_string()) {
    return JsValue::boolean(same_text(a.as_string(), b.as_string()) == wanted);
  }
  if (a.is_number() && b.is_number()) {
    return JsValue::boolean((a.as_number() == b.as_number()) == wanted);
  }
  return call_pair(node.op, a, b);
}

JsValue Evaluator::eval_pair(const Node& node, JsValue data) {
  const Node* const args = node.args.data();
  const bool in_place = step_over_leaves(node);
  const JsValue a = in_place ? eval_leaf(args[0], data) : eval(args[0], data);
  const JsValue b = in_place ? eval_leaf(args[1], data) : eval(args[1], data);
  if (!a.is_number() || !b.is_number()) return call_pair(node.op, a, b);
  const double x = a.as_number();
  const double y = b.as_number();
  switch (node.op) {
    case Opcode::kGreater:
      return JsValue::boolean(x > y);
    case Opcode::kGreaterOrEqual:
      return JsValue::boolean(x >= y);
    case Opcode::kLess:
      return JsValue::boolean(x < y);
    case Opcode::kLessOrEqual:
      return JsValue::boolean(x <= y);
    case Opcode::kAdd:
      return JsValue::number(0.0 + x + y);
    case Opcode::kMultiply:
      return JsValue::number((x + 0.0) * (y + 0.0));  // without the sign of zero, as by parseFloat
    case Opcode::kSubtract:
      return JsValue::number(x - y);
    case Opcode::kDivide:
      return JsValue::number(x / y);
    case Opcode::kModulo:
      return JsValue::number(remainder(x, y));
    default:
      return call_pair(node.op, a, b);
  }
}

JsValue Evaluator::call_pair(Opcode op, JsValue a, JsValue b) {
  const std::array<JsValue, 2> both = {a, b};
  return call_operator(op, both, arena_);
}

JsValue Evaluator::eval_array(const Node& node, JsValue data) {
  const std::span<JsValue> values = arena_.make_values(node.args.size());
  const auto children = node.args;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = eval(children[i], data);
  return JsValue::array(values);
}

JsValue Evaluator::eval_var_path(const Node& node, JsValue data) {
  if (node.leaf != Leaf::kNone) return eval_leaf(node, data);
  // As any argument, the default is evaluated even if it is not needed.
  const JsValue fallback = node.args.size() > 1 ? eval(node.args[1], data) : JsValue::null();
  return read_path(node, fallback.is_undefined() ? JsValue::null() : fallback, data);
}

// Looks through JSON objects itself and leaves other values to walk().
JsValue Evaluator::read_path(const Node& node, JsValue not_found, JsValue data) {
  const std::string_view* step = node.path.data();
  const std::string_view* const end = step + node.path.size();
  JsValue value = data;
  if (node.scope_member != kNoMember) {
    value = data.members()[static_cast<std::size_t>(node.scope_member)].value;
    if (value.is_undefined()) return not_found;
    ++step;
  }
  for (; step != end; ++step) {
    if (value.kind() != JsValue::Kind::kJsonObject) {
      const JsValue found = walk({step, end}, value);
      return found.is_undefined() ? not_found : found;
    }
    const json::Value* const member = find_member(value.json_object(), *step);
    if (member == nullptr) return not_found;
    value = JsValue::of(*member);
  }
  return value;
}

JsValue Evaluator::eval_if(const Node& node, JsValue data) {
  const auto children = node.args;
  std::size_t i = 0;
  for (; i + 1 < children.size(); i += 2) {
    if (truthy(eval(children[i], data))) return eval(children[i + 1], data);
  }
  return i + 1 == children.size() ? eval(children[i], data) : JsValue::null();
}

JsValue Evaluator::eval_and_or(const Node& node, JsValue data) {
  const bool stop_at = node.op == Opcode::kOr;
  JsValue current;
  for (const Node& child : node.args) {
    current = eval(child, data);
    if (truthy(current) == stop_at) break;
  }
  return current;
}

JsValue Evaluator::eval_argument(const Node& node, std::size_t index, JsValue data) {
  if (index >= node.args.size()) return JsValue::undefined();
  return eval(node.args[index], data);
}

JsValue Evaluator::eval_filter(const Node& node, JsValue data) {
  const JsValue source = eval_argument(node, 0, data);
  if (!source.is_array()) return JsValue::array(arena_.make_values(0));
  const std::size_t size = source.array_size();
  const std::span<JsValue> kept = arena_.make_values(size);
  std::size_t count = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const JsValue element = source.element(i);
    step();
    if (truthy(eval_argument(node, 1, element))) kept[count++] = element;
  }
  return JsValue::array(kept.first(count));
}

JsValue Evaluator::eval_map(const Node& node, JsValue data) {
  const JsValue source = eval_argument(node, 0, data);
  if (!source.is_array()) return JsValue::array(arena_.make_values(0));
  const std::span<JsValue> mapped = arena_.make_values(source.array_size());
  for (std::size_t i = 0; i < mapped.size(); ++i) {
    step();
    mapped[i] = eval_argument(node, 1, source.element(i));
  }
  return JsValue::array(mapped);
}

JsValue Evaluator::eval_reduce(const Node& node, JsValue data) {
  const JsValue source = eval_argument(node, 0, data);
  const bool has_initial = node.args.size() > 2 && !(node.args[2].op == Opcode::kConstant &&
                                                     node.args[2].constant.is_undefined());
  JsValue accumulator = has_initial ? eval_argument(node, 2, data) : JsValue::null();
  if (!source.is_array()) return accumulator;
  const std::size_t size = source.array_size();
  ArenaMember* members = nullptr;
  for (std::size_t i = 0; i < size; ++i) {
    step();
    // A fresh object for each element, if the body may return it whole.
    if (members == nullptr || !node.reuses_scope) {
      members = static_cast<ArenaMember*>(arena_.allocate(2 * sizeof(ArenaMember)));
      new (&members[kCurrent]) ArenaMember{"current", {}};
      new (&members[kAccumulator]) ArenaMember{"accumulator", {}};
    }
    members[kCurrent].value = source.element(i);
    members[kAccumulator].value = accumulator;
    accumulator = eval_argument(node, 1, JsValue::object({members, 2}));
  }
  return accumulator;
}

JsValue Evaluator::eval_quantifier(const Node& node, JsValue data) {
  const JsValue source = eval_argument(node, 0, data);
  const bool result_if_stopped = node.op == Opcode::kSome;
  const bool stop_at = node.op != Opcode::kAll;
  const std::size_t size = source.is_array() ? source.array_size() : 0;
  if (size == 0) return JsValue::boolean(node.op == Opcode::kNone);
  for (std::size_t i = 0; i < size; ++i) {
    step();
    if (truthy(eval_argument(node, 1, source.element(i))) == stop_at) {
      return JsValue::boolean(result_if_stopped);
    }
  }
  return JsValue::boolean(!result_if_stopped);
}

JsValue Evaluator::eval_eager(const Node& node, JsValue data) {
  constexpr std::size_t kFewArguments = 4;
  std::array<JsValue, kFewArguments> few;
  const std::span<JsValue> args = node.args.size() <= kFewArguments
                                      ? std::span<JsValue>(few).first(node.args.size())
                                      : arena_.make_values(node.args.size());
  const auto children = node.args;
  for (std::size_t i = 0; i < args.size(); ++i) args[i] = eval(children[i], data);
  switch (node.op) {
    case Opcode::kVar:
      return read_var(!args.empty() ? args[0] : JsValue::undefined(),
                      args.size() > 1 ? args[1] : JsValue::undefined(), data);
    case Opcode::kMissing:
      return missing(args, data);
    case Opcode::kMissingSome:
      return missing_some(args, data);
    case Opcode::kUnrecognized:
      fail(EvalError::Kind::kUnrecognizedOperation,
           "Unrecognized operation " + std::string(node.name));
    case Opcode::kNotCallable:
      fail(EvalError::Kind::kTypeError, std::string(node.name) + " is not a function");
    default:
      return call_operator(node.op, args, arena_);
  }
}

JsValue Evaluator::read_var(const JsValue& name, const JsValue& fallback, JsValue data) {
  if (name.is_nullish() || (name.is_string() && name.as_string().empty())) return data;
  const std::string_view text = to_string_view(name, arena_);
  arena_.charge(text.size());
  const JsValue found = walk(split_path(text), data);
  if (!found.is_undefined()) return found;
  return fallback.is_undefined() ? JsValue::null() : fallback;
}

JsValue Evaluator::walk(std::span<const std::string_view> path, JsValue data) {
  JsValue value = data;
  while (!path.empty() && !value.is_nullish()) {
    std::size_t steps_used = 1;
    switch (value.kind()) {
      case JsValue::Kind::kDataObject:
        value = value.as_data_object().resolve(path, steps_used, arena_);
        break;
      case JsValue::Kind::kJsonObject: {
        const json::Value* const member = find_member(value.json_object(), path[0]);
        value = member != nullptr ? JsValue::of(*member) : JsValue::undefined();
        break;
      }
      case JsValue::Kind::kArenaObject:
        value = scope_member(value.members(), path[0]);
        break;
      default:
        value = get_property(value, path[0], arena_);
    }
    SE_ASSERT(steps_used >= 1 && steps_used <= path.size());
    path = path.subspan(steps_used);
  }
  return path.empty() ? value : JsValue::undefined();
}

JsValue Evaluator::missing(std::span<const JsValue> args, JsValue data) {
  const bool listed = !args.empty() && args[0].is_array();
  const std::size_t size = listed ? args[0].array_size() : args.size();
  const std::span<JsValue> found = arena_.make_values(size);
  std::size_t count = 0;
  for (std::size_t i = 0; i < size; ++i) {
    step();
    const JsValue key = listed ? args[0].element(i) : args[i];
    // {"var": key}: a list is the name and the default.
    JsValue name;
    JsValue fallback;
    if (key.is_array()) {
      const JsValue arguments = apply(key, data);
      if (arguments.array_size() > 0) name = arguments.element(0);
      if (arguments.array_size() > 1) fallback = arguments.element(1);
    } else {
      name = apply(key, data);
    }
    const JsValue value = read_var(name, fallback, data);
    if (value.is_null() || (value.is_string() && value.as_string().empty())) found[count++] = key;
  }
  return JsValue::array(found.first(count));
}

JsValue Evaluator::missing_some(std::span<const JsValue> args, JsValue data) {
  const JsValue need = !args.empty() ? args[0] : JsValue::undefined();
  const JsValue options = args.size() > 1 ? args[1] : JsValue::undefined();
  // {"missing": options}: a list is its arguments.
  const JsValue applied = apply(options, data);
  JsValue absent;
  if (options.is_array()) {
    const std::span<JsValue> keys = arena_.make_values(applied.array_size());
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = applied.element(i);
    absent = missing(keys, data);
  } else {
    absent = missing({&applied, 1}, data);
  }
  if (options.is_nullish()) {
    fail(EvalError::Kind::kTypeError, "Cannot read properties of undefined (reading 'length')");
  }
  const std::string_view length_name = "length";
  const JsValue length = walk({&length_name, 1}, options);
  const double present = to_number(length, arena_) - static_cast<double>(absent.array_size());
  const bool enough = less_or_equal(need, JsValue::number(present), arena_);
  return enough ? JsValue::array(arena_.make_values(0)) : absent;
}

JsValue Evaluator::apply(const JsValue& logic, JsValue data) {
  const bool is_rule =
      (logic.kind() == JsValue::Kind::kJsonObject && logic.json_object().size() == 1) ||
      (logic.kind() == JsValue::Kind::kArenaObject && logic.members().size() == 1);
  if (!is_rule && !logic.is_array()) return logic;
  if (apply_depth_ >= kApplyDepthMax) {
    fail(EvalError::Kind::kBudget, "rules found in the data lead to each other too often");
  }
  const Code code = compile_code(logic, kApplyNestingMax);
  arena_.charge(code.node_count * sizeof(Node));
  TraceSink* const outer_trace = trace_;
  trace_ = nullptr;
  ++apply_depth_;
  const JsValue value = eval(code.root, data);
  --apply_depth_;
  trace_ = outer_trace;
  return value;
}

}  // namespace state_engine::logic
