// Timer: waiting, behind a seam, so that tests and the simulation run on virtual time.

#ifndef STATE_ENGINE_PORTS_TIMER_H_
#define STATE_ENGINE_PORTS_TIMER_H_

#include <chrono>

#include <boost/asio/awaitable.hpp>

namespace state_engine {

// Threads: one executor; one sleeper at a time.
class Timer {
 public:
  virtual ~Timer() = default;

  // Returns after `duration`, or early after wake(). Never fails.
  virtual boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds duration) = 0;

  // Makes the current sleep, if any, return now.
  virtual void wake() = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_TIMER_H_
