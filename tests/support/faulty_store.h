// FaultyStore: a StateStore around another that fails when its owner says so.
//
// The inner store is what survives a crash: drop the engine, open a new one on the same inner
// store.

#ifndef STATE_ENGINE_TESTS_SUPPORT_FAULTY_STORE_H_
#define STATE_ENGINE_TESTS_SUPPORT_FAULTY_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "ports/state_store.h"

namespace state_engine::testing {

enum class CommitFault {
  kNone,
  kNotCommitted,
  kUnknownApplied,
  kUnknownNotApplied,
  kFatalApplied,
  kFatalNotApplied,
};

class FaultyStore final : public StateStore {
 public:
  // Reads that may fail, each on its own.
  enum class Read {
    kHead,
    kLookup,
    kScan,
    kLog,
    kPending,
    kEffectsOf,
    kMark,
    kRuleStates,
    kSource,
    kCursor
  };

  FaultyStore(StateStore& inner, boost::asio::any_io_executor executor)
      : inner_(inner), gate_(std::move(executor)) {
    gate_.expires_at(boost::asio::steady_timer::time_point::max());
  }

  // Decides about each commit and each other call; absent = all is well.
  std::function<CommitFault(const CommitBatch&)> commit_fault;
  std::function<bool(Read)> read_fault;

  // How often a commit or look-up steps aside for others, before and after the work; absent =
  // never.
  std::function<int()> hops;

  // From here on nothing reaches the inner store, and every commit ends fatally unknown.
  void die() {
    dead_ = true;
    release_commits();
  }

  // While held, commits wait before they reach the inner store.
  void hold_commits() { held_ = true; }
  void release_commits() {
    held_ = false;
    gate_.cancel();
  }
  int waiting_commits() const { return waiting_; }
  int commits() const { return commits_; }

  std::string_view name() const override { return "faulty"; }
  Awaitable<Result<StoreHead>> head() override {
    if (fails(Read::kHead)) co_return fault();
    co_return co_await inner_.head();
  }
  Awaitable<CommitReply> commit(std::shared_ptr<const CommitBatch> batch) override {
    ++commits_;
    while (held_) {
      ++waiting_;
      co_await gate_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      --waiting_;
    }
    co_await step_aside();
    if (dead_) co_return CommitReply{CommitOutcome::kUnknown, true, "the process died (test)"};
    const CommitFault what = commit_fault ? commit_fault(*batch) : CommitFault::kNone;
    if (what == CommitFault::kNotCommitted) {
      co_return CommitReply{CommitOutcome::kNotCommitted, false, "disk full (test)"};
    }
    const bool apply = what == CommitFault::kNone || what == CommitFault::kUnknownApplied ||
                       what == CommitFault::kFatalApplied;
    if (apply) {
      CommitReply reply = co_await inner_.commit(std::move(batch));
      co_await step_aside();
      if (dead_) co_return CommitReply{CommitOutcome::kUnknown, true, "the process died (test)"};
      if (what == CommitFault::kNone || reply.outcome != CommitOutcome::kCommitted) co_return reply;
    }
    const bool fatal = what == CommitFault::kFatalApplied || what == CommitFault::kFatalNotApplied;
    co_return CommitReply{CommitOutcome::kUnknown, fatal, "lost the answer (test)"};
  }
  Awaitable<Result<std::vector<std::optional<LogEntry>>>> lookup(
      std::vector<std::string> ids) override {
    co_await step_aside();
    if (fails(Read::kLookup)) co_return fault();
    co_return co_await inner_.lookup(std::move(ids));
  }
  Awaitable<Result<std::vector<SnapshotPtr>>> scan_snapshots(std::string after,
                                                             std::size_t limit) override {
    if (fails(Read::kScan)) co_return fault();
    co_return co_await inner_.scan_snapshots(std::move(after), limit);
  }
  Awaitable<Result<std::vector<LogEntry>>> read_log(LogQuery query) override {
    if (fails(Read::kLog)) co_return fault();
    co_return co_await inner_.read_log(std::move(query));
  }
  Awaitable<Result<std::vector<OutboxRow>>> pending_effects(std::int64_t after,
                                                            std::size_t limit) override {
    if (fails(Read::kPending)) co_return fault();
    co_return co_await inner_.pending_effects(after, limit);
  }
  Awaitable<Result<std::vector<OutboxRow>>> effects_of(std::vector<std::string> ids) override {
    if (fails(Read::kEffectsOf)) co_return fault();
    co_return co_await inner_.effects_of(std::move(ids));
  }
  Awaitable<Status> mark_effects(std::vector<std::string> ids, EffectState state, Timestamp at,
                                 Timestamp forget) override {
    if (fails(Read::kMark)) co_return fault();
    co_return co_await inner_.mark_effects(std::move(ids), state, at, forget);
  }
  Awaitable<Result<std::vector<RuleState>>> rule_states() override {
    if (fails(Read::kRuleStates)) co_return fault();
    co_return co_await inner_.rule_states();
  }
  Awaitable<Status> save_source(SourceRevision source) override {
    if (fails(Read::kSource)) co_return fault();
    co_return co_await inner_.save_source(std::move(source));
  }
  Awaitable<Result<SourceRevision>> source(std::string kind, std::string revision) override {
    if (fails(Read::kSource)) co_return fault();
    co_return co_await inner_.source(std::move(kind), std::move(revision));
  }
  Awaitable<Result<std::int64_t>> cursor(std::string name) override {
    if (fails(Read::kCursor)) co_return fault();
    co_return co_await inner_.cursor(std::move(name));
  }
  Awaitable<Status> save_cursor(std::string name, std::int64_t seq) override {
    if (fails(Read::kCursor)) co_return fault();
    co_return co_await inner_.save_cursor(std::move(name), seq);
  }
  Awaitable<Status> close() override { co_return Status(); }

 private:
  bool fails(Read what) const { return dead_ || (read_fault && read_fault(what)); }
  Awaitable<void> step_aside() {
    for (int i = hops ? hops() : 0; i > 0; --i) {
      co_await boost::asio::post(gate_.get_executor(), boost::asio::use_awaitable);
    }
  }
  static Error fault() { return {ErrorCode::kUnavailable, "store is away (test)"}; }

  StateStore& inner_;
  boost::asio::steady_timer gate_;
  bool held_ = false;
  bool dead_ = false;
  int waiting_ = 0;
  int commits_ = 0;
};

}  // namespace state_engine::testing

#endif  // STATE_ENGINE_TESTS_SUPPORT_FAULTY_STORE_H_
