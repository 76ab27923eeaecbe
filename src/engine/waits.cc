// BatchBuilder, waits of rules (`for`): remembered when a change begins one, ended when the time is
// over.
//
// The end of a wait is a change of time, not of state; so that it has a place in the log, a seq, a
// cause and an id, it is recorded as a mutation of the key state-engine/fired/<rule id>, which only
// the engine writes. Its value says which change of which key the rule waited on. No rule runs on
// such a mutation but the one that fired. See docs/adr/0014.

#include <fmt/format.h>

#include "core/chain.h"
#include "engine/batch_builder.h"
#include "engine/rule_records.h"

namespace state_engine {
namespace {

constexpr std::string_view kEngineActor = "state-engine";

Proposal firing_proposal(const Rule& rule, const LastChange& last, const RuleMemory& memory,
                         Timestamp now) {
  const Proposal& change = last.entry.proposal;
  Proposal proposal;
  proposal.id = firing_id(rule.id, change.key, *memory.deadline);
  proposal.op = Op::kSet;
  proposal.key = firing_key(rule.id);
  proposal.value = json::Object{{"rule", rule.id},
                                {"key", change.key},
                                {"version", last.after->version},
                                {"since", format_rfc3339(memory.since.value_or(now))},
                                {"for", format_duration(rule.hold)}};
  proposal.actor = kEngineActor;
  proposal.reason = fmt::format("the condition of rule '{}' has been {} for {} on {}", rule.id,
                                rule.trigger == Trigger::kFall ? "false" : "true",
                                format_duration(rule.hold), change.key);
  proposal.ts = now;
  proposal.causation_id = change.id;
  proposal.correlation_id = change.correlation_id;
  proposal.traceparent = change.traceparent;
  return proposal;
}

}  // namespace

// ---- Memory ----------------------------------------------------------------------------------

const Remembered* BatchBuilder::remembered(const std::string& name) const {
  const auto item = memories_.find(name);
  return item != memories_.end() ? &item->second : remembered_before(name);
}

const Remembered* BatchBuilder::remembered_before(const std::string& name) const {
  if (env_.ahead != nullptr) {
    const auto item = env_.ahead->memories_.find(name);
    if (item != env_.ahead->memories_.end()) return &item->second;
  }
  return env_.memories.find(name);
}

std::optional<RuleMemory> BatchBuilder::memory(std::string_view rule_id,
                                               std::string_view key) const {
  const Remembered* found = remembered(memory_name(rule_id, key));
  return found != nullptr ? std::optional<RuleMemory>(found->memory) : std::nullopt;
}

void BatchBuilder::set_memory(const std::string& name, Remembered value) {
  const auto item = memories_.find(name);
  memory_undo_.push_back(
      {name, item != memories_.end() ? std::optional<Remembered>(item->second) : std::nullopt});
  memories_[name] = std::move(value);
}

void BatchBuilder::remember(const Pending& cause, const RuleOutcome& outcome, LastChangePtr& last) {
  const bool waits = outcome.memory->deadline.has_value();
  if (waits && last == nullptr) {
    last = make_last_change(entries_[cause.entry], cause.before, cause.after);
  }
  set_memory(memory_name(outcome.rule_id, cause.after->key),
             {*outcome.memory, waits ? last : nullptr});
}

// ---- The end of a wait -----------------------------------------------------------------------

void BatchBuilder::end_wait(const std::string& name) {
  const auto due = [&]() -> const Remembered* {
    const Remembered* found = remembered(name);
    const bool ended =
        found != nullptr && found->memory.deadline && *found->memory.deadline <= env_.now;
    return ended ? found : nullptr;
  };
  const Remembered* found = due();
  if (found == nullptr) return;
  const std::string key(key_of_memory(name));
  const SnapshotPtr current = latest(key);
  if (current != nullptr && !current->deleted && current->expires_at &&
      *current->expires_at <= *found->memory.deadline) {
    expire_if_due(key);  // its value was gone when the wait ended
    found = due();
    if (found == nullptr) return;
  }
  const Remembered ended = *found;
  const Rule* rule = env_.rules->find(rule_of_memory(name));
  const SnapshotPtr now = latest(key);
  // The rule was not run on a later change if that one's cascade was over its budget.
  const bool followed =
      ended.change != nullptr && now != nullptr && ended.change->after->version == now->version;
  if (rule == nullptr || !followed) {
    RuleMemory without = ended.memory;
    without.since.reset();
    without.deadline.reset();
    set_memory(name, {without, nullptr});
    return;
  }
  const LastChange& last = *ended.change;
  const ChangeContext change{last.entry, last.before.get(), *last.after};
  const RuleOutcome outcome = env_.rules->end_wait(*rule, change, *this, ended.memory, env_.now);
  if (outcome.fired || !outcome.error.empty()) {
    record_firing(name, ended, outcome);
    return;
  }
  evaluations_.push_back(to_evaluation(last.entry, rule->id, outcome));
  const bool goes_on = outcome.memory->deadline.has_value();
  set_memory(name, {*outcome.memory, goes_on ? ended.change : nullptr});
}

void BatchBuilder::record_firing(const std::string& name, const Remembered& ended,
                                 const RuleOutcome& outcome) {
  const Rule& rule = *env_.rules->find(outcome.rule_id);
  const Proposal proposal = firing_proposal(rule, *ended.change, ended.memory, env_.now);
  const Origin origin{std::string(kEngineActor), true};
  const Decision decision{proposal, origin, payload_hash(proposal), "", true, false, true};
  const Mark start = mark();
  std::vector<Pending> pending;
  const MutationResult result = decide_one(decision, 0, pending);
  SE_ASSERT(result.accepted);
  const Pending firing = std::move(pending.back());
  pending.clear();
  entries_[firing.entry].rules.push_back(to_record(outcome));
  evaluations_.push_back(to_evaluation(entries_[firing.entry], rule.id, outcome));
  set_memory(name, {*outcome.memory, nullptr});
  std::vector<MutationResult> derived;
  if (outcome.fired) apply_outcome(firing, outcome, pending, derived);
  std::string fault;
  if (run_rules(std::move(pending), derived, fault)) return;
  rollback(start);
  set_memory(name, {*outcome.memory, nullptr});
  reject(decision, nullptr, RejectionCode::kRuleBudgetExceeded, std::move(fault));
}

}  // namespace state_engine
