// OutboxDispatcher: brings committed effects to the sink, at least once, in order of commit (I9).
//
// At most kOutboxRowsInMemoryMax effects wait in memory; beyond that they are read back from the
// store when the ones before are out. An effect that the sink could not take is tried again with a
// growing delay, and those behind it wait, so that order is kept.
//
// Ownership: store, sink and timer outlive the dispatcher.
// Threads:   the engine strand.

#ifndef STATE_ENGINE_ENGINE_OUTBOX_H_
#define STATE_ENGINE_ENGINE_OUTBOX_H_

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "engine/engine_clock.h"
#include "engine/observer.h"
#include "ports/effect_sink.h"
#include "ports/state_store.h"
#include "ports/timer.h"

namespace state_engine {

class OutboxDispatcher {
 public:
  OutboxDispatcher(StateStore& store, EffectSink& sink, Timer& timer, EngineClock& clock, Log& log,
                   EngineObserver& observer);

  // Takes over effects that a commit has made durable.
  void enqueue(std::vector<Effect> effects);

  // True if run() has something to do.
  bool has_work() const { return !queue_.empty() || in_store_; }
  bool running() const { return running_; }

  // Makes the next run() read the store, which may hold what other engines left.
  void look_again() { in_store_ = true; }

  // Delivers until nothing is left or stop() is called. REQUIRES: !running().
  boost::asio::awaitable<void> run();

  // Makes run() return soon; what is undelivered stays in the store.
  void stop();

 private:
  boost::asio::awaitable<bool> refill();
  boost::asio::awaitable<bool> deliver_some();
  std::size_t unmarked() const { return delivered_.size() + unheard_.size(); }
  bool must_mark() const;
  boost::asio::awaitable<void> linger();
  boost::asio::awaitable<bool> mark();
  boost::asio::awaitable<void> back_off();

  StateStore& store_;
  EffectSink& sink_;
  Timer& timer_;
  EngineClock& clock_;
  Log& log_;
  EngineObserver& observer_;
  std::deque<Effect> queue_;
  bool in_store_ = true;  // the store may hold pending effects that queue_ does not
  bool missed_ = false;   // enqueue() left effects to the store since the last refill began
  bool running_ = false;
  bool stopping_ = false;
  int failures_ = 0;        // in a row
  std::size_t window_ = 1;  // how many effects the sink is offered together
  // Known to the sink, pending in the store.
  std::vector<std::string> delivered_;
  std::vector<std::string> unheard_;
  std::chrono::nanoseconds mark_due_{0};  // monotonic
  bool lingering_ = false;                // asleep until then; a new effect wakes
  bool mark_failed_ = false;              // the last one
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_OUTBOX_H_
