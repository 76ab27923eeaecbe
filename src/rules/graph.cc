// The graph as text, JSON, Graphviz DOT and Mermaid.

#include "rules/graph.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "base/assert.h"

namespace state_engine {
namespace {

using Kind = GraphEdge::Kind;

constexpr std::string_view kAnyKey = "*";
constexpr std::string_view kComputed = "(computed)";

std::string_view verb(Kind kind) {
  switch (kind) {
    case Kind::kTriggers:
      return "triggers";
    case Kind::kReads:
      return "reads";
    case Kind::kWrites:
      return "writes";
    case Kind::kEmits:
      return "emits";
  }
  SE_UNREACHABLE();
}

std::string target_of(const Action& action) {
  if (const auto* mutation = std::get_if<ProposeMutation>(&action)) {
    return mutation->key.is_constant() ? std::string(mutation->key.source().get_string())
                                       : std::string(kComputed);
  }
  const json::Value& payload = std::get<PublishEgress>(action).payload.source();
  if (!payload.is_object()) return std::string(kComputed);
  const json::Value* type = json::find(payload.get_object(), "type");
  if (type == nullptr) return "(no type)";
  return type->is_string() ? std::string(type->get_string()) : std::string(kComputed);
}

// Keys and rules and effects live in three name spaces.
std::string node_id(const GraphEdge& edge, bool rule_side) {
  if (rule_side) return "rule " + edge.rule;
  return (edge.kind == Kind::kEmits ? "effect " : "key ") + edge.name;
}

std::string escaped(std::string_view text, std::string_view quote) {
  std::string result;
  for (const char c : text) {
    if (c == '"') {
      result += quote;
    } else if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += ' ';
    } else {
      result += c;
    }
  }
  return result;
}

// True if a trigger ("a.b", "a.*", "*") covers `key`.
bool covers(std::string_view trigger, std::string_view key) {
  if (!trigger.ends_with(kAnyKey)) return trigger == key;
  return key.starts_with(trigger.substr(0, trigger.size() - kAnyKey.size()));
}

// True if `state.<name>` may lead to `key`: a name goes on below the key's own value.
bool is_read_as(std::string_view name, std::string_view key) {
  return name == key || (name.starts_with(key) && name.substr(key.size()).starts_with('.'));
}

bool into_rule(Kind kind) { return kind == Kind::kTriggers || kind == Kind::kReads; }

}  // namespace

RuleGraph RuleGraph::build(std::span<const Rule> rules) {
  RuleGraph graph;
  const auto add = [&graph](GraphEdge edge) {
    // A rule has few edges, all of them at the end.
    const auto same_rule = std::find_if(graph.edges_.rbegin(), graph.edges_.rend(),
                                        [&](const GraphEdge& e) { return e.rule != edge.rule; });
    if (std::find(same_rule.base(), graph.edges_.end(), edge) != graph.edges_.end()) return;
    graph.edges_.push_back(std::move(edge));
  };
  for (const Rule& rule : rules) {
    graph.rules_.push_back(rule.id);
    if (rule.dependencies.guard_keys.has_value()) {
      for (const std::string& key : *rule.dependencies.guard_keys) {
        add({Kind::kTriggers, rule.id, key});
      }
      for (const std::string& prefix : rule.dependencies.guard_prefixes) {
        add({Kind::kTriggers, rule.id, prefix + std::string(kAnyKey)});
      }
    } else {
      add({Kind::kTriggers, rule.id, std::string(kAnyKey)});
    }
    for (const std::string& key : rule.dependencies.state_reads) add({Kind::kReads, rule.id, key});
    for (const Action& action : rule.actions) {
      const bool writes = std::holds_alternative<ProposeMutation>(action);
      add({writes ? Kind::kWrites : Kind::kEmits, rule.id, target_of(action)});
    }
  }
  return graph;
}

RuleGraph RuleGraph::part(const std::set<std::string_view>& chosen) const {
  RuleGraph part;
  for (const std::string& rule : rules_) {
    if (chosen.contains(rule)) part.rules_.push_back(rule);
  }
  for (const GraphEdge& edge : edges_) {
    if (chosen.contains(edge.rule)) part.edges_.push_back(edge);
  }
  return part;
}

RuleGraph RuleGraph::readers_of(std::string_view key) const {
  std::set<std::string_view> chosen;
  for (const GraphEdge& edge : edges_) {
    const bool triggers = edge.kind == Kind::kTriggers && covers(edge.name, key);
    const bool reads = edge.kind == Kind::kReads && is_read_as(edge.name, key);
    if (triggers || reads) chosen.insert(edge.rule);
  }
  return part(chosen);
}

RuleGraph RuleGraph::affected_by(std::string_view key) const {
  std::set<std::string_view> chosen;
  std::set<std::string_view> seen = {key};
  std::vector<std::string_view> open = {key};
  while (!open.empty()) {
    const std::string_view changed = open.back();
    open.pop_back();
    for (const GraphEdge& edge : edges_) {
      if (edge.kind != Kind::kTriggers || !covers(edge.name, changed)) continue;
      if (!chosen.insert(edge.rule).second) continue;
      for (const GraphEdge& written : edges_) {
        if (written.kind != Kind::kWrites || written.rule != edge.rule) continue;
        if (written.name != kComputed && seen.insert(written.name).second) {
          open.push_back(written.name);
        }
      }
    }
  }
  return part(chosen);
}

std::string RuleGraph::to_text() const {
  std::string text;
  auto edge = edges_.begin();
  for (const std::string& rule : rules_) {
    text += "rule " + rule + "\n";
    for (; edge != edges_.end() && edge->rule == rule; ++edge) {
      const std::string_view label =
          edge->kind == Kind::kTriggers ? "triggered by" : verb(edge->kind);
      text += "  " + std::string(label) + " " + edge->name + "\n";
    }
  }
  return text;
}

json::Value RuleGraph::to_json() const {
  json::Array rules;
  for (const std::string& rule : rules_) rules.emplace_back(rule);
  json::Array edges;
  for (const GraphEdge& edge : edges_) {
    edges.push_back(json::Object{{"kind", verb(edge.kind)},
                                 {"rule", edge.rule},
                                 {edge.kind == Kind::kEmits ? "effect" : "key", edge.name}});
  }
  return json::Object{{"rules", std::move(rules)}, {"edges", std::move(edges)}};
}

std::string RuleGraph::to_dot() const {
  std::string dot = "digraph rules {\n  rankdir=LR;\n";
  std::map<std::string, std::string> shapes;
  for (const std::string& rule : rules_) shapes["rule " + rule] = "box";
  for (const GraphEdge& edge : edges_) {
    shapes.emplace(node_id(edge, false), edge.kind == Kind::kEmits ? "cds" : "ellipse");
  }
  for (const auto& [id, shape] : shapes) {
    const std::string label = id.substr(id.find(' ') + 1);
    dot += "  \"" + escaped(id, "\\\"") + "\" [shape=" + shape + ", label=\"" +
           escaped(label, "\\\"") + "\"];\n";
  }
  for (const GraphEdge& edge : edges_) {
    const bool inward = into_rule(edge.kind);
    dot += "  \"" + escaped(node_id(edge, !inward), "\\\"") + "\" -> \"" +
           escaped(node_id(edge, inward), "\\\"") + "\"";
    dot += edge.kind == Kind::kReads ? " [style=dashed, label=\"reads\"];\n" : ";\n";
  }
  return dot + "}\n";
}

std::string RuleGraph::to_mermaid() const {
  std::string text = "graph LR\n";
  std::map<std::string, std::string> names;  // node id -> n0, n1, ...
  const auto name_of = [&](const std::string& id) -> const std::string& {
    const auto [found, inserted] = names.emplace(id, "n" + std::to_string(names.size()));
    if (inserted) {
      const std::string label = escaped(id.substr(id.find(' ') + 1), "#quot;");
      const bool is_rule = id.starts_with("rule ");
      text += "  " + found->second +
              (is_rule                  ? "[\""
               : id.starts_with("key ") ? "([\""
                                        : ">\"") +
              label +
              (is_rule                  ? "\"]"
               : id.starts_with("key ") ? "\"])"
                                        : "\"]") +
              "\n";
    }
    return found->second;
  };
  for (const std::string& rule : rules_) name_of("rule " + rule);
  for (const GraphEdge& edge : edges_) {
    const bool inward = into_rule(edge.kind);
    const std::string from = name_of(node_id(edge, !inward));
    const std::string to = name_of(node_id(edge, inward));
    text += "  ";
    text += from;
    text += edge.kind == Kind::kReads ? " -. reads .-> " : " --> ";
    text += to;
    text += '\n';
  }
  return text;
}

}  // namespace state_engine
