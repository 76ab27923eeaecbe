// Rules run on a change before what they derive is applied, and breadth first: before a derived
// entry is applied, the rules are run on all changes up to its cause. The members of a transaction
// are applied together; each is then followed by what it derived.

#include "engine/backtest.h"

#include <algorithm>

#include "base/assert.h"
#include "core/chain.h"
#include "core/keys.h"
#include "rules/rule_runner.h"

namespace state_engine {
namespace {

bool is_derived(const LogEntry& entry) { return entry.proposal.actor.starts_with("rule:"); }

std::string text_of(const DerivedProposal& proposal) {
  std::string text = std::string(to_string(proposal.op)) + " " + proposal.key;
  if (proposal.value) text += " " + json::write_canonical(*proposal.value);
  if (proposal.expected_version) {
    text += " expectedVersion " + std::to_string(*proposal.expected_version);
  }
  if (proposal.ttl) text += " ttl " + format_duration(*proposal.ttl);
  return text;
}

SnapshotPtr snapshot_of(const LogEntry& entry) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->key = entry.proposal.key;
  snapshot->value = entry.resulting_value.value_or(json::Value());
  snapshot->version = *entry.resulting_version;
  snapshot->updated_at = entry.committed_at;
  snapshot->updated_by = entry.proposal.actor;
  snapshot->seq = entry.seq;
  snapshot->mutation_id = entry.proposal.id;
  snapshot->reason = entry.proposal.reason;
  snapshot->metadata = entry.proposal.metadata;
  snapshot->deleted = !entry.resulting_value.has_value();
  return snapshot;
}

}  // namespace

std::optional<RuleMemory> Backtest::Side::memory(std::string_view rule_id,
                                                 std::string_view key) const {
  const auto found = memories.find(memory_name(rule_id, key));
  return found != memories.end() ? std::optional<RuleMemory>(found->second.memory) : std::nullopt;
}

Backtest::Backtest(RuleSetPtr changed, std::int64_t from, std::int64_t to) : from_(from), to_(to) {
  changed_.rules = std::move(changed);
  then_.rules = RuleSet::empty();
}

const Snapshot* Backtest::find(std::string_view key) const {
  const auto found = state_.find(key);
  return found != state_.end() && !found->second->deleted ? found->second.get() : nullptr;
}

// ---- The log ---------------------------------------------------------------------------------

void Backtest::use_rules(const RuleSetPtr& rules) {
  if (then_.rules->revision() == rules->revision()) return;
  for (auto& [name, remembered] : then_.memories) {
    const std::string_view id = rule_of_memory(name);
    remembered.memory = carry_over(then_.rules->find(id), rules->find(id), remembered.memory,
                                   find(key_of_memory(name)), *this);
  }
  then_.rules = rules;
}

void Backtest::feed(LogEntry entry, const RuleSetPtr& rules) {
  SE_ASSERT(entry.seq > seq_);
  seq_ = entry.seq;
  const bool member = !entry.transaction_id.empty() && entry.transaction_id == transaction_;
  if (is_derived(entry)) {
    run_until(entry.proposal.causation_id);
  } else if (!member) {
    run_until("");
    end_waits(entry.committed_at);
    use_rules(rules);
    transaction_ = entry.transaction_id;
  }
  now_ = entry.committed_at;
  if (entry.accepted) apply(std::move(entry));
}

void Backtest::apply(LogEntry entry) {
  Pending pending;
  const auto known = state_.find(entry.proposal.key);
  if (known != state_.end() && !known->second->deleted) pending.before = known->second;
  pending.after = snapshot_of(entry);
  pending.derived = is_derived(entry);
  state_[entry.proposal.key] = pending.after;
  if (is_reserved_key(entry.proposal.key)) return;  // no rule runs on what the engine records
  pending.entry = std::move(entry);
  const auto place = pending.derived
                         ? std::find_if(pending_.begin(), pending_.end(),
                                        [](const Pending& other) { return !other.derived; })
                         : pending_.end();
  pending_.insert(place, std::move(pending));
}

BacktestReport Backtest::finish() {
  run_until("");
  end_waits(now_);
  return std::move(report_);
}

// ---- The rules -------------------------------------------------------------------------------

void Backtest::run_until(std::string_view mutation_id) {
  const auto is_cause = [mutation_id](const Pending& pending) {
    return pending.entry.proposal.id == mutation_id;
  };
  if (!mutation_id.empty() && std::none_of(pending_.begin(), pending_.end(), is_cause)) return;
  while (!pending_.empty()) {
    const bool last = is_cause(pending_.front());
    run_next();
    if (last) return;
  }
}

void Backtest::run_next() {
  const Pending pending = std::move(pending_.front());
  pending_.pop_front();
  const Actions before = run(then_, pending);
  const Actions after = run(changed_, pending);
  if (pending.entry.seq < from_ || (to_ > 0 && pending.entry.seq > to_)) return;
  ++report_.changes;
  if (!reproduces(pending.entry, before)) ++report_.unreproduced;
  compare(pending.entry, before, after);
}

namespace {

template <typename Actions>
void add_actions(const RuleOutcome& outcome, Actions& actions) {
  for (const EmittedEffect& effect : outcome.effects) {
    actions.push_back({outcome.rule_id, true, effect.action_index, effect.payload});
  }
  for (const DerivedProposal& proposal : outcome.derived) {
    actions.push_back({outcome.rule_id, false, proposal.action_index, text_of(proposal)});
  }
}

}  // namespace

Backtest::Actions Backtest::run(Side& side, const Pending& pending) const {
  Actions actions;
  const ChangeContext change{pending.entry, pending.before.get(), *pending.after};
  LastChangePtr last;
  for (const RuleOutcome& outcome : side.rules->evaluate(change, *this, side)) {
    if (outcome.memory) {
      const bool waits = outcome.memory->deadline.has_value();
      if (waits && last == nullptr) {
        last = make_last_change(pending.entry, pending.before, pending.after);
      }
      side.memories[memory_name(outcome.rule_id, pending.after->key)] = {*outcome.memory,
                                                                         waits ? last : nullptr};
    }
    if (outcome.fired) add_actions(outcome, actions);
  }
  return actions;
}

void Backtest::end_waits(Timestamp until) {
  // What both sides do at the end of the same wait is compared with each other.
  std::map<std::pair<Timestamp, std::string>, std::pair<bool, bool>> due;
  const auto collect = [&](const Side& side, bool std::pair<bool, bool>::*mine) {
    for (const auto& [name, remembered] : side.memories) {
      const auto& deadline = remembered.memory.deadline;
      if (deadline && *deadline <= until) due[{*deadline, name}].*mine = true;
    }
  };
  collect(then_, &std::pair<bool, bool>::first);
  collect(changed_, &std::pair<bool, bool>::second);
  for (const auto& [wait, sides] : due) {
    const auto& [deadline, name] = wait;
    const Side& side = sides.first ? then_ : changed_;
    const LastChangePtr last = side.memories.at(name).change;
    const Actions before = sides.first ? end_wait(then_, name, deadline) : Actions();
    const Actions after = sides.second ? end_wait(changed_, name, deadline) : Actions();
    const bool in_range = seq_ >= from_ && (to_ == 0 || seq_ <= to_);
    if (last != nullptr && in_range) compare(last->entry, before, after);
  }
}

Backtest::Actions Backtest::end_wait(Side& side, const std::string& name, Timestamp deadline) {
  Actions actions;
  Remembered& remembered = side.memories.at(name);
  const Rule* rule = side.rules->find(rule_of_memory(name));
  const LastChangePtr last = remembered.change;
  const auto now = state_.find(key_of_memory(name));
  const bool followed =
      last != nullptr && now != state_.end() && now->second->version == last->after->version;
  if (rule == nullptr || !followed) {
    remembered.memory.deadline.reset();
    return actions;
  }
  const ChangeContext change{last->entry, last->before.get(), *last->after};
  const RuleOutcome outcome =
      side.rules->end_wait(*rule, change, *this, remembered.memory, deadline);
  remembered = {*outcome.memory, outcome.memory->deadline ? last : nullptr};
  if (outcome.fired) add_actions(outcome, actions);
  return actions;
}

// ---- The comparison --------------------------------------------------------------------------

bool Backtest::reproduces(const LogEntry& entry, const Actions& actions) const {
  std::map<std::string, std::pair<int, int>> counts;
  for (const Action& action : actions) {
    ++(action.effect ? counts[action.rule_id].first : counts[action.rule_id].second);
  }
  for (const RuleRecord& record : entry.rules) {
    if (record.effects == 0 && record.derived == 0) continue;
    const auto found = counts.find(record.rule_id);
    if (found == counts.end() || found->second != std::pair(record.effects, record.derived)) {
      return false;
    }
    counts.erase(found);
  }
  return counts.empty();
}

void Backtest::compare(const LogEntry& cause, const Actions& before, const Actions& after) {
  using Kind = BacktestDifference::Kind;
  const auto same_place = [](const Action& a) {
    return [&a](const Action& b) {
      return a.rule_id == b.rule_id && a.effect == b.effect && a.index == b.index;
    };
  };
  const auto tell = [&](Kind kind, const Action& action, std::string was, std::string would_be) {
    report({kind, action.rule_id, action.effect, cause.seq, cause.proposal.id, cause.proposal.key,
            std::move(was), std::move(would_be)});
  };
  for (const Action& was : before) {
    const auto now = std::find_if(after.begin(), after.end(), same_place(was));
    if (now == after.end()) {
      tell(Kind::kRemoved, was, was.text, "");
    } else if (now->text != was.text) {
      tell(Kind::kChanged, was, was.text, now->text);
    } else {
      ++report_.same;
    }
  }
  for (const Action& now : after) {
    if (std::any_of(before.begin(), before.end(), same_place(now))) continue;
    tell(Kind::kAdded, now, "", now.text);
  }
}

void Backtest::report(BacktestDifference difference) {
  BacktestRule& rule = report_.rules[difference.rule_id];
  BacktestCounts& counts = difference.effect ? rule.effects : rule.mutations;
  switch (difference.kind) {
    case BacktestDifference::Kind::kAdded:
      ++counts.added;
      break;
    case BacktestDifference::Kind::kRemoved:
      ++counts.removed;
      break;
    case BacktestDifference::Kind::kChanged:
      ++counts.changed;
      break;
  }
  if (rule.examples.size() < kExamples) rule.examples.push_back(std::move(difference));
}

}  // namespace state_engine
