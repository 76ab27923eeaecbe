// MutationIntake: the bus as a door to the engine.
//
// Invariants:
//   (1) A message is settled only after its decision is durable (I4, I5).
//   (2) Messages of one key are decided in the order of their stream, also while the store is away
//       or the key is rate limited: what is refused for now is kept here, and what follows for
//       the same key waits behind it. So an older write never lands over a newer one.
//   (3) Delivered again, a message gets the answer of its first decision and changes nothing (I3).
//   (4) What is no proposal is recorded (invalid_proposal, dead_letter), and dead letters go to
//       internal.deadletter.v1 before they are settled.
//
// Ownership: engine, bus and log outlive the intake.
// Threads:   start() and stop() from one caller; decisions run on `strand`.

#ifndef STATE_ENGINE_APP_MUTATION_INTAKE_H_
#define STATE_ENGINE_APP_MUTATION_INTAKE_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "engine/engine.h"
#include "net/task_group.h"
#include "net/wake_signal.h"
#include "ports/bus.h"

namespace state_engine {

// Where the actor of a proposal on the bus comes from.
enum class BusActors {
  kBody,     // the body says it, unverified, as in the reference
  kSubject,  // the last token of the subject, which the server's permissions guard
};

struct IntakeOptions {
  std::string queue = "state-engine";
  BusActors actors = BusActors::kBody;
  std::string principal = "nats";
};

// Which messages an intake consumes.
ConsumeOptions intake_consume_options(const IntakeOptions& options);

// Called on the strand; must be quick.
struct IntakeEvents {
  std::function<void()> on_dead_letter = [] {};
  std::function<void(std::size_t)> on_held = [](std::size_t) {};
  // An answer that is no new record: its proposer may have missed the first one.
  std::function<void(const MutationResult&, Timestamp stored_at)> on_repeated =
      [](const MutationResult&, Timestamp) {};
};

class MutationIntake {
 public:
  MutationIntake(Engine& engine, Bus& bus, boost::asio::any_io_executor strand, Log& log,
                 IntakeOptions options, IntakeEvents events);
  ~MutationIntake();

  void start();
  // True while more waits to be decided than the engine takes at once. Any thread.
  bool has_backlog() const { return backlog_; }
  // Ends the deliveries, finishes what is being decided, gives the rest back.
  boost::asio::awaitable<void> stop();

 private:
  using Steady = std::chrono::steady_clock;

  struct Item {
    BusDelivery delivery;
    Submission submission;  // empty while the engine has it
    std::size_t bytes = 0;
    const std::string& key() const { return submission.proposal.key; }
  };
  // Messages of one key behind one that is rate limited, in order.
  struct HeldKey {
    std::deque<Item> items;
    Steady::time_point due;
  };

  // Messages that the engine decides together.
  struct Batch {
    std::vector<Item> items;
    std::vector<MutationResult> results;
    bool decided = false;
    bool current = true;  // false: the bus delivers all of it again
  };

  void receive(BusDelivery delivery);
  void reset();
  Item decode(BusDelivery delivery) const;
  void restore(Item& item) const;
  boost::asio::awaitable<void> run();
  void take_inbox();
  std::vector<Item> take_batch(Steady::time_point now);
  void take_due_keys(Steady::time_point now, std::vector<Item>& batch);
  std::chrono::milliseconds until_due(Steady::time_point now) const;
  bool has_place() const;
  bool may_submit() const;
  bool expect_messages();
  void submit_batches(Steady::time_point now);
  boost::asio::awaitable<void> decide(std::shared_ptr<Batch> batch);
  bool take_decided();
  void note_backlog();
  void keep_refused();
  void note_away(const MutationResult* away);
  void settle(Item& item, const MutationResult& result);
  boost::asio::awaitable<void> publish_dead_letters();
  boost::asio::awaitable<bool> publish_dead_letter(const Item& item);
  void give_back();

  Engine& engine_;
  Bus& bus_;
  boost::asio::any_io_executor strand_;
  Log& log_;
  const IntakeOptions options_;
  const IntakeEvents events_;
  net::WakeSignal wake_;
  net::TaskGroup tasks_;
  std::unique_ptr<Bus::Subscription> subscription_;

  std::atomic<bool> backlog_{false};

  std::mutex mutex_;  // guards the four below, which the bus's threads change
  std::deque<Item> inbox_;
  std::size_t wake_at_ = 1;  // so many in the inbox wake the strand
  bool was_reset_ = false;   // what the strand has is void
  bool stopping_ = false;

  // The strand's.
  std::deque<Item> waiting_;
  std::map<std::string, HeldKey> held_;
  std::size_t held_count_ = 0;
  std::deque<std::shared_ptr<Batch>> under_way_;  // in the engine, in order
  std::shared_ptr<ProposalLane> lane_;
  bool lane_broken_ = false;  // something was refused: nothing more goes in before all is back
  Batch refused_;             // of what came back, in order
  std::deque<Item> dead_;     // recorded, to be published and settled
  Steady::time_point dead_due_{};
  Steady::time_point paused_until_{};
  bool away_ = false;  // the last batch was refused as a whole
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_MUTATION_INTAKE_H_
