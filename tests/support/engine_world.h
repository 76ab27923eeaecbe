// EngineWorld: one engine on one thread with virtual time, a memory store that may be made to
// fail, and a sink that remembers what it was given.
//
// Nothing moves but by settle(), advance() and the calls that use them: a test is deterministic.

#ifndef STATE_ENGINE_TESTS_SUPPORT_ENGINE_WORLD_H_
#define STATE_ENGINE_TESTS_SUPPORT_ENGINE_WORLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "core/policy.h"
#include "engine/engine.h"
#include "rules/rule_set.h"
#include "store/memory/memory_state_store.h"
#include "tests/support/faulty_store.h"
#include "tests/support/json_literal.h"
#include "tests/support/virtual_timer.h"

namespace state_engine::testing {

class RecordingSink final : public EffectSink {
 public:
  boost::asio::awaitable<Delivery> deliver(const Effect& effect) override {
    if (dead) co_return Delivery::kRetry;
    const Delivery answer = answers ? answers(effect) : Delivery::kDelivered;
    attempts.push_back(effect);
    if (answer != Delivery::kRetry) delivered.push_back(effect);
    co_return answer;
  }

  std::function<Delivery(const Effect&)> answers;  // absent: all is delivered
  std::vector<Effect> attempts;
  std::vector<Effect> delivered;  // told to the engine as done
  bool dead = false;              // nothing arrives any more
};

template <typename T>
boost::asio::awaitable<void> store_into(boost::asio::awaitable<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

// Runs `task` and everything else that can run now. Nothing if it did not end.
template <typename T>
std::optional<T> run_now(boost::asio::io_context& context, boost::asio::awaitable<T> task) {
  auto out = std::make_shared<std::optional<T>>();
  boost::asio::co_spawn(context, store_into(std::move(task), out.get()),
                        [out](std::exception_ptr fault) {
                          if (fault) std::rethrow_exception(fault);
                        });
  context.restart();
  context.poll();
  return std::move(*out);
}

struct WorldConfig {
  PolicyConfig policy{{"*"}, {}};
  std::string rules = "[]";
};

// Everything that a store holds, as one text: equal dumps are equal stores.
std::string dump(StateStore& store, boost::asio::io_context& context);

class EngineWorld {
  // First, so that it outlives the timers of all others.
  std::unique_ptr<boost::asio::io_context> context_;

 public:
  explicit EngineWorld(WorldConfig config = {}, std::uint64_t seed = 1);
  ~EngineWorld();

  // Starts an engine on what the store holds.
  Status try_start();
  void start();  // REQUIRES: it works
  void stop();
  // Ends the engine without letting it change anything more; the memory store survives.
  void crash();
  void restart() {
    stop();
    start();
  }
  bool running() const { return engine_ != nullptr; }

  // Runs everything that can run at this moment of virtual time.
  void settle();
  // Runs at most `handlers` pieces of work.
  void poll(int handlers);
  // Lets time pass, stopping at every timer on the way.
  void advance(std::chrono::milliseconds by);

  // Lets real time pass until `condition` holds: for parts that have timers of their own. Returns
  // whether it does.
  bool run_until(const std::function<bool()>& condition,
                 std::chrono::milliseconds most = std::chrono::seconds{20});

  // Runs `task` to its end. Nothing if it did not end.
  template <typename T>
  std::optional<T> run(boost::asio::awaitable<T> task) {
    return run_now(*context_, std::move(task));
  }

  // Proposes and waits for the answer. REQUIRES: it comes without time passing.
  MutationResult propose(Proposal proposal, ProposeOptions options = {});
  TransactionResult transact(TransactionProposal transaction, ProposeOptions options = {});
  // Proposes without waiting; the result appears at the pointer when it comes.
  std::shared_ptr<std::optional<MutationResult>> send(Proposal proposal);
  // The same, but nothing runs yet.
  std::shared_ptr<std::optional<MutationResult>> post(Proposal proposal);

  MutationResult set(std::string key, json::Value value);

  // What a reader sees: null if absent, deleted or expired.
  SnapshotPtr read(const std::string& key);
  std::vector<LogEntry> log();
  std::vector<OutboxRow> outbox();
  std::string store_dump() { return dump(memory, *context_); }
  void use(const WorldConfig& config) { config_ = compile(config); }
  Status reload(const WorldConfig& config);

  static EngineConfig compile(const WorldConfig& config);

  Engine& engine() { return *engine_; }
  boost::asio::io_context& context() { return *context_; }

  ManualClock clock;
  MemoryStateStore memory{"engine-1"};
  std::unique_ptr<FaultyStore> store;
  RecordingSink sink;
  SeededRandom random;
  std::vector<std::string> fatal;  // messages of on_fatal
  std::vector<ChangeEvent> changes;

 private:
  struct Timers;

  EngineConfig config_;
  NullLog log_;
  EngineObserver observer_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Engine> engine_;
  int next_id_ = 0;
};

// A proposal of op set; fields are then changed as the test needs.
Proposal proposal_of(std::string id, std::string key, json::Value value = 1);

}  // namespace state_engine::testing

#endif  // STATE_ENGINE_TESTS_SUPPORT_ENGINE_WORLD_H_
