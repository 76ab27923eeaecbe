// Evaluation of the rules on one change. A rule whose guards exclude it is not run at all.

#include "rules/rule_set.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hex.h"
#include "core/keys.h"
#include "rules/change_data.h"
#include "rules/graph.h"
#include "rules/rule_loader.h"

namespace state_engine {
namespace {

using logic::Arena;
using logic::JsValue;

// The state as it was before a change: the changed key has its old snapshot.
class StateBefore final : public StateLookup {
 public:
  StateBefore(const StateLookup& now, const Snapshot& before) : now_(now), before_(before) {}

  const Snapshot* find(std::string_view key) const override {
    return key == before_.key ? &before_ : now_.find(key);
  }

 private:
  const StateLookup& now_;
  const Snapshot& before_;
};

// The truth that a rule would have had before the change, had it been watched then: this is what
// "first seen at load without firing" amounts to. An absent key makes no condition true.
bool truth_before(const Rule& rule, const ChangeContext& change, const StateLookup& state) {
  if (change.before == nullptr) return false;
  const StateBefore lookup(state, *change.before);
  const ChangeFields fields = ChangeFields::of(*change.before);
  const ChangeData data(fields, lookup);
  Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = rule.when.evaluate(JsValue::data_object(data), arena);
  return result.ok() && logic::truthy(result.value);
}

bool should_fire(const Rule& rule, const ChangeFields& fields, bool matched, bool previous_truth) {
  switch (rule.trigger) {
    case Trigger::kCommit:
      return matched;
    case Trigger::kChange:
      return matched && fields.changed();
    case Trigger::kRise:
      return matched && !previous_truth;
    case Trigger::kFall:
      return !matched && previous_truth;
  }
  SE_UNREACHABLE();
}

Result<std::string> fill_text(const logic::Template& source, const char* what, JsValue data,
                              Arena& arena) {
  Result<json::Value> filled = source.fill(data, arena);
  if (!filled.ok()) return std::move(filled).error();
  if (!filled->is_string()) {
    return invalid_argument(std::string(what) + " must become a string, not " +
                            json::write(*filled).substr(0, 100));
  }
  return std::string(filled->get_string());
}

// Carries out the actions of a rule that fires; the first error spoils them all.
class ActionRunner {
 public:
  ActionRunner(const Rule& rule, std::string_view key, JsValue data, RuleOutcome& outcome)
      : rule_(rule), key_(key), data_(data), outcome_(outcome) {}

  Status run() {
    for (const Action& action : rule_.actions) {
      SE_RETURN_IF_ERROR(std::visit([this](const auto& kind) { return perform(kind); }, action));
      ++index_;
    }
    return {};
  }

 private:
  Status perform(const PublishEgress& action) {
    Arena arena(logic::Budget{}.bytes_max);
    Result<json::Value> payload = action.payload.fill(data_, arena);
    if (!payload.ok()) return failed(payload.error());
    EmittedEffect effect{index_, "", json::write_canonical(*payload)};
    if (payload->is_object()) {
      effect.type = json::find_string(payload->get_object(), "type").value_or("");
    }
    outcome_.effects.push_back(std::move(effect));
    return {};
  }

  Status perform(const ProposeMutation& action) {
    Arena arena(logic::Budget{}.bytes_max);
    Result<std::string> key = fill_text(action.key, "the key", data_, arena);
    if (!key.ok()) return failed(key.error());
    if (const auto fault = key_fault(*key)) return failed(invalid_argument(*fault));
    DerivedProposal proposal;
    proposal.action_index = index_;
    proposal.op = action.op;
    proposal.key = *std::move(key);
    proposal.expected_version = action.expected_version;
    proposal.ttl = action.ttl;
    proposal.reason = "rule " + rule_.id + " on " + std::string(key_);
    if (action.value.has_value()) {
      Result<json::Value> value = action.value->fill(data_, arena);
      if (!value.ok()) return failed(value.error());
      proposal.value = std::move(value).value();
    }
    if (action.reason.has_value()) {
      Result<std::string> reason = fill_text(*action.reason, "the reason", data_, arena);
      if (!reason.ok()) return failed(reason.error());
      proposal.reason = *std::move(reason);
    }
    outcome_.derived.push_back(std::move(proposal));
    return {};
  }

  Status failed(const Error& error) const {
    return Error{error.code, "action " + std::to_string(index_) + ": " + error.message};
  }

  const Rule& rule_;
  std::string_view key_;
  JsValue data_;
  RuleOutcome& outcome_;
  int index_ = 0;
};

bool is_worth_telling(const RuleOutcome& outcome) {
  return outcome.matched || outcome.fired || !outcome.error.empty() || !outcome.reads.empty() ||
         outcome.new_truth.has_value();
}

// Runs one rule on one change.
RuleOutcome run_rule(const Rule& rule, const ChangeContext& change, const ChangeFields& fields,
                     const StateLookup& state, const TruthStore& truths) {
  RuleOutcome outcome;
  ChangeData data(fields, state);
  Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = rule.when.evaluate(JsValue::data_object(data), arena);
  if (!result.ok()) {
    outcome.error = result.error->message;
    outcome.reads = data.take_reads();
    return outcome;
  }
  outcome.matched = logic::truthy(result.value);
  bool previous_truth = false;
  if (rule.keeps_truth()) {
    const std::optional<bool> stored = truths.truth(rule.id, fields.key);
    previous_truth = stored.has_value() ? *stored : truth_before(rule, change, state);
    if (stored != outcome.matched) outcome.new_truth = outcome.matched;
  }
  outcome.fired = should_fire(rule, fields, outcome.matched, previous_truth);
  if (outcome.fired) {
    const Status done = ActionRunner(rule, fields.key, JsValue::data_object(data), outcome).run();
    if (!done.ok()) {
      outcome.error = done.error().message;
      outcome.fired = false;
      outcome.effects.clear();
      outcome.derived.clear();
    }
  }
  outcome.reads = data.take_reads();
  return outcome;
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
  const auto found = std::find_if(rules_.begin(), rules_.end(),
                                  [rule_id](const Rule& rule) { return rule.id == rule_id; });
  return found != rules_.end() ? &*found : nullptr;
}

std::vector<RuleOutcome> RuleSet::evaluate(const ChangeContext& change, const StateLookup& state,
                                           const TruthStore& truths) const {
  std::vector<RuleOutcome> outcomes;
  const ChangeFields fields = ChangeFields::of(change);
  for (const std::uint32_t position : index_.candidates(fields.key, *fields.value)) {
    const Rule& rule = rules_[position];
    tell(rule, run_rule(rule, change, fields, state, truths), outcomes);
  }
  return outcomes;
}

std::vector<RuleOutcome> RuleSet::evaluate_linearly_for_test(const ChangeContext& change,
                                                             const StateLookup& state,
                                                             const TruthStore& truths,
                                                             bool heed_guards) const {
  std::vector<RuleOutcome> outcomes;
  const ChangeFields fields = ChangeFields::of(change);
  for (const Rule& rule : rules_) {
    if (heed_guards && !rule.admits(fields.key, *fields.value)) continue;
    tell(rule, run_rule(rule, change, fields, state, truths), outcomes);
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
