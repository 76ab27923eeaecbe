// Proposals in and answers out, what becomes of a commit, time. The writer is in group_commit.cc.

#include "engine/engine.h"

#include <exception>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "base/limits.h"
#include "engine/answers.h"
#include "engine/await_callback.h"
#include "engine/decided.h"

namespace state_engine {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kRetryAfter{100};
constexpr std::chrono::milliseconds kRetryAfterStoreFault{1000};
constexpr std::chrono::milliseconds kLookAgain{20};
constexpr std::size_t kExpiriesTogether = 64;

}  // namespace

Engine::Engine(EngineDependencies dependencies)
    : deps_(std::move(dependencies)),
      clock_(deps_.clock),
      outbox_(deps_.store, deps_.sink, deps_.outbox_timer, clock_, deps_.log, deps_.observer) {}

Engine::~Engine() { SE_ASSERT(tasks_ == 0); }

void Engine::add_change_listener(ChangeListener listener) {
  listeners_.push_back(std::move(listener));
}

// ---- Start, reload, stop ---------------------------------------------------------------------

void Engine::spawn(std::function<Awaitable<void>()> task) {
  ++tasks_;
  asio::co_spawn(deps_.strand, std::move(task), [this](const std::exception_ptr& fault) {
    --tasks_;
    if (fault) {
      try {
        std::rethrow_exception(fault);
      } catch (const std::exception& error) {
        fail(fmt::format("a task of the engine ended by an exception: {}", error.what()));
      }
    }
    if (tasks_ == 0 && idle_) std::exchange(idle_, nullptr)();
  });
}

Engine::Awaitable<Status> Engine::start(EngineConfig config) {
  auto on_strand = [this, config = std::move(config)]() mutable -> Awaitable<Status> {
    SE_CO_RETURN_IF_ERROR(co_await load());
    SE_CO_RETURN_IF_ERROR(co_await save_sources(config));
    SE_CO_RETURN_IF_ERROR(co_await load_memories(config));
    config_ = std::move(config);
    accepting_ = true;
    spawn([this] { return watch_expiry(); });
    start_outbox();
    co_return Status();
  };
  co_return co_await asio::co_spawn(deps_.strand, std::move(on_strand), asio::use_awaitable);
}

Engine::Awaitable<Status> Engine::load() {
  auto head = co_await deps_.store.head();
  if (!head.ok()) co_return head.error();
  head_ = *head;
  clock_.set_floor(head_.last_committed_at);
  auto state = co_await deps_.store.load_state();
  if (!state.ok()) co_return state.error();
  for (LoadedState::Deadline& item : state->deadlines) {
    expiry_.add(item.deadline, std::move(item.key));
  }
  index_.load(std::move(state->pages));
  index_.publish(head_.seq);
  deps_.observer.on_state(head_.seq, index_.view().size());
  deps_.log.info("state loaded", {{"keys", index_.view().size()},
                                  {"seq", head_.seq},
                                  {"engineId", head_.engine_id},
                                  {"store", deps_.store.name()}});
  co_return Status();
}

Engine::Awaitable<Status> Engine::save_sources(const EngineConfig& config) {
  SourceRevision policy{"policy", config.policy->revision(), config.policy->source()};
  SE_CO_RETURN_IF_ERROR(co_await deps_.store.save_source(std::move(policy)));
  SourceRevision rules{"rules", config.rules->revision(), config.rules_source};
  co_return co_await deps_.store.save_source(std::move(rules));
}

Engine::Awaitable<Status> Engine::reload(EngineConfig config) {
  auto on_strand = [this, config = std::move(config)]() mutable -> Awaitable<Status> {
    SE_CO_RETURN_IF_ERROR(co_await save_sources(config));
    config_ = std::move(config);
    submit({WaitWork{}, {}, {}});  // the waits of rules may end at another time now
    co_return Status();
  };
  co_return co_await asio::co_spawn(deps_.strand, std::move(on_strand), asio::use_awaitable);
}

Engine::Awaitable<EngineConfig> Engine::config() {
  auto on_strand = [this]() -> Awaitable<EngineConfig> { co_return config_; };
  co_return co_await asio::co_spawn(deps_.strand, std::move(on_strand), asio::use_awaitable);
}

Engine::Awaitable<void> Engine::stop() {
  auto on_strand = [this]() -> Awaitable<void> {
    accepting_ = false;
    stopping_ = true;
    deps_.expiry_timer.wake();
    outbox_.stop();
    if (tasks_ > 0) {
      co_await await_callback<bool>(
          [this](const std::function<void(bool)>& done) { idle_ = [done] { done(true); }; });
    }
    SE_ASSERT(queue_.empty());
  };
  co_await asio::co_spawn(deps_.strand, std::move(on_strand), asio::use_awaitable);
}

void Engine::fail(std::string message) {
  if (failed_) return;
  failed_ = true;
  accepting_ = false;
  outbox_.stop();  // what is undelivered stays in the store, for the next start
  wake_drain();
  deps_.observer.on_store(message);
  deps_.log.error("the engine stops", {{"error", message}});
  if (deps_.on_fatal) deps_.on_fatal(std::move(message));
}

// ---- Proposals in ----------------------------------------------------------------------------

Engine::Awaitable<MutationResult> Engine::propose(Proposal proposal, Origin origin,
                                                  ProposeOptions options) {
  auto start = [this, proposal = std::move(proposal), origin = std::move(origin),
                options](std::function<void(MutationResult)> done) mutable {
    Work work{SingleWork{std::move(proposal), std::move(done), {}}, std::move(origin), options};
    auto shared = std::make_shared<Work>(std::move(work));
    asio::post(deps_.strand, [this, shared] { submit(std::move(*shared)); });
  };
  co_return co_await await_callback<MutationResult>(std::move(start));
}

Engine::Awaitable<TransactionResult> Engine::propose_transaction(TransactionProposal transaction,
                                                                 Origin origin,
                                                                 ProposeOptions options) {
  const std::size_t count = transaction.members.size();
  if (count == 0 || count > limits::kTransactionMembersMax) {
    TransactionResult result;
    result.transaction_id = transaction.id;
    result.code = RejectionCode::kInvalidProposal;
    result.error = fmt::format("a transaction has 1 to {} mutations, this one has {}",
                               limits::kTransactionMembersMax, count);
    co_return result;
  }
  for (std::size_t i = 0; i < count; ++i) {
    transaction.members[i].id = fmt::format("{}:{}", transaction.id, i);
  }
  auto start = [this, transaction = std::move(transaction), origin = std::move(origin),
                options](std::function<void(TransactionResult)> done) mutable {
    Work work{TransactionWork{std::move(transaction), std::move(done), {}}, std::move(origin),
              options};
    auto shared = std::make_shared<Work>(std::move(work));
    asio::post(deps_.strand, [this, shared] { submit(std::move(*shared)); });
  };
  co_return co_await await_callback<TransactionResult>(std::move(start));
}

void Engine::submit(Work work) {
  const bool from_outside = !std::holds_alternative<ExpiryWork>(work.what) &&
                            !std::holds_alternative<WaitWork>(work.what);
  if (from_outside && !accepting_) {
    refuse(work, "The engine is not accepting proposals now");
    return;
  }
  if (from_outside && queue_.size() >= limits::kEngineQueueMax) {
    refuse(work, "The engine's queue is full");
    return;
  }
  queue_.push_back(std::move(work));
  deps_.observer.on_queue(queue_.size());
  if (draining_) {
    if (is_worth_deciding()) wake_drain();
    return;
  }
  draining_ = true;
  spawn([this] { return drain(); });
}

void Engine::refuse(Work& work, std::string_view why) {
  const auto retry = store_refused_ ? kRetryAfterStoreFault : kRetryAfter;
  if (auto* single = std::get_if<SingleWork>(&work.what)) {
    single->result = plain_answer(single->proposal, RejectionCode::kUnavailable, std::string(why));
    single->result.retry_after = retry;
  } else if (auto* transaction = std::get_if<TransactionWork>(&work.what)) {
    transaction->result = {};
    transaction->result.transaction_id = transaction->transaction.id;
    transaction->result.code = RejectionCode::kUnavailable;
    transaction->result.error = why;
    transaction->result.retry_after = retry;
  } else if (auto* sequence = std::get_if<SequenceWork>(&work.what)) {
    sequence->results.clear();
    if (sequence->lane != nullptr) sequence->lane->closed_ = true;
    for (const Submission& item : sequence->items) {
      sequence->results.push_back(
          plain_answer(item.proposal, RejectionCode::kUnavailable, std::string(why)));
      sequence->results.back().retry_after = retry;
    }
  }
  std::vector<Work> one;
  one.push_back(std::move(work));
  answer(one);
}

void Engine::answer(std::vector<Work>& group) {
  for (Work& work : group) {
    if (auto* single = std::get_if<SingleWork>(&work.what)) {
      deps_.observer.on_answer(single->result.code, single->result.duplicate);
      if (single->done) single->done(std::move(single->result));
    } else if (auto* transaction = std::get_if<TransactionWork>(&work.what)) {
      deps_.observer.on_answer(transaction->result.code, transaction->result.duplicate);
      if (transaction->done) transaction->done(std::move(transaction->result));
    } else if (auto* sequence = std::get_if<SequenceWork>(&work.what)) {
      for (const MutationResult& result : sequence->results) {
        deps_.observer.on_answer(result.code, result.duplicate);
      }
      if (sequence->done) sequence->done(std::move(sequence->results));
    }
  }
}

// ---- What was committed -----------------------------------------------------------------------

void Engine::install(const CommitBatch& batch, std::span<const CommittedChange> changes) {
  SE_ASSERT(is_shared() || batch.entries.front().seq == head_.seq + 1);
  bool sooner = false;
  const SnapshotView before = index_.view();
  for (const SnapshotPtr& snapshot : batch.snapshots) {
    // A refresh may have brought what another engine made of it since.
    const SnapshotRef known = before.look(snapshot->key);
    if (known && known.version() > snapshot->version) continue;
    sooner = expiry_.add(*snapshot) || sooner;
    index_.put(snapshot);
  }
  head_.seq = std::max(head_.seq, batch.entries.back().seq);
  head_.hash = batch.entries.back().hash;
  head_.last_committed_at = batch.entries.back().committed_at;
  index_.publish(head_.seq);
  memories_.saved(batch.rule_states);
  for (const LogEntry& entry : batch.entries) deps_.observer.on_entry(entry);
  deps_.observer.on_state(head_.seq, index_.view().size());
  if (sooner) deps_.expiry_timer.wake();
  if (!batch.effects.empty()) {
    outbox_.enqueue(batch.effects);
    start_outbox();
  }
  if (!changes.empty()) {
    for (const ChangeListener& listener : listeners_) listener(changes);
  }
}

void Engine::start_outbox() {
  if (outbox_.running() || !outbox_.has_work() || stopping_) return;
  spawn([this] { return outbox_.run(); });
}

void Engine::requeue_expiries(const std::vector<std::string>& keys) {
  const Timestamp now = clock_.now();
  for (const std::string& key : keys) {
    const SnapshotPtr still = index_.view().find(key);
    // One whose deadline is ahead has never left the queue.
    if (still == nullptr || still->deleted || still->visible_at(now)) continue;
    expiry_.add(*still);
    expiries_refused_ = true;
  }
  if (expiries_refused_) deps_.expiry_timer.wake();
}

Engine::Awaitable<void> Engine::watch_expiry() {
  while (!stopping_ && !failed_) {
    if (is_shared()) co_await look_around();
    if (std::exchange(expiries_refused_, false)) {
      co_await deps_.expiry_timer.sleep_for(kRetryAfter);
      continue;
    }
    const Timestamp now = clock_.now();
    if (auto keys = expiry_.take_due(now, kExpiriesTogether); !keys.empty()) {
      submit({ExpiryWork{std::move(keys)}, {}, {}});
      continue;
    }
    if (waits_are_due()) {
      submit({WaitWork{}, {}, {}});
      co_await deps_.expiry_timer.sleep_for(kLookAgain);
      continue;
    }
    auto next = expiry_.next();
    if (const auto end = memories_.next_deadline(); end && (!next || *end < *next)) next = end;
    const std::chrono::nanoseconds wait = next ? std::chrono::nanoseconds(*next - now)
                                               : std::chrono::nanoseconds(std::chrono::hours{1});
    // An hour at most: a wall clock set forward moves engine time without waking anyone.
    std::chrono::nanoseconds most = std::chrono::hours{1};
    if (next || is_shared()) most = std::chrono::seconds{1};
    co_await deps_.expiry_timer.sleep_for(std::min(wait, most));
  }
}

void Engine::warn_if_clock_jumped() {
  const Timestamp wall = deps_.clock.wall_now();
  const auto monotonic = clock_.monotonic_now();
  if (last_wall_ != Timestamp{}) {
    const auto jump = (wall - last_wall_) - (monotonic - last_monotonic_);
    if (jump > std::chrono::seconds{60} || jump < std::chrono::seconds{-60}) {
      deps_.log.warn("the wall clock jumped",
                     {{"seconds", std::chrono::duration<double>(jump).count()}});
    }
  }
  last_wall_ = wall;
  last_monotonic_ = monotonic;
}

}  // namespace state_engine
