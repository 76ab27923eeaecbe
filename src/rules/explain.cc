// The tree is built from the trace of one evaluation; the deciding node is found afterwards.

#include "rules/explain.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "rules/evaluator.h"
#include "rules/fault.h"
#include "rules/js_json.h"
#include "rules/lint.h"
#include "rules/node.h"

namespace state_engine::logic {
namespace {

constexpr std::size_t kNodesMax = 10'000;
constexpr int kIterationsKept = 5;
constexpr std::size_t kTextBytesMax = 200;

std::string cut(std::string text) {
  if (text.size() <= kTextBytesMax) return text;
  std::size_t end = kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string value_text(const JsValue& value) {
  constexpr std::size_t kBytesMax = 1U << 20U;
  Arena arena(kBytesMax);
  if (value.is_number()) return json::number_to_string(value.as_number());
  try {
    return cut(stringify(value, arena).value_or("undefined"));
  } catch (const Fault&) {
    return "(too large to show)";
  }
}

bool is_junction(const ExplainNode& node) {
  return node.op == "and" || node.op == "or" || node.op == "if" || node.op == "?:";
}

// Builds the tree while the evaluator runs.
class TreeBuilder final : public TraceSink {
 public:
  void enter(const Node& node) override {
    if (ignored_ > 0 || recorded_ >= kNodesMax) {
      ++ignored_;
      return;
    }
    ++recorded_;
    Frame frame;
    frame.node = &node;
    frame.tree = make_node(node, path_of(node));
    frame.seen.resize(node.args.size());
    if (!frames_.empty()) mark_seen(frames_.back(), node);
    frames_.push_back(std::move(frame));
  }

  void leave(const Node& /*node*/, const JsValue& value) override {
    if (ignored_ > 0) {
      --ignored_;
      return;
    }
    frames_.back().tree.value = value_text(value);
    frames_.back().tree.truthy = truthy(value);
    fold();
  }

  // The tree, after the evaluation ended. `error` is put where it happened.
  ExplainNode finish(const std::string& error) {
    if (!frames_.empty()) frames_.back().tree.error = error;
    while (!frames_.empty()) fold();
    return std::move(root_);
  }

 private:
  struct Frame {
    const Node* node = nullptr;
    ExplainNode tree;
    std::vector<bool> seen;  // arguments
    int iterations = 0;      // of the body of an array operator
  };

  static std::size_t index_in(const Frame& parent, const Node& node) {
    return static_cast<std::size_t>(&node - parent.node->args.data());
  }

  static std::string argument_path(const Frame& parent, std::size_t index) {
    std::string path = parent.tree.path;
    if (parent.node->op != Opcode::kArray) path = child_path(path, parent.node->name);
    return parent.node->wrapped ? path : child_path(path, index);
  }

  std::string path_of(const Node& node) const {
    if (frames_.empty()) return "";
    return argument_path(frames_.back(), index_in(frames_.back(), node));
  }

  void mark_seen(Frame& parent, const Node& node) const {
    const std::size_t index = index_in(parent, node);
    SE_ASSERT(index < parent.seen.size());
    parent.seen[index] = true;
  }

  ExplainNode make_node(const Node& node, std::string path) const {
    ExplainNode tree;
    tree.path = std::move(path);
    tree.op = std::string(node.name);
    switch (node.op) {
      case Opcode::kConstant:
        tree.label = value_text(node.constant);
        break;
      case Opcode::kArray:
        tree.label = "[...]";
        break;
      case Opcode::kVarPath: {
        const auto steps = node.path;
        if (steps.empty()) {
          tree.label = "(all data)";
        } else {
          const char* const begin = steps.front().data();
          tree.label.assign(begin, steps.back().data() + steps.back().size());
        }
        break;
      }
      default:
        tree.label = tree.op;
    }
    return tree;
  }

  // Arguments of `and`, `or` and `if` that were never looked at, put where they belong.
  void add_skipped(Frame& frame) const {
    if (!is_junction(frame.tree)) return;
    std::vector<ExplainNode> all;
    auto evaluated = frame.tree.children.begin();
    for (std::size_t i = 0; i < frame.seen.size(); ++i) {
      if (frame.seen[i] && evaluated != frame.tree.children.end()) {
        all.push_back(std::move(*evaluated++));
      } else if (!frame.seen[i]) {
        const Node& node = frame.node->args[i];
        ExplainNode skipped = make_node(node, argument_path(frame, i));
        skipped.skipped = true;
        all.push_back(std::move(skipped));
      }
    }
    frame.tree.children = std::move(all);
  }

  // Hangs the finished top frame below the one under it.
  void fold() {
    Frame done = std::move(frames_.back());
    frames_.pop_back();
    add_skipped(done);
    if (frames_.empty()) {
      root_ = std::move(done.tree);
      return;
    }
    Frame& parent = frames_.back();
    const bool is_body = has_element_scope(parent.node->op) && index_in(parent, *done.node) == 1;
    if (is_body && ++parent.iterations > kIterationsKept + 1) {
      // The last iteration takes the place of the one before.
      parent.tree.children.back() = std::move(done.tree);
      ++parent.tree.iterations_hidden;
      return;
    }
    parent.tree.children.push_back(std::move(done.tree));
  }

  std::vector<Frame> frames_;
  ExplainNode root_;
  std::size_t recorded_ = 0;
  int ignored_ = 0;  // depth inside what is beyond kNodesMax
};

const ExplainNode* last_evaluated(const ExplainNode& node, bool operators_only) {
  const auto found = std::find_if(node.children.rbegin(), node.children.rend(),
                                  [operators_only](const ExplainNode& child) {
                                    return !child.skipped && !(operators_only && child.op.empty());
                                  });
  return found != node.children.rend() ? &*found : nullptr;
}

const ExplainNode& deciding_node(const ExplainNode& root) {
  const ExplainNode* node = &root;
  for (;;) {
    const bool passes_on = is_junction(*node) || node->op == "!" || node->op == "!!";
    // A literal branch of an `if` says nothing: its condition decided.
    const ExplainNode* next = passes_on ? last_evaluated(*node, true) : nullptr;
    if (next == nullptr) return *node;
    node = next;
  }
}

std::string expression(const ExplainNode& node) {
  if (node.op.empty() || node.op == "var") return node.label;
  std::string text;
  const bool infix =
      node.children.size() == 2 && !node.op.empty() &&
      (std::string("=!<>+-*/%").find(node.op[0]) != std::string::npos || node.op == "in");
  if (infix) {
    return cut(expression(node.children[0]) + " " + node.op + " " + expression(node.children[1]));
  }
  text = node.op + "(";
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) text += ", ";
    text += expression(node.children[i]);
  }
  return cut(text + ")");
}

// `value == "on" is false (value is "off")`
std::string decided_text(const ExplainNode& node) {
  if (!node.error.empty()) return expression(node) + " failed: " + node.error;
  std::string text = expression(node) + " is " + node.value;
  std::string inputs;
  for (const ExplainNode& child : node.children) {
    if (child.op.empty() || child.skipped) continue;
    inputs += (inputs.empty() ? "" : ", ") + expression(child) + " is " + child.value;
  }
  return inputs.empty() ? text : text + " (" + inputs + ")";
}

json::Value node_json(const ExplainNode& node) {
  json::Object object = {{"path", node.path}, {"label", node.label}};
  if (!node.op.empty()) object["op"] = node.op;
  if (node.skipped) {
    object["skipped"] = true;
    return object;
  }
  if (!node.error.empty()) {
    object["error"] = node.error;
  } else {
    object["value"] = node.value;
    object["truthy"] = node.truthy;
  }
  if (node.iterations_hidden > 0) object["iterationsHidden"] = node.iterations_hidden;
  if (!node.children.empty()) {
    json::Array children;
    for (const ExplainNode& child : node.children) children.push_back(node_json(child));
    object["children"] = std::move(children);
  }
  return object;
}

void append_lines(std::string& out, const ExplainNode& node, const ExplainNode* decided,
                  int depth) {
  out.append(static_cast<std::size_t>(depth) * 2, ' ');
  out += node.label;
  if (node.skipped) {
    out += "  (not looked at)\n";
    return;
  }
  if (!node.error.empty()) {
    out += "  failed: " + node.error;
  } else if (!node.op.empty()) {
    out += " = " + node.value;
  }
  if (&node == decided) out += "  <-- decided";
  out += "\n";
  for (const ExplainNode& child : node.children) append_lines(out, child, decided, depth + 1);
  if (node.iterations_hidden > 0) {
    out.append(static_cast<std::size_t>(depth + 1) * 2, ' ');
    out += "(" + std::to_string(node.iterations_hidden) + " elements not shown)\n";
  }
}

}  // namespace

Explanation explain(const Program& program, JsValue data, const Budget& budget) {
  Explanation explanation;
  Arena arena(budget.bytes_max);
  TreeBuilder builder;
  const EvalResult result = program.evaluate(data, arena, budget, &builder);
  if (result.ok()) {
    explanation.matched = truthy(result.value);
    explanation.value = value_text(result.value);
  } else {
    explanation.error = result.error->message;
  }
  explanation.root = builder.finish(explanation.error);
  const ExplainNode& decided = deciding_node(explanation.root);
  explanation.decided = decided.path;
  explanation.decided_text = decided_text(decided);
  return explanation;
}

json::Value to_json(const Explanation& explanation) {
  json::Object object = {{"matched", explanation.matched}};
  if (explanation.error.empty()) {
    object["value"] = explanation.value;
  } else {
    object["error"] = explanation.error;
  }
  object["decided"] = explanation.decided;
  object["because"] = explanation.decided_text;
  object["tree"] = node_json(explanation.root);
  return object;
}

std::string to_text(const Explanation& explanation) {
  std::string text;
  append_lines(text, explanation.root, &deciding_node(explanation.root), 0);
  return text;
}

}  // namespace state_engine::logic
