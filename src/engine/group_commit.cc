// Engine, the writer: groups of proposals, each decided as a whole and committed as a whole, in one
// order.
//
// The writer is not a thread that waits but a coroutine that exists while there is work: submit()
// starts drain(), which ends when nothing is left. While a group commits, the next one is decided
// on top of it, as what waits grows; its own commit begins when the first has become durable. If
// that one fails, what rests on it is refused, too: so nobody hears of anything that never came to
// be (I4), and no decision is made twice. See docs/adr/0026.

#include <utility>

#include "base/limits.h"
#include "engine/answers.h"
#include "engine/await_callback.h"
#include "engine/decided.h"

namespace state_engine {
namespace {

// So many wait before they are decided while another group commits; fewer go in when that has
// ended. Each round looks ids up, which costs the same for one and for many.
constexpr std::size_t kWorksAheadLeast = 16;

std::size_t bytes_of(const Proposal& proposal) {
  return proposal.value ? json::written_bytes(*proposal.value) : 0;
}

}  // namespace

// ---- Groups ----------------------------------------------------------------------------------

Engine::Awaitable<void> Engine::drain() {
  std::shared_ptr<Group> ahead;  // its commit is under way
  while (!failed_ && (ahead != nullptr || !queue_.empty() || waits_are_due())) {
    if (is_shared()) {
      Group group;
      co_await write_group(take_works(group));
      continue;
    }
    std::shared_ptr<Group> group = co_await prepare(ahead);
    if (ahead != nullptr && ahead->outcome != CommitOutcome::kCommitted) {
      // Else nobody is answered: the next start reads the truth, and the same ids get it then.
      if (!failed_) give_up(*ahead);
      if (group != nullptr) give_up(*group);
      ahead = nullptr;
      continue;
    }
    if (group != nullptr && failed_) {
      give_up(*group);
      group = nullptr;
    }
    // First the store gets its next work.
    if (group != nullptr) begin_commit(group);
    if (ahead != nullptr) conclude(*ahead);
    ahead = nullptr;
    if (group != nullptr && group->batch == nullptr) {
      conclude(*group);
    } else {
      ahead = std::move(group);
    }
  }
  draining_ = false;
  if (!failed_) co_return;
  for (Work& work : queue_) refuse(work, "The engine has stopped after a fault of its store");
  queue_.clear();
}

bool Engine::has_room(const Group& group) const {
  return group.works.size() < limits::kCommitBatchMax && group.bytes < limits::kCommitBatchBytesMax;
}

std::vector<Work> Engine::take_works(Group& group) {
  std::vector<Work> works;
  while (!queue_.empty() && group.works.size() + works.size() < limits::kCommitBatchMax &&
         group.bytes < limits::kCommitBatchBytesMax) {
    const Work& next = queue_.front();
    if (const auto* single = std::get_if<SingleWork>(&next.what)) {
      group.bytes += bytes_of(single->proposal);
    } else if (const auto* transaction = std::get_if<TransactionWork>(&next.what)) {
      for (const Proposal& member : transaction->transaction.members) {
        group.bytes += bytes_of(member);
      }
    } else if (const auto* sequence = std::get_if<SequenceWork>(&next.what)) {
      for (const Submission& item : sequence->items) group.bytes += bytes_of(item.proposal);
    }
    works.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  deps_.observer.on_queue(queue_.size());
  return works;
}

// ---- Deciding --------------------------------------------------------------------------------

bool Engine::is_worth_deciding() const {
  return queue_.size() >= kWorksAheadLeast ||
         (!queue_.empty() && std::holds_alternative<SequenceWork>(queue_.back().what));
}

void Engine::wake_drain() {
  if (drain_waits_) std::exchange(drain_waits_, nullptr)();
}

// What rules remember beside their commits has one place, and so one group at a time. Nothing joins
// those that were decided by another configuration.
bool Engine::may_decide_on(const Group& ahead, const Group* group) const {
  if (group == nullptr) return is_of_this_configuration(ahead) && !memories_.has_unsaved();
  return is_of_this_configuration(*group) && has_room(*group);
}

Engine::Awaitable<void> Engine::wait_for_work(const Group& ahead, const Group* group) {
  while (!ahead.outcome && !failed_ && !(is_worth_deciding() && may_decide_on(ahead, group))) {
    co_await await_callback<bool>(
        [this](const std::function<void(bool)>& done) { drain_waits_ = [done] { done(true); }; });
  }
}

Engine::Awaitable<std::shared_ptr<Engine::Group>> Engine::prepare(
    std::shared_ptr<const Group> ahead) {
  std::shared_ptr<Group> group;
  const auto has_work = [&] { return !queue_.empty() || waits_are_due(); };
  while (ahead != nullptr) {
    co_await wait_for_work(*ahead, group.get());
    const bool last = ahead->outcome.has_value();
    if (failed_ || (last && *ahead->outcome != CommitOutcome::kCommitted)) break;
    if (has_work() && may_decide_on(*ahead, group.get())) {
      if (group == nullptr) group = open_group(ahead.get());
      co_await decide_into(*group, take_works(*group));
    }
    if (last) break;
  }
  if (ahead == nullptr && has_work()) {
    group = open_group(nullptr);
    co_await decide_into(*group, take_works(*group));
  }
  co_return group;
}

bool Engine::is_of_this_configuration(const Group& group) const {
  return group.config.policy == config_.policy && group.config.rules == config_.rules;
}

std::shared_ptr<Engine::Decided> Engine::open_decision(std::shared_ptr<const BatchBuilder> ahead) {
  const Timestamp now = clock_.now();
  if (memories_.rules() != config_.rules) {
    SE_ASSERT(ahead == nullptr);
    memories_.adopt(config_.rules, memories_.rules().get(), index_.view(), now);
    deps_.expiry_timer.wake();
  }
  const StoreHead head = ahead != nullptr ? ahead->head() : head_;
  return std::make_shared<Decided>(DecisionEnvironment{index_.view(), config_.policy, config_.rules,
                                                       rates_, memories_, deps_.random, head, now,
                                                       clock_.monotonic_now(), std::move(ahead)});
}

std::shared_ptr<Engine::Group> Engine::open_group(const Group* ahead) {
  auto group = std::make_shared<Group>();
  warn_if_clock_jumped();
  group->config = config_;
  std::shared_ptr<const BatchBuilder> builder;
  if (ahead != nullptr) builder = {ahead->decided, &ahead->decided->builder};
  group->decided = open_decision(std::move(builder));
  return group;
}

Engine::Awaitable<void> Engine::decide_into(Group& group, std::vector<Work> works) {
  auto records = co_await look_up(works);
  if (!records.ok()) {
    deps_.observer.on_store(records.error().message);
    store_refused_ = true;
    refuse_group(works, "The store does not answer");
    co_return;
  }
  BatchBuilder& builder = group.decided->builder;
  const Timestamp now = clock_.now();
  builder.go_on_at(now, clock_.monotonic_now());
  std::vector<std::string> ended = end_waits(builder, now);
  std::move(ended.begin(), ended.end(), std::back_inserter(group.decided->waits));
  decide_group(works, *records, builder);
  builder.chain();
  std::move(works.begin(), works.end(), std::back_inserter(group.works));
}

Engine::Awaitable<Result<Records>> Engine::look_up(const std::vector<Work>& group) {
  std::vector<std::string> ids;
  for (const Work& work : group) {
    if (work.options.fresh_id) continue;
    if (const auto* single = std::get_if<SingleWork>(&work.what)) {
      ids.push_back(single->proposal.id);
    } else if (const auto* transaction = std::get_if<TransactionWork>(&work.what)) {
      for (const Proposal& member : transaction->transaction.members) ids.push_back(member.id);
    } else if (const auto* sequence = std::get_if<SequenceWork>(&work.what)) {
      for (const Submission& item : sequence->items) ids.push_back(item.proposal.id);
    }
  }
  Records records;
  if (ids.empty()) co_return records;
  auto found = co_await deps_.store.lookup(ids);
  if (!found.ok()) co_return found.error();
  SE_ASSERT(found->size() == ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if ((*found)[i]) records.emplace(ids[i], std::move(*(*found)[i]));
  }
  co_return records;
}

void Engine::decide_group(std::vector<Work>& group, const Records& records, BatchBuilder& builder) {
  const auto record = [&](const std::string& id) -> const LogEntry* {
    const auto item = records.find(id);
    return item != records.end() ? &item->second : nullptr;
  };
  for (Work& work : group) {
    if (auto* single = std::get_if<SingleWork>(&work.what)) {
      const auto& fault = work.options.fault;
      single->result = builder.decide(single->proposal, work.origin, work.options.dry_run,
                                      record(single->proposal.id), fault ? &*fault : nullptr);
    } else if (auto* transaction = std::get_if<TransactionWork>(&work.what)) {
      std::vector<const LogEntry*> known;
      known.reserve(transaction->transaction.members.size());
      for (const Proposal& member : transaction->transaction.members) {
        known.push_back(record(member.id));
      }
      transaction->result = builder.decide_transaction(transaction->transaction, work.origin,
                                                       work.options.dry_run, known);
    } else if (auto* sequence = std::get_if<SequenceWork>(&work.what)) {
      decide_sequence(*sequence, records, builder);
    } else if (const auto* expiry = std::get_if<ExpiryWork>(&work.what)) {
      for (const std::string& key : expiry->keys) builder.expire_if_due(key);
    }
  }
}

// ---- The commit ------------------------------------------------------------------------------

void Engine::begin_commit(const std::shared_ptr<Group>& group) {
  BatchBuilder& builder = group->decided->builder;
  if (builder.empty()) {
    group->outcome = CommitOutcome::kCommitted;
    return;
  }
#ifdef SE_PLANTED_ACK_BEFORE_COMMIT
  answer(group->works);  // A planted bug (I4): the crash tests must find it.
#endif
  const std::shared_ptr<CommitBatch> batch = builder.take();
  memories_.add_unsaved(batch->rule_states);
  group->batch = batch;
  spawn([this, group]() -> Awaitable<void> {
    group->outcome = co_await commit(group->batch);
    wake_drain();
  });
}

// Makes a group visible and answers it.
void Engine::conclude(Group& group) {
  const BatchBuilder& builder = group.decided->builder;
  if (group.batch != nullptr) install(*group.batch, builder.changes());
  install_rules(builder, group.batch != nullptr);
#ifdef SE_PLANTED_ACK_BEFORE_COMMIT
  if (group.batch != nullptr) return;
#endif
  answer(group.works);
}

// Refuses a group of which nothing was written.
void Engine::give_up(Group& group) {
  // The keys whose expiry was part of the group must be tried again.
  requeue_expiries(group.decided->builder.changed_keys());
  requeue_waits(group.decided->waits);
  refuse_group(group.works, failed_ ? "The engine has stopped after a fault of its store"
                                    : "The store could not write: nothing was changed");
}

void Engine::refuse_group(std::vector<Work>& group, std::string_view why) {
  for (Work& work : group) {
    if (const auto* expiry = std::get_if<ExpiryWork>(&work.what)) requeue_expiries(expiry->keys);
    refuse(work, why);
  }
}

Engine::Awaitable<CommitOutcome> Engine::commit(std::shared_ptr<const CommitBatch> batch) {
  const auto begin = clock_.monotonic_now();
  CommitReply reply = co_await deps_.store.commit(batch);
  if (reply.outcome == CommitOutcome::kUnknown) {
    deps_.log.error("the outcome of a commit is unknown", {{"error", reply.message}});
    if (reply.fatal) {
      fail(reply.message);
      co_return CommitOutcome::kUnknown;
    }
    if (is_shared()) {
      // The store has looked for as long as it may. It goes on under another engine id, so that
      // this process need not end for it.
      store_refused_ = resynchronize_ = true;
      deps_.observer.on_store(reply.message);
      co_return CommitOutcome::kUnknown;
    }
    reply.outcome = co_await resolve(*batch);
    if (reply.outcome == CommitOutcome::kUnknown) {
      fail("the outcome of a commit could not be found out: " + reply.message);
      co_return reply.outcome;
    }
  }
  if (reply.outcome == CommitOutcome::kStale || reply.outcome == CommitOutcome::kTooLarge) {
    // It is tried again, after a look at the store or in parts.
    if (reply.outcome == CommitOutcome::kStale) deps_.observer.on_stale();
  } else if (reply.outcome == CommitOutcome::kCommitted) {
    deps_.observer.on_commit(batch->entries.size(), clock_.monotonic_now() - begin);
    if (std::exchange(store_refused_, false)) {
      deps_.log.info("the store accepts commits again", {});
      deps_.observer.on_store("");
    }
  } else {
    if (!std::exchange(store_refused_, true)) {
      deps_.log.error("the store refused a commit", {{"error", reply.message}});
    }
    deps_.observer.on_store(reply.message);
  }
  co_return reply.outcome;
}

// A batch is durable as a whole or not at all, so that one id tells for all (I15).
Engine::Awaitable<CommitOutcome> Engine::resolve(const CommitBatch& batch) {
  std::vector<std::string> ids{batch.entries.front().proposal.id};
  auto found = co_await deps_.store.lookup(std::move(ids));
  if (!found.ok()) co_return CommitOutcome::kUnknown;
  const auto& entry = found->front();
  co_return entry && entry->hash == batch.entries.front().hash ? CommitOutcome::kCommitted
                                                               : CommitOutcome::kNotCommitted;
}

}  // namespace state_engine
