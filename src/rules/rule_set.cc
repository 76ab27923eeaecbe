// Evaluation of the rules on one change. A rule whose guards exclude it is not run at all.

#include "rules/rule_set.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hex.h"
#include "rules/change_data.h"
#include "rules/graph.h"
#include "rules/rule_loader.h"
#include "rules/rule_runner.h"

namespace state_engine {
namespace {

using logic::JsValue;

bool is_worth_telling(const RuleOutcome& outcome) {
  return outcome.matched || outcome.fired || !outcome.error.empty() || !outcome.reads.empty() ||
         outcome.memory.has_value();
}

void tell(const Rule& rule, RuleOutcome outcome, std::vector<RuleOutcome>& outcomes) {
  if (!is_worth_telling(outcome)) return;
  outcome.rule_id = rule.id;
  outcome.rule_hash = rule.hash;
  outcomes.push_back(std::move(outcome));
}

}  // namespace

RuleSetLoad RuleSet::load(const json::Value& rules) {
  RuleSetLoad result;
  const std::shared_ptr<RuleSet> set(new RuleSet);
  set->rules_ = RuleLoader(result.problems).load(rules);
  for (const RuleCycle& cycle : find_cycles(set->rules_)) {
    // Rules that could not be loaded are left out of the set: count by id in the source.
    const std::string& id = set->rules_[cycle.rule_index].id;
    const json::Array& source = rules.get_array();
    const auto found = std::find_if(source.begin(), source.end(), [&id](const json::Value& rule) {
      return rule.is_object() && json::find_string(rule.get_object(), "id") == id;
    });
    result.problems.push_back(
        {logic::child_path("", static_cast<std::size_t>(found - source.begin())),
         "derived mutations could trigger each other for ever: " + cycle.text});
  }
  if (!result.problems.empty()) return result;
  std::string hashes;
  for (const Rule& rule : set->rules_) hashes += rule.hash + "\n";
  set->revision_ = sha256_hex(hashes);
  for (std::size_t i = 0; i < set->rules_.size(); ++i) set->positions_[set->rules_[i].id] = i;
  set->index_ = RuleIndex(set->rules_);
  result.rules = set;
  return result;
}

RuleSetPtr RuleSet::empty() {
  RuleSetLoad result = load(json::Array());
  SE_ASSERT(result.ok());
  return result.rules;
}

const Rule* RuleSet::find(std::string_view rule_id) const {
  const auto found = positions_.find(rule_id);
  return found != positions_.end() ? &rules_[found->second] : nullptr;
}

std::vector<RuleOutcome> RuleSet::evaluate(const ChangeContext& change, const StateLookup& state,
                                           const MemoryLookup& memories,
                                           EvaluationSink* all) const {
  std::vector<RuleOutcome> outcomes;
  const ChangeFields fields = ChangeFields::of(change);
  for (const std::uint32_t position : index_.candidates(fields.key, *fields.value)) {
    const Rule& rule = rules_[position];
    RuleOutcome outcome = run_rule(rule, change, fields, state, memories);
    if (all != nullptr) all->on_evaluation(rule, outcome);
    tell(rule, std::move(outcome), outcomes);
  }
  return outcomes;
}

RuleOutcome RuleSet::end_wait(const Rule& rule, const ChangeContext& change,
                              const StateLookup& state, const RuleMemory& memory,
                              Timestamp now) const {
  RuleOutcome outcome = run_after_wait(rule, change, state, memory, now);
  outcome.rule_id = rule.id;
  outcome.rule_hash = rule.hash;
  return outcome;
}

std::vector<RuleOutcome> RuleSet::evaluate_linearly_for_test(const ChangeContext& change,
                                                             const StateLookup& state,
                                                             const MemoryLookup& memories,
                                                             bool heed_guards) const {
  std::vector<RuleOutcome> outcomes;
  const ChangeFields fields = ChangeFields::of(change);
  for (const Rule& rule : rules_) {
    if (heed_guards && !rule.admits(fields.key, *fields.value)) continue;
    tell(rule, run_rule(rule, change, fields, state, memories), outcomes);
  }
  return outcomes;
}

logic::Explanation RuleSet::explain(const Rule& rule, const ChangeContext& change,
                                    const StateLookup& state) const {
  const ChangeFields fields = ChangeFields::of(change);
  const ChangeData data(fields, state);
  return logic::explain(rule.when, JsValue::data_object(data));
}

}  // namespace state_engine
