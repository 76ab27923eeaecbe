// The order of the questions is that of the words in the header.

#include "rules/rule_runner.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/keys.h"

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

// Whether the condition holds for `snapshot` as it stands.
bool truth_over(const Rule& rule, const Snapshot& snapshot, const StateLookup& state) {
  const ChangeFields fields = ChangeFields::of(snapshot);
  const ChangeData data(fields, state);
  Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = rule.when.evaluate(JsValue::data_object(data), arena);
  return result.ok() && logic::truthy(result.value);
}

// The truth that a rule would have had before the change, had it been watched then: this is what
// "first seen at load without firing" amounts to. An absent key makes no condition true.
bool truth_before(const Rule& rule, const ChangeContext& change, const StateLookup& state) {
  if (change.before == nullptr) return false;
  return truth_over(rule, *change.before, StateBefore(state, *change.before));
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

// What the rule waits for: that its condition is true, or with `fall` that it is not.
bool is_awaited(const Rule& rule, bool matched) {
  return matched == (rule.trigger != Trigger::kFall);
}

bool is_cooling_down(const RuleMemory& memory, Timestamp now) {
  return memory.cooldown_until.has_value() && *memory.cooldown_until > now;
}

std::string cooling_text(const RuleMemory& memory) {
  return "it is cooling down until " + format_rfc3339(*memory.cooldown_until);
}

std::string waiting_text(const Rule& rule, const RuleMemory& memory) {
  std::string text =
      "it waits until " + format_rfc3339(*memory.deadline) + ": the condition has to stay " +
      (rule.trigger == Trigger::kFall ? "false" : "true") + " for " + format_duration(rule.hold);
  if (memory.deadline == memory.cooldown_until) text += ", and it is cooling down";
  return text;
}

std::string trigger_text(const Rule& rule) {
  if (rule.trigger == Trigger::kChange) return "it fires on change, and the value is the same";
  return "it fires on " + std::string(to_string(rule.trigger)) +
         ", and the condition was true before";
}

// Decides whether the rule fires now, and what it remembers if it does not.
class Decision {
 public:
  Decision(const Rule& rule, const ChangeFields& fields, bool matched, RuleMemory& memory)
      : rule_(rule), fields_(fields), matched_(matched), memory_(memory), now_(fields.ts) {}

  // `before`: the truth of the condition before the change. `held` says why it does not.
  bool fires(bool before, std::string& held) {
    if (rule_.keeps_truth()) memory_.truth = matched_;
    if (rule_.hold.count() > 0) follow_condition(before);
    if (!should_fire(rule_, fields_, matched_, before)) {
      if (memory_.deadline.has_value()) {
        held = waiting_text(rule_, memory_);
      } else if (matched_ && rule_.trigger != Trigger::kFall) {
        held = trigger_text(rule_);
      }
      return false;
    }
    if (rule_.hold.count() > 0 && *memory_.since + rule_.hold > now_) {
      memory_.deadline = *memory_.since + rule_.hold;
      if (is_cooling_down(memory_, now_)) {
        memory_.deadline = std::max(*memory_.deadline, *memory_.cooldown_until);
      }
      held = waiting_text(rule_, memory_);
      return false;
    }
    if (is_cooling_down(memory_, now_)) {
      held = cooling_text(memory_);
      return false;
    }
    memory_.deadline.reset();
    return true;
  }

 private:
  void follow_condition(bool before) {
    if (!is_awaited(rule_, matched_)) {
      memory_.since.reset();
      memory_.deadline.reset();
    } else if (!memory_.since.has_value() || before != matched_) {
      memory_.since = now_;
    }
  }

  const Rule& rule_;
  const ChangeFields& fields_;
  bool matched_;
  RuleMemory& memory_;
  Timestamp now_;
};

// Makes the effects and derived mutations; an action that fails spoils the firing.
void perform_actions(const Rule& rule, std::string_view key, JsValue data, Timestamp now,
                     RuleMemory& memory, RuleOutcome& outcome) {
  const Status done = ActionRunner(rule, key, data, outcome).run();
  outcome.fired = done.ok();
  if (done.ok()) {
    if (rule.cooldown.count() > 0) memory.cooldown_until = now + rule.cooldown;
    return;
  }
  outcome.error = done.error().message;
  outcome.effects.clear();
  outcome.derived.clear();
}

// A condition that fails is not what the rule waits for.
void forget_wait(const Rule& rule, RuleMemory& memory) {
  if (rule.hold.count() == 0) return;
  memory.since.reset();
  memory.deadline.reset();
  if (rule.trigger != Trigger::kFall) memory.truth = false;
}

}  // namespace

RuleOutcome run_rule(const Rule& rule, const ChangeContext& change, const ChangeFields& fields,
                     const StateLookup& state, const MemoryLookup& memories) {
  RuleOutcome outcome;
  ChangeData data(fields, state);
  Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = rule.when.evaluate(JsValue::data_object(data), arena);
  outcome.matched = result.ok() && logic::truthy(result.value);
  std::optional<RuleMemory> stored;
  if (rule.keeps_memory()) stored = memories.memory(rule.id, fields.key);
  RuleMemory memory = stored.value_or(RuleMemory{});
  if (!result.ok()) {
    outcome.error = result.error->message;
    if (stored.has_value()) forget_wait(rule, memory);
  } else {
    bool before = memory.truth;
    if (rule.keeps_truth() && !stored.has_value()) before = truth_before(rule, change, state);
    if (Decision(rule, fields, outcome.matched, memory).fires(before, outcome.held)) {
      perform_actions(rule, fields.key, JsValue::data_object(data), fields.ts, memory, outcome);
    }
    if (rule.keeps_truth() && !stored.has_value()) outcome.memory = memory;
  }
  if (memory != stored.value_or(RuleMemory{}) || memory.deadline.has_value()) {
    outcome.memory = memory;
  }
  outcome.reads = data.take_reads();
  return outcome;
}

RuleOutcome run_after_wait(const Rule& rule, const ChangeContext& change, const StateLookup& state,
                           const RuleMemory& memory, Timestamp now) {
  SE_ASSERT(memory.deadline.has_value() && *memory.deadline <= now);
  RuleOutcome outcome;
  const ChangeFields fields = ChangeFields::of(change);
  ChangeData data(fields, state);
  Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = rule.when.evaluate(JsValue::data_object(data), arena);
  outcome.matched = result.ok() && logic::truthy(result.value);
  RuleMemory next = memory;
  next.deadline.reset();
  if (!result.ok()) {
    outcome.error = result.error->message;
    forget_wait(rule, next);
  } else if (!is_awaited(rule, outcome.matched)) {
    next.truth = outcome.matched;
    next.since.reset();
    outcome.held = "its wait ended, and the condition no longer is what it waited for";
  } else if (is_cooling_down(memory, now)) {
    next.deadline = memory.cooldown_until;
    outcome.held = waiting_text(rule, next);
  } else {
    perform_actions(rule, fields.key, JsValue::data_object(data), now, next, outcome);
  }
  outcome.memory = next;
  outcome.reads = data.take_reads();
  return outcome;
}

RuleMemory carry_over(const Rule* before, const Rule* rule, const RuleMemory& memory,
                      const Snapshot* snapshot, const StateLookup& state) {
  RuleMemory carried;
  if (rule == nullptr) return carried;
  const bool same = before != nullptr && before->trigger == rule->trigger &&
                    json::equal(before->when.rule(), rule->when.rule());
  if (same) carried = memory;
  if (rule->cooldown.count() == 0) carried.cooldown_until.reset();
  if (!same || !before->keeps_truth()) {
    carried.truth =
        rule->keeps_truth() && snapshot != nullptr && truth_over(*rule, *snapshot, state);
  }
  if (rule->hold.count() == 0) {
    carried.since.reset();
    carried.deadline.reset();
  } else if (same && carried.deadline.has_value() && rule->hold != before->hold) {
    carried.deadline = *carried.since + rule->hold;
  }
  return carried;
}

}  // namespace state_engine
