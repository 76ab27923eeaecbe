// Engine, stores that other engines write to as well.
//
// The index is a guess. What a commit changes is guarded by its preconditions; what a decision only
// rests on (a refusal, a key that a rule reads) is refreshed before the decision counts. A commit
// that came too late has written nothing: its keys are refreshed and the group is decided again, in
// halves, so that in the end one mutation a commit contends for its key.

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "engine/answers.h"
#include "engine/decided.h"

namespace state_engine {
namespace {

constexpr std::chrono::seconds kLatePatience{10};
constexpr std::chrono::seconds kLookAroundEvery{15};
constexpr std::size_t kOverdueTogether = 64;

}  // namespace

// ---- Reads -----------------------------------------------------------------------------------

Engine::Awaitable<Result<std::vector<SnapshotPtr>>> Engine::read(std::vector<std::string> keys) {
  if (SharedStore* store = deps_.store.shared()) co_return co_await store->read(std::move(keys));
  const SnapshotView revision = view();
  std::vector<SnapshotPtr> out;
  out.reserve(keys.size());
  for (const std::string& key : keys) out.push_back(revision.find(key));
  co_return out;
}

Engine::Awaitable<Result<PrefixPage>> Engine::read_prefix(PrefixQuery query) {
  SE_ASSERT(is_shared());
  return deps_.store.shared()->read_prefix(std::move(query));
}

// ---- What others wrote -----------------------------------------------------------------------

void Engine::absorb(const std::string& key, const SnapshotPtr& snapshot) {
  const SnapshotPtr known = index_.view().find(key);
  if (snapshot == nullptr) {
    if (known == nullptr || known->deleted) return;
    // Somebody removed the document. The version goes on from what it was.
    auto gone = std::make_shared<Snapshot>(*known);
    gone->value = nullptr;
    gone->deleted = true;
    gone->ttl.reset();
    gone->expires_at.reset();
    index_.put(std::move(gone));
    return;
  }
  // Causes have lower numbers than what they bring about, on whatever engine.
  head_.seq = std::max(head_.seq, snapshot->seq);
  if (known != nullptr && known->version == snapshot->version &&
      known->mutation_id == snapshot->mutation_id) {
    return;
  }
  if (expiry_.add(*snapshot)) deps_.expiry_timer.wake();
  index_.put(snapshot);
}

std::vector<std::string> Engine::absorb(const std::vector<RuleState>& states) {
  std::vector<std::string> waits;
  for (const RuleState& state : states) {
    const std::string name = memory_name(state.rule_id, state.key);
    const RuleMemory memory{state.truth, state.since, state.deadline, state.cooldown_until};
    const Remembered* known = memories_.find(name);
    if (known != nullptr && known->memory == memory) continue;
    memories_.put(name, {memory, nullptr});
    if (memory.deadline) waits.push_back(name);
  }
  return waits;
}

Engine::Awaitable<Status> Engine::refresh(std::vector<std::string> keys, int attempt) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  auto fresh = co_await deps_.store.shared()->refresh(keys, attempt);
  if (!fresh.ok()) co_return fresh.error();
  SE_ASSERT(fresh->snapshots.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) absorb(keys[i], fresh->snapshots[i]);
  index_.publish(head_.seq);
  deps_.observer.on_state(head_.seq, index_.view().size());
  std::vector<std::string> waits = absorb(fresh->rule_states);
  if (waits.empty()) co_return Status();
  const Status loaded = co_await load_waits(std::move(waits));
  if (!loaded.ok() && loaded.error().code != ErrorCode::kUnavailable) {
    // The engine that began the wait ends it.
    deps_.log.warn("a wait of a rule of another engine is not known here",
                   {{"error", loaded.error().message}});
    co_return Status();
  }
  co_return loaded;
}

Engine::Awaitable<Status> Engine::resynchronize() {
  auto head = co_await deps_.store.head();
  if (!head.ok()) co_return head.error();
  head_.engine_id = head->engine_id;
  head_.hash = head->hash;
  head_.seq = std::max(head_.seq, head->seq);
  resynchronize_ = false;
  deps_.log.info("going on under a new engine id", {{"engineId", head_.engine_id}});
  co_return Status();
}

Engine::Awaitable<void> Engine::look_around() {
  const auto now = clock_.monotonic_now();
  if (now - looked_around_ < kLookAroundEvery) co_return;
  looked_around_ = now;
  outbox_.look_again();
  start_outbox();
  auto overdue = co_await deps_.store.shared()->overdue(clock_.now(), kOverdueTogether);
  Status looked = overdue.ok() ? Status() : Status(overdue.error());
  if (looked.ok() && !overdue->empty()) looked = co_await refresh(std::move(*overdue), 0);
  if (!looked.ok()) {
    deps_.log.debug("could not look for what is overdue", {{"error", looked.error().message}});
  }
}

// ---- Deciding again --------------------------------------------------------------------------

std::vector<std::string> Engine::unguarded_keys(const std::vector<Work>& group,
                                                const BatchBuilder& builder) {
  std::vector<std::string> keys = builder.keys_read_only();
  for (const Work& work : group) {
    if (const auto* single = std::get_if<SingleWork>(&work.what)) {
      const bool shows_current =
          single->result.duplicate && single->result.code == RejectionCode::kVersionConflict;
      if (work.options.dry_run || shows_current) keys.push_back(single->proposal.key);
    } else if (const auto* transaction = std::get_if<TransactionWork>(&work.what)) {
      if (!work.options.dry_run && !transaction->result.duplicate) continue;
      for (const Proposal& member : transaction->transaction.members) keys.push_back(member.key);
    } else if (const auto* sequence = std::get_if<SequenceWork>(&work.what)) {
      for (std::size_t i = 0; i < sequence->results.size(); ++i) {
        const MutationResult& result = sequence->results[i];
        const bool shows_current =
            result.duplicate && result.code == RejectionCode::kVersionConflict;
        if (sequence->items[i].options.dry_run || shows_current) keys.push_back(result.key);
      }
    }
  }
  return keys;
}

Engine::Awaitable<std::shared_ptr<Engine::Decided>> Engine::decide_surely(std::vector<Work>& group,
                                                                          const Records& records) {
  std::set<std::string> sure;
  while (true) {
    auto decided = open_decision(nullptr);
    decided->rates_before = rates_;
    decided->waits = end_waits(decided->builder, decided->builder.now());
    decide_group(group, records, decided->builder);
    std::vector<std::string> unsure;
    for (std::string& key : unguarded_keys(group, decided->builder)) {
      if (sure.insert(key).second) unsure.push_back(std::move(key));
    }
    if (unsure.empty()) co_return decided;
    undo(*decided);
    const Status refreshed = co_await refresh(std::move(unsure), 0);
    if (!refreshed.ok()) {
      deps_.observer.on_store(refreshed.error().message);
      co_return nullptr;
    }
  }
}

Engine::Awaitable<void> Engine::write_group(std::vector<Work> group) {
  auto records = co_await look_up(group);
  Status in_step;
  if (!records.ok()) {
    in_step = records.error();
  } else if (resynchronize_) {
    in_step = co_await resynchronize();
  }
  std::shared_ptr<Decided> decided;
  if (in_step.ok()) {
    warn_if_clock_jumped();
    decided = co_await decide_surely(group, *records);
  } else {
    deps_.observer.on_store(in_step.error().message);
  }
  if (decided == nullptr) {
    store_refused_ = true;
    refuse_group(group, "The store does not answer");
    co_return;
  }
  BatchBuilder& builder = decided->builder;
  if (builder.empty()) {
    install_rules(builder, false);
    answer(group);
    co_return;
  }
  const std::shared_ptr<CommitBatch> batch = builder.take();
  memories_.add_unsaved(batch->rule_states);
  const CommitOutcome outcome = co_await commit(batch);
  if (outcome == CommitOutcome::kCommitted) {
    install(*batch, builder.changes());
    install_rules(builder, true);
    answer(group);
    co_return;
  }
  // Else nobody is answered: the next start reads the truth, and the same ids get it then.
  if (!failed_) co_await after_failed_commit(std::move(group), *decided, *batch, outcome);
}

void Engine::undo(const Decided& decided) {
  if (decided.rates_before) rates_ = *decided.rates_before;
  memories_.requeue(decided.waits);
}

Engine::Awaitable<void> Engine::after_failed_commit(std::vector<Work> group, const Decided& decided,
                                                    const CommitBatch& batch,
                                                    CommitOutcome outcome) {
  if (outcome == CommitOutcome::kStale || outcome == CommitOutcome::kTooLarge) {
    undo(decided);
    if (outcome == CommitOutcome::kTooLarge) {
      co_await write_smaller(std::move(group));
      co_return;
    }
    std::vector<std::string> keys;
    keys.reserve(batch.snapshots.size());
    for (const SnapshotPtr& snapshot : batch.snapshots) keys.push_back(snapshot->key);
    co_await write_again(std::move(group), std::move(keys));
    co_return;
  }
  // The keys whose expiry was part of the group must be tried again.
  for (const SnapshotPtr& snapshot : batch.snapshots) requeue_expiries({snapshot->key});
  requeue_waits(decided.waits);
  refuse_group(group, outcome == CommitOutcome::kNotCommitted
                          ? "The store could not write: nothing was changed"
                          : "The store did not say whether it has written: send the same "
                            "proposal, with the same id, again to learn it");
}

Engine::Awaitable<void> Engine::write_again(std::vector<Work> group,
                                            std::vector<std::string> keys) {
  Work& first = group.front();
  const bool alone = group.size() == 1;
  if (alone && first.late++ == 0) first.late_since = clock_.monotonic_now();
  if (alone && clock_.monotonic_now() - first.late_since > kLatePatience) {
    refuse_group(group, "Other engines keep changing the key first: nothing was changed");
    co_return;
  }
  const Status refreshed = co_await refresh(std::move(keys), alone ? first.late - 1 : 0);
  if (!refreshed.ok()) {
    store_refused_ = true;
    deps_.observer.on_store(refreshed.error().message);
    refuse_group(group, "The store does not answer");
    co_return;
  }
  if (!alone) {
    co_await write_halves(std::move(group));
  } else if (has_parts(group.front())) {
    co_await write_parts(std::move(group.front()));
  } else {
    co_await write_group(std::move(group));
  }
}

bool Engine::has_parts(const Work& work) {
  const auto* sequence = std::get_if<SequenceWork>(&work.what);
  return sequence != nullptr && sequence->items.size() > 1;
}

Engine::Awaitable<void> Engine::write_parts(Work work) {
  auto& sequence = std::get<SequenceWork>(work.what);
  const std::size_t count = sequence.items.size();
  const auto results = std::make_shared<std::vector<MutationResult>>();
  const auto middle = sequence.items.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::vector<Submission> rest(std::make_move_iterator(middle),
                               std::make_move_iterator(sequence.items.end()));
  sequence.items.erase(middle, sequence.items.end());
  const auto done = std::move(sequence.done);
  for (std::vector<Submission>* items : {&sequence.items, &rest}) {
    const bool refused = std::any_of(results->begin(), results->end(), [](const auto& result) {
      return result.code == RejectionCode::kUnavailable;
    });
    const auto gather = [results](std::vector<MutationResult> some) {
      std::move(some.begin(), some.end(), std::back_inserter(*results));
    };
    std::vector<Work> part;
    part.push_back({SequenceWork{std::move(*items), gather, {}}, {}, {}});
    if (refused || failed_) {
      refuse(part.front(), "An earlier proposal of the sequence could not be written");
    } else {
      co_await write_group(std::move(part));
    }
  }
  if (results->size() == count && done) done(std::move(*results));
}

Engine::Awaitable<void> Engine::write_smaller(std::vector<Work> group) {
  if (group.size() > 1) {
    co_await write_halves(std::move(group));
    co_return;
  }
  if (has_parts(group.front())) {
    co_await write_parts(std::move(group.front()));
    co_return;
  }
  if (const auto* expiry = std::get_if<ExpiryWork>(&group.front().what)) {
    if (expiry->keys.size() > 1) {
      std::vector<Work> each;
      each.reserve(expiry->keys.size());
      for (const std::string& key : expiry->keys) each.push_back({ExpiryWork{{key}}, {}, {}});
      co_await write_halves(std::move(each));
      co_return;
    }
  }
  // There is no record of it, since none could be written.
  if (auto* single = std::get_if<SingleWork>(&group.front().what)) {
    single->result = plain_answer(single->proposal, RejectionCode::kTooLarge,
                                  "The store has no place for the records of this mutation");
    answer(group);
    co_return;
  }
  if (auto* sequence = std::get_if<SequenceWork>(&group.front().what)) {
    sequence->results = {plain_answer(sequence->items.front().proposal, RejectionCode::kTooLarge,
                                      "The store has no place for the records of this mutation")};
    answer(group);
    co_return;
  }
  refuse_group(group, "The store has no place for so much in one commit: send less at a time");
}

Engine::Awaitable<void> Engine::write_halves(std::vector<Work> group) {
  std::vector<Work> rest;
  const auto middle = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
  rest.assign(std::make_move_iterator(middle), std::make_move_iterator(group.end()));
  group.erase(middle, group.end());
  co_await write_group(std::move(group));
  if (failed_) {
    for (Work& work : rest) refuse(work, "The engine has stopped after a fault of its store");
    co_return;
  }
  co_await write_group(std::move(rest));
}

}  // namespace state_engine
