// AsioTimer: the Timer port on the system's monotonic clock.

#ifndef STATE_ENGINE_APP_ASIO_TIMER_H_
#define STATE_ENGINE_APP_ASIO_TIMER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "ports/timer.h"

namespace state_engine {

class AsioTimer final : public Timer {
 public:
  explicit AsioTimer(const boost::asio::any_io_executor& strand) : timer_(strand) {}

  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds duration) override;
  void wake() override;

 private:
  boost::asio::steady_timer timer_;
  bool sleeping_ = false;
  bool woken_ = false;  // wake() came before the sleep: the next sleep returns at once
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ASIO_TIMER_H_
