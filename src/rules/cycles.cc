// Cycles of derived mutations.
//
// Rule r leads to rule s if r writes a literal key on which s is guarded, or which s, being without
// a guard, reads through `state`. Two prunings keep ordinary configurations loadable; both are
// sound: what they leave out cannot go on for ever. What is not literal stays invisible here and is
// stopped by the engine's budget.

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/assert.h"
#include "rules/graph.h"

namespace state_engine {
namespace {

constexpr std::size_t kCyclesMax = 20;

// One literal proposeMutation. `value` is null if it is computed.
struct Write {
  std::string key;
  Op op = Op::kSet;
  const json::Value* value = nullptr;
};

const json::Value kDeletedValue;

std::vector<Write> literal_writes(const Rule& rule) {
  std::vector<Write> writes;
  for (const Action& action : rule.actions) {
    const auto* mutation = std::get_if<ProposeMutation>(&action);
    if (mutation == nullptr || !mutation->key.is_constant()) continue;
    Write write{std::string(mutation->key.source().get_string()), mutation->op, nullptr};
    if (mutation->op == Op::kDelete) write.value = &kDeletedValue;
    if (mutation->op == Op::kSet && mutation->value->is_constant()) {
      write.value = &mutation->value->source();
    }
    writes.push_back(std::move(write));
  }
  return writes;
}

// True if a condition that reads only these members is settled by them.
bool reads_only(const logic::Dependencies& dependencies, const std::set<std::string>& members) {
  return !dependencies.reads_anything &&
         std::includes(members.begin(), members.end(), dependencies.context_reads.begin(),
                       dependencies.context_reads.end());
}

// True if `rule` cannot match a change made by `write` of the rule `writer`.
bool contradicts(const Rule& rule, const Write& write, const std::string& writer) {
  std::set<std::string> known = {"actor", "key", "op"};
  json::Object data = {
      {"key", write.key}, {"op", to_string(write.op)}, {"actor", "rule:" + writer}};
  if (write.value != nullptr) {
    known.insert("value");
    data["value"] = *write.value;
  }
  const json::Value change(std::move(data));
  for (const json::Value* part : logic::conjuncts(rule.when.rule())) {
    if (!reads_only(logic::find_dependencies(*part), known)) continue;
    const logic::EvalReport report = logic::eval_once(*part, change);
    if (!report.error.has_value() && !report.truthy) return true;
  }
  return false;
}

bool reads_key(const logic::Dependencies& dependencies, const std::string& key) {
  return std::any_of(
      dependencies.state_reads.begin(), dependencies.state_reads.end(),
      [&key](const std::string& read) { return read == key || read.starts_with(key + "."); });
}

// Which rules lead to which, through which key.
class TriggerGraph {
 public:
  struct Edge {
    std::size_t to;
    std::string key;
  };

  explicit TriggerGraph(std::span<const Rule> rules) : rules_(rules), edges_(rules.size()) {
    for (const Rule& rule : rules) writes_.push_back(literal_writes(rule));
    index_readers();
    find_constant_keys();
    for (std::size_t i = 0; i < rules.size(); ++i) {
      for (const Write& write : writes_[i]) add_edges(i, write);
    }
  }

  std::vector<RuleCycle> cycles() const {
    std::vector<bool> suspect = peel();
    std::vector<RuleCycle> found;
    for (std::size_t start = 0; start < rules_.size() && found.size() < kCyclesMax; ++start) {
      if (!suspect[start]) continue;
      const std::vector<Edge> cycle = shortest_cycle(start);
      if (cycle.empty()) continue;
      std::string text = cycle.back().key + " -> rule " + rules_[start].id;
      for (const Edge& edge : cycle) {
        text += " -> " + edge.key;
        if (edge.to != start) text += " -> rule " + rules_[edge.to].id;
        suspect[edge.to] = false;
      }
      found.push_back({start, std::move(text)});
    }
    return found;
  }

 private:
  void index_readers() {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const logic::Dependencies& dependencies = rules_[i].dependencies;
      if (dependencies.guard_keys.has_value()) {
        for (const std::string& key : *dependencies.guard_keys) guarded_[key].push_back(i);
        for (const std::string& prefix : dependencies.guard_prefixes) {
          guarded_by_prefix_[prefix].push_back(i);
        }
      } else if (!dependencies.state_reads.empty()) {
        unguarded_.push_back(i);
      }
    }
  }

  // Keys to which all rules write one and the same literal value.
  void find_constant_keys() {
    for (const auto& writes : writes_) {
      for (const Write& write : writes) {
        const json::Value* value = write.op == Op::kSet ? write.value : nullptr;
        const auto [known, inserted] = constant_.emplace(write.key, value);
        if (inserted || known->second == nullptr) continue;
        if (value == nullptr || !json::equal(*known->second, *value)) known->second = nullptr;
      }
    }
  }

  void add_edges(std::size_t from, const Write& write) {
    if (const auto found = guarded_.find(write.key); found != guarded_.end()) {
      for (const std::size_t to : found->second) add_edge(from, write, to);
    }
    for (const auto& [prefix, readers] : guarded_by_prefix_) {
      if (!write.key.starts_with(prefix)) continue;
      for (const std::size_t to : readers) add_edge(from, write, to);
    }
    for (const std::size_t to : unguarded_) {
      if (reads_key(rules_[to].dependencies, write.key)) add_edge(from, write, to);
    }
  }

  void add_edge(std::size_t from, const Write& write, std::size_t to) {
    const Rule& reader = rules_[to];
    if (settles(reader, write.key)) return;
    // A rule that fires when its condition stops to hold is triggered by just such a value.
    if (reader.trigger != Trigger::kFall && contradicts(reader, write, rules_[from].id)) return;
    edges_[from].push_back({to, write.key});
  }

  // True if the rules' writes to `key` make `reader` fire once at most: the value stays the same.
  bool settles(const Rule& reader, const std::string& key) const {
    if (constant_.at(key) == nullptr) return false;
    if (reader.trigger == Trigger::kChange) return true;
    return reader.trigger != Trigger::kCommit && reads_only(reader.dependencies, {"key", "value"});
  }

  // Marks the rules that are on a cycle or between two: takes off, again and again, those to which
  // nothing leads.
  std::vector<bool> peel() const {
    std::vector<int> incoming(rules_.size(), 0);
    for (const auto& edges : edges_) {
      for (const Edge& edge : edges) ++incoming[edge.to];
    }
    std::vector<bool> suspect(rules_.size(), true);
    std::deque<std::size_t> free;
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (incoming[i] == 0) free.push_back(i);
    }
    while (!free.empty()) {
      const std::size_t rule = free.front();
      free.pop_front();
      suspect[rule] = false;
      for (const Edge& edge : edges_[rule]) {
        if (--incoming[edge.to] == 0) free.push_back(edge.to);
      }
    }
    return suspect;
  }

  // The edges of the shortest way from `start` back to it; empty if there is none.
  std::vector<Edge> shortest_cycle(std::size_t start) const {
    struct Arrival {
      std::size_t from;
      std::string key;
    };
    std::unordered_map<std::size_t, Arrival> reached;
    std::deque<std::size_t> next = {start};
    while (!next.empty() && !reached.contains(start)) {
      const std::size_t rule = next.front();
      next.pop_front();
      for (const Edge& edge : edges_[rule]) {
        if (reached.emplace(edge.to, Arrival{rule, edge.key}).second) next.push_back(edge.to);
      }
    }
    std::vector<Edge> cycle;
    if (!reached.contains(start)) return cycle;
    std::size_t at = start;
    do {
      const Arrival& arrival = reached.at(at);
      cycle.push_back({at, arrival.key});
      at = arrival.from;
    } while (at != start);
    std::reverse(cycle.begin(), cycle.end());
    return cycle;
  }

  std::span<const Rule> rules_;
  std::vector<std::vector<Write>> writes_;  // per rule
  std::map<std::string, std::vector<std::size_t>> guarded_;
  std::map<std::string, std::vector<std::size_t>> guarded_by_prefix_;
  std::vector<std::size_t> unguarded_;
  std::map<std::string, const json::Value*> constant_;  // null: different values
  std::vector<std::vector<Edge>> edges_;
};

}  // namespace

std::vector<RuleCycle> find_cycles(std::span<const Rule> rules) {
  return TriggerGraph(rules).cycles();
}

}  // namespace state_engine
