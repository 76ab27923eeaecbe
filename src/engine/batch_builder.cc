// The order of checks for one proposal (ARCHITECTURE.md, life of a mutation): repetition, form,
// expiry that is due, policy, rate, version, operation, schema; then the rules on the change.
//
// Everything that a root proposal sets off can be undone as one (Mark, rollback): that is how a dry
// run leaves no trace, how a transaction aborts, and how a cascade over its budget disappears.

#include "engine/batch_builder.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "core/chain.h"
#include "core/keys.h"
#include "core/validate.h"
#include "engine/answers.h"
#include "engine/rule_records.h"

namespace state_engine {
namespace {

// Actor and reason of the engine's own mutations.
constexpr std::string_view kEngineActor = "state-engine";

}  // namespace

BatchBuilder::BatchBuilder(DecisionEnvironment environment) : env_(std::move(environment)) {}

// ---- State as this batch sees it -------------------------------------------------------------

void BatchBuilder::go_on_at(Timestamp now, std::chrono::nanoseconds monotonic_now) {
  SE_ASSERT(now >= env_.now);
  env_.now = now;
  env_.monotonic_now = monotonic_now;
}

const SnapshotPtr* BatchBuilder::changed(std::string_view key) const {
  if (const auto item = overlay_.find(key); item != overlay_.end()) return &item->second;
  return env_.ahead != nullptr ? env_.ahead->changed(key) : nullptr;
}

SnapshotPtr BatchBuilder::latest(std::string_view key) const {
  if (const SnapshotPtr* found = changed(key)) return *found;
  if (const auto item = unpacked_.find(key); item != unpacked_.end()) return item->second;
  SnapshotPtr found = env_.base.find(key);
  if (found != nullptr) unpacked_.emplace(found->key, found);
  return found;
}

const Snapshot* BatchBuilder::find(std::string_view key) const {
  const SnapshotPtr snapshot = latest(key);
  // The overlay or `unpacked_` keeps it alive while the rules run.
  return snapshot != nullptr && snapshot->visible_at(env_.now) ? snapshot.get() : nullptr;
}

void BatchBuilder::put(SnapshotPtr snapshot) {
  auto [item, fresh] = overlay_.try_emplace(snapshot->key);
  snapshot_undo_.push_back({snapshot->key, fresh ? nullptr : item->second});
  item->second = std::move(snapshot);
}

BatchBuilder::Mark BatchBuilder::mark() const {
  return {entries_.size(), effects_.size(), snapshot_undo_.size(), memory_undo_.size(),
          evaluations_.size()};
}

void BatchBuilder::rollback(const Mark& mark) {
  SE_ASSERT(mark.entries >= chained_);
  while (entries_.size() > mark.entries) {
    ids_.erase(entries_.back().proposal.id);
    entries_.pop_back();
  }
  befores_.resize(mark.entries);
  afters_.resize(mark.entries);
  effects_.resize(mark.effects);
  while (snapshot_undo_.size() > mark.snapshot_undo) {
    SnapshotUndo undo = std::move(snapshot_undo_.back());
    snapshot_undo_.pop_back();
    if (undo.previous != nullptr) {
      overlay_[undo.key] = std::move(undo.previous);
    } else {
      overlay_.erase(undo.key);
    }
  }
  while (memory_undo_.size() > mark.memory_undo) {
    MemoryUndo undo = std::move(memory_undo_.back());
    memory_undo_.pop_back();
    if (undo.previous) {
      memories_[undo.name] = *std::move(undo.previous);
    } else {
      memories_.erase(undo.name);
    }
  }
  evaluations_.erase(evaluations_.begin() + static_cast<std::ptrdiff_t>(mark.evaluations),
                     evaluations_.end());
}

// ---- Repetitions -----------------------------------------------------------------------------

const LogEntry* BatchBuilder::own_record(const std::string& id) const {
  const auto item = ids_.find(id);
  if (item == ids_.end()) return nullptr;
  return taken_ != nullptr ? &taken_->entries[item->second] : &entries_[item->second];
}

const LogEntry* BatchBuilder::record(const std::string& id, const LogEntry* known) const {
  if (known != nullptr) return known;
  if (const LogEntry* own = own_record(id)) return own;
  return env_.ahead != nullptr ? env_.ahead->own_record(id) : nullptr;
}

MutationResult BatchBuilder::answer_again(const LogEntry& entry, const std::string& hash) const {
  if (entry.payload_hash != hash) return id_reused_answer(entry.proposal.id, entry.proposal.key);
  const SnapshotPtr now = latest(entry.proposal.key);
  return answer_from(entry, now != nullptr && now->visible_at(env_.now) ? now : nullptr);
}

// ---- One proposal ----------------------------------------------------------------------------

MutationResult BatchBuilder::decide(const Proposal& proposal, const Origin& origin, bool dry_run,
                                    const LogEntry* known, const PolicyDenial* fault) {
  if (auto id = id_fault(proposal.id)) {
    return plain_answer(proposal, RejectionCode::kInvalidProposal, *id);
  }
  if (is_reserved_id(proposal.id)) {
    return plain_answer(proposal, RejectionCode::kInvalidProposal,
                        "ids of this form are the engine's own; use another, for example a UUID");
  }
  Decision decision{proposal, origin, payload_hash(proposal), "", false, dry_run};
  if (const LogEntry* entry = record(proposal.id, known)) {
    MutationResult again = answer_again(*entry, decision.payload_hash);
    again.dry_run = dry_run;
    return again;
  }
  const Mark start = mark();
  MutationResult result = fault != nullptr ? reject(decision, env_.policy->rule_for(proposal.key),
                                                    fault->code, fault->message)
                                           : decide_root(decision);
  if (dry_run) {
    rollback(start);
    make_dry(result);
  }
  return result;
}

MutationResult BatchBuilder::decide_root(const Decision& decision) {
  expire_if_due(decision.proposal.key);
  const Mark start = mark();
  std::vector<Pending> pending;
  MutationResult result = decide_one(decision, 0, pending);
  if (!result.accepted) return result;
  std::vector<MutationResult> derived;
  std::string fault;
  if (!run_rules(std::move(pending), derived, fault)) {
    rollback(start);
    return reject(decision, env_.policy->rule_for(decision.proposal.key),
                  RejectionCode::kRuleBudgetExceeded, std::move(fault));
  }
  result.derived = std::move(derived);
  result.effects = effects_since(start.effects);
  return result;
}

std::optional<PolicyDenial> BatchBuilder::admit(const Decision& decision, const PolicyRule* rule,
                                                const Snapshot* current, MutationResult& result) {
  const Proposal& proposal = decision.proposal;
  if (auto fault = validate(proposal)) return PolicyDenial{fault->code, fault->message};
  if (!decision.internal && is_reserved_actor(proposal.actor)) {
    return PolicyDenial{
        RejectionCode::kActorNotAllowed,
        fmt::format("Actor '{}' is reserved for the engine itself", proposal.actor)};
  }
  if (!decision.internal && proposal.op == Op::kExpire) {
    return PolicyDenial{RejectionCode::kInvalidProposal,
                        "op 'expire' is the engine's own; use delete, or set with a ttl"};
  }
  if (!decision.firing && is_reserved_key(proposal.key)) {
    return PolicyDenial{RejectionCode::kKeyNotAllowed,
                        "Key not allowed: keys below 'state-engine/' are the engine's own"};
  }
  if (proposal.op != Op::kExpire && !decision.firing) {
    if (auto denial = env_.policy->check(proposal, rule)) return denial;
  }
  if (!decision.internal) {
    const auto value_of = [this](const std::string& key) {
      const Snapshot* const snapshot = find(key);
      return snapshot != nullptr ? &snapshot->value : nullptr;
    };
    if (auto denial = env_.policy->check_requirements(rule, value_of)) return denial;
  }
  if (!decision.internal && rule != nullptr) {
    if (auto wait =
            env_.rates.acquire(*rule, proposal.actor, env_.monotonic_now, !decision.dry_run)) {
      result.retry_after = *wait;
      return PolicyDenial{RejectionCode::kRateLimited,
                          fmt::format("Rate limit of {} is used up; wait {} ms",
                                      rule->pattern.str(), wait->count())};
    }
  }
  return version_denial(proposal, current, env_.now);
}

MutationResult BatchBuilder::decide_one(const Decision& decision, int depth,
                                        std::vector<Pending>& pending) {
  const Proposal& proposal = decision.proposal;
  const PolicyRule* rule = decision.firing ? nullptr : env_.policy->rule_for(proposal.key);
  SnapshotPtr current = latest(proposal.key);
  const Snapshot* visible =
      current != nullptr && current->visible_at(env_.now) ? current.get() : nullptr;
  MutationResult unlogged = plain_answer(proposal, RejectionCode::kRateLimited, "");
  if (auto denial = admit(decision, rule, current.get(), unlogged)) {
    if (denial->code == RejectionCode::kRateLimited) {
      unlogged.error = denial->message;
      return unlogged;
    }
    MutationResult result = reject(decision, rule, denial->code, denial->message);
    if (denial->code == RejectionCode::kVersionConflict && visible != nullptr) {
      result.current = current;
    }
    return result;
  }
  auto outcome =
      apply_op(proposal.op, visible != nullptr ? &visible->value : nullptr, proposal.value);
  if (auto* fault = std::get_if<ApplyFault>(&outcome)) {
    return reject(decision, rule, fault->code, fault->message);
  }
  auto& applied = std::get<Applied>(outcome);
  if (!applied.deleted && !decision.firing) {
    if (auto denial = env_.policy->check_value(applied.value, rule)) {
      return reject(decision, rule, denial->code, denial->message);
    }
  }
  return accept(decision, rule, std::move(current), std::move(applied), depth, pending);
}

LogEntry& BatchBuilder::append(const Decision& decision, Proposal proposal, const PolicyRule* rule,
                               std::int64_t previous_version) {
  SE_ASSERT(!ids_.contains(decision.proposal.id));
  ids_[decision.proposal.id] = entries_.size();
  LogEntry& entry = entries_.emplace_back();
  befores_.emplace_back();
  afters_.emplace_back();
  entry.proposal = std::move(proposal);
  if (entry.proposal.ts == Timestamp{}) entry.proposal.ts = env_.now;
  entry.seq = env_.head.seq + static_cast<std::int64_t>(entries_.size());
  entry.engine_id = env_.head.engine_id;
  entry.principal = decision.origin.principal;
  entry.actor_verified = decision.origin.actor_verified;
  entry.previous_version = previous_version;
  entry.committed_at = env_.now;
  entry.policy_revision = env_.policy->revision();
  entry.policy_rule = rule != nullptr ? rule->pattern.str() : "";
  entry.rule_revision = env_.rules->revision();
  entry.transaction_id = decision.transaction_id;
  entry.payload_hash = decision.payload_hash;
  entry.salt = random_hex(env_.random, 16);
  return entry;
}

MutationResult BatchBuilder::reject(const Decision& decision, const PolicyRule* rule,
                                    RejectionCode code, std::string error) {
  const SnapshotPtr current = latest(decision.proposal.key);
  LogEntry& entry =
      append(decision, bounded(decision.proposal), rule, current != nullptr ? current->version : 0);
  entry.code = code;
  entry.error = std::move(error);
  MutationResult result = answer_from(entry, nullptr);
  result.duplicate = false;
  return result;
}

MutationResult BatchBuilder::accept(const Decision& decision, const PolicyRule* rule,
                                    SnapshotPtr current, Applied applied, int depth,
                                    std::vector<Pending>& pending) {
  const Proposal& proposal = decision.proposal;
  const std::int64_t previous_version = current != nullptr ? current->version : 0;
  LogEntry& entry = append(decision, proposal, rule, previous_version);
  entry.accepted = true;
  entry.resulting_version = previous_version + 1;
  if (!applied.deleted) entry.resulting_value = applied.value;

  auto after = std::make_shared<Snapshot>();
  after->key = proposal.key;
  after->value = std::move(applied.value);
  after->version = previous_version + 1;
  after->updated_at = env_.now;
  after->updated_by = proposal.actor;
  if (!applied.deleted) {
    after->ttl = proposal.ttl;
    if (!after->ttl && rule != nullptr) after->ttl = rule->ttl_default;
    if (after->ttl) after->expires_at = env_.now + *after->ttl;
  }
  after->seq = entry.seq;
  after->mutation_id = proposal.id;
  after->reason = proposal.reason;
  after->metadata = proposal.metadata;
  after->deleted = applied.deleted;
  SE_ASSERT(after->version == previous_version + 1);

  SnapshotPtr before;
  if (current != nullptr && (current->visible_at(env_.now) || proposal.op == Op::kExpire)) {
    before = current->deleted ? nullptr : std::move(current);
  }
  befores_.back() = before;
  afters_.back() = after;
  put(after);
  pending.push_back({entries_.size() - 1, std::move(before), after, depth});
  MutationResult result = answer_from(entry, nullptr);
  result.duplicate = false;
  return result;
}

std::optional<Proposal> BatchBuilder::due_expiry(std::string_view key) const {
  if (changed(key) == nullptr) {
    const SnapshotRef stored = env_.base.look(key);
    if (!stored || stored.deleted() || stored.visible_at(env_.now)) return std::nullopt;
  }
  const SnapshotPtr current = latest(key);
  if (current == nullptr || current->deleted || current->visible_at(env_.now)) return std::nullopt;
  Proposal proposal;
  proposal.id = expiry_id(current->key, current->version);
  proposal.op = Op::kExpire;
  proposal.key = current->key;
  proposal.actor = kEngineActor;
  proposal.reason =
      fmt::format("ttl of {} s ran out", static_cast<double>(current->ttl->count()) / 1000.0);
  proposal.causation_id = current->mutation_id;
  proposal.ts = env_.now;
  return proposal;
}

void BatchBuilder::expire_if_due(std::string_view key) {
  const std::optional<Proposal> proposal = due_expiry(key);
  if (!proposal) return;
  const Origin origin{std::string(kEngineActor), true};
  const Decision decision{*proposal, origin, payload_hash(*proposal), "", true, false};
  const Mark start = mark();
  std::vector<Pending> pending;
  const MutationResult result = decide_one(decision, 0, pending);
  SE_ASSERT(result.accepted);
  std::vector<MutationResult> derived;
  std::string fault;
  if (run_rules(std::move(pending), derived, fault)) return;
  // A value cannot stay beyond its deadline because rules misbehave: it expires without them, and
  // its record says why they did not run.
  rollback(start);
  pending.clear();
  const MutationResult again = decide_one(decision, 0, pending);
  SE_ASSERT(again.accepted);
  RuleRecord record;
  record.error = std::move(fault);
  entries_.back().rules.push_back(std::move(record));
}

// ---- Rules -----------------------------------------------------------------------------------

std::vector<Effect> BatchBuilder::effects_since(std::size_t from) const {
  return {effects_.begin() + static_cast<std::ptrdiff_t>(from), effects_.end()};
}

bool BatchBuilder::within_budget(const Pending& cause, const RuleOutcome& outcome, int& firings,
                                 std::string& fault) const {
  if (++firings > limits::kRuleFiringsMax) {
    fault = fmt::format("rule '{}' is firing number {} of this mutation; at most {} are allowed",
                        outcome.rule_id, firings, limits::kRuleFiringsMax);
    return false;
  }
  if (!outcome.derived.empty() && cause.depth >= limits::kRuleDepthMax) {
    fault = fmt::format("rule '{}' derives a mutation {} levels deep; at most {} are allowed",
                        outcome.rule_id, cause.depth + 1, limits::kRuleDepthMax);
    return false;
  }
  return true;
}

bool BatchBuilder::run_rules(std::vector<Pending> pending, std::vector<MutationResult>& derived,
                             std::string& fault) {
  int firings = 0;
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const Pending cause = pending[i];
    LogEntry& entry = entries_[cause.entry];
    const ChangeContext change{entry, cause.before.get(), *cause.after};
    EvaluationCollector collector(entry, evaluations_);
    const std::vector<RuleOutcome> outcomes =
        env_.rules->evaluate(change, *this, *this, &collector);
    LastChangePtr last;
    for (const RuleOutcome& outcome : outcomes) {
      entry.rules.push_back(to_record(outcome));
      if (outcome.memory) remember(cause, outcome, last);
      if (!outcome.fired) continue;
      if (!within_budget(cause, outcome, firings, fault)) return false;
      apply_outcome(cause, outcome, pending, derived);
    }
  }
  return true;
}

void BatchBuilder::apply_outcome(const Pending& cause, const RuleOutcome& outcome,
                                 std::vector<Pending>& pending,
                                 std::vector<MutationResult>& derived) {
  const LogEntry& entry = entries_[cause.entry];
  for (const EmittedEffect& emitted : outcome.effects) {
    Effect effect;
    effect.id = effect_id(entry.proposal.id, outcome.rule_id, emitted.action_index);
    effect.rule_id = outcome.rule_id;
    effect.cause_id = entry.proposal.id;
    effect.cause_seq = entry.seq;
    effect.type = emitted.type;
    effect.payload = emitted.payload;
    effect.correlation_id = entry.proposal.correlation_id;
    effect.created_at = env_.now;
    effects_.push_back(std::move(effect));
  }
  for (const DerivedProposal& proposed : outcome.derived) {
    Proposal proposal;
    proposal.id = derived_mutation_id(entry.proposal.id, outcome.rule_id, proposed.action_index);
    proposal.op = proposed.op;
    proposal.key = proposed.key;
    proposal.value = proposed.value;
    proposal.expected_version = proposed.expected_version;
    proposal.ttl = proposed.ttl;
    proposal.actor = "rule:" + outcome.rule_id;
    proposal.reason = proposed.reason.empty()
                          ? fmt::format("rule '{}' fired on {}", outcome.rule_id, cause.after->key)
                          : proposed.reason;
    proposal.ts = env_.now;
    proposal.correlation_id = entry.proposal.correlation_id;
    proposal.causation_id = entry.proposal.id;
    proposal.traceparent = entry.proposal.traceparent;
    // An expiry that a cascade meets is part of the cascade: its rules count in the same budget.
    if (const std::optional<Proposal> expiry = due_expiry(proposal.key)) {
      const Origin engine{std::string(kEngineActor), true};
      decide_one({*expiry, engine, payload_hash(*expiry), "", true, false}, cause.depth + 1,
                 pending);
    }
    const Origin origin{"rules", true};
    const Decision decision{proposal, origin, payload_hash(proposal), "", true, false};
    derived.push_back(decide_one(decision, cause.depth + 1, pending));
  }
}

// ---- The batch -------------------------------------------------------------------------------

std::vector<CommittedChange> BatchBuilder::changes() const {
  SE_ASSERT(taken_ != nullptr);
  std::vector<CommittedChange> changes;
  changes.reserve(taken_->entries.size());
  for (std::size_t i = 0; i < taken_->entries.size(); ++i) {
    if (afters_[i] != nullptr) changes.push_back({taken_->entries[i], befores_[i].get()});
  }
  return changes;
}

std::vector<std::string> BatchBuilder::changed_keys() const {
  std::vector<std::string> keys;
  keys.reserve(overlay_.size());
  for (const auto& [key, snapshot] : overlay_) keys.push_back(key);
  return keys;
}

std::vector<std::string> BatchBuilder::keys_read_only() const {
  std::vector<std::string> keys;
  for (const LogEntry& entry : entries_) {
    const bool by_form = entry.code == RejectionCode::kInvalidProposal ||
                         entry.code == RejectionCode::kKeyNotAllowed ||
                         entry.code == RejectionCode::kActorNotAllowed;
    if (!entry.accepted && !by_form) keys.push_back(entry.proposal.key);
    if (const PolicyRule* rule = env_.policy->rule_for(entry.proposal.key); rule && !by_form) {
      for (const KeyRequirement& item : rule->requirements) {
        if (!overlay_.contains(item.key)) keys.push_back(item.key);
      }
    }
    for (const RuleRecord& rule : entry.rules) {
      for (const auto& [key, version] : rule.reads) {
        if (!overlay_.contains(key)) keys.push_back(key);
      }
    }
  }
  return keys;
}

void BatchBuilder::chain() {
  for (; chained_ < entries_.size(); ++chained_) {
    LogEntry& entry = entries_[chained_];
    entry.prev_hash = chained_ == 0 ? env_.head.hash : entries_[chained_ - 1].hash;
    entry.hash = entry_hash(entry);
  }
}

std::shared_ptr<CommitBatch> BatchBuilder::take() {
  SE_ASSERT(taken_ == nullptr);
  chain();
  taken_ = std::make_shared<CommitBatch>();
  CommitBatch& batch = *taken_;
  batch.entries.reserve(entries_.size());
  for (LogEntry& entry : entries_) batch.entries.push_back(std::move(entry));
  entries_.clear();
  batch.snapshots.reserve(overlay_.size());
  for (const auto& [key, snapshot] : overlay_) batch.snapshots.push_back(snapshot);
  batch.effects = std::move(effects_);
  for (const auto& [name, value] : memories_) {
    const Remembered* stored = remembered_before(name);
    if (stored != nullptr && stored->memory == value.memory) continue;  // only its change is new
    batch.rule_states.push_back(to_rule_state(name, value.memory));
  }
  env_.ahead = nullptr;  // durable by now, and else a chain that never ends
  return taken_;
}

StoreHead BatchBuilder::head() const {
  SE_ASSERT(taken_ != nullptr);
  if (taken_->entries.empty()) return env_.head;
  const LogEntry& last = taken_->entries.back();
  return {env_.head.engine_id, last.seq, last.hash, last.committed_at};
}

}  // namespace state_engine
