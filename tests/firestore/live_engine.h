// LiveEngine: an engine on a thread of its own and on real time, over a Firestore that others
// share.

#ifndef STATE_ENGINE_TESTS_FIRESTORE_LIVE_ENGINE_H_
#define STATE_ENGINE_TESTS_FIRESTORE_LIVE_ENGINE_H_

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include "app/asio_timer.h"
#include "engine/engine.h"
#include "store/firestore/firestore_state_store.h"
#include "tests/conformance/batch_builder.h"
#include "tests/support/patience.h"

namespace state_engine::test {

class CountingSink final : public EffectSink {
 public:
  boost::asio::awaitable<Delivery> deliver(const Effect& effect) override {
    const std::scoped_lock lock(mutex_);
    delivered_.push_back(effect.id);
    co_return Delivery::kDelivered;
  }
  std::vector<std::string> delivered() const {
    const std::scoped_lock lock(mutex_);
    return delivered_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> delivered_;
};

class LiveEngine {
 public:
  LiveEngine(const FirestoreOptions& options, const std::string& rules)
      : store_(must(FirestoreStateStore::open(options))),
        guard_(boost::asio::make_work_guard(context_)),
        strand_(boost::asio::make_strand(context_)),
        expiry_timer_(strand_),
        outbox_timer_(strand_),
        engine_({strand_, *store_, sink, *options.clock, *options.random, *options.log, observer_,
                 expiry_timer_, outbox_timer_,
                 [](const std::string& message) { ADD_FAILURE() << "fatal: " << message; }}),
        thread_([this] { context_.run(); }) {
    auto policy = Policy::compile({{"*"}, {}});
    RuleSetLoad load = RuleSet::load(testing_json(rules));
    EngineConfig config{std::get<std::shared_ptr<const Policy>>(policy), load.rules, rules};
    const Status started = wait(engine_.start(std::move(config)));
    EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().message);
  }

  ~LiveEngine() {
    wait_for_nothing(engine_.stop());
    EXPECT_TRUE(wait(store_->close()).ok());
    guard_.reset();
    thread_.join();
  }

  std::future<MutationResult> send(Proposal proposal) {
    return boost::asio::co_spawn(context_, engine_.propose(std::move(proposal), Origin{}),
                                 boost::asio::use_future);
  }
  MutationResult propose(Proposal proposal) { return send(std::move(proposal)).get(); }

  // Proposes until it is decided, with the same id.
  MutationResult propose_until_decided(const Proposal& proposal) {
    while (true) {
      MutationResult result = propose(proposal);
      if (result.code != RejectionCode::kUnavailable) return result;
      let_pass(std::chrono::milliseconds{20});
    }
  }

  // The present snapshot; null if absent.
  SnapshotPtr read(const std::string& key) {
    std::vector<std::string> keys{key};
    return must(wait(engine_.read(std::move(keys)))).front();
  }

  template <typename T>
  T wait(boost::asio::awaitable<T> task) {
    // Not use_future: it wants a T that can be made from nothing.
    std::optional<T> out;
    boost::asio::co_spawn(context_, fulfil(std::move(task), &out), boost::asio::use_future).get();
    return std::move(*out);
  }
  void wait_for_nothing(boost::asio::awaitable<void> task) {
    boost::asio::co_spawn(context_, std::move(task), boost::asio::use_future).get();
  }

  Engine& engine() { return engine_; }
  FirestoreStateStore& store() { return *store_; }
  CountingSink sink;

 private:
  template <typename T>
  static boost::asio::awaitable<void> fulfil(boost::asio::awaitable<T> task,
                                             std::optional<T>* out) {
    out->emplace(co_await std::move(task));
  }

  static json::Value testing_json(const std::string& text) { return must(json::parse(text)); }

  std::unique_ptr<FirestoreStateStore> store_;
  EngineObserver observer_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  boost::asio::any_io_executor strand_;
  AsioTimer expiry_timer_;
  AsioTimer outbox_timer_;
  Engine engine_;
  std::thread thread_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_FIRESTORE_LIVE_ENGINE_H_
