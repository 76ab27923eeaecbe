// VirtualTimer: a Timer that sleeps on a ManualClock, for one-threaded tests.

#ifndef STATE_ENGINE_TESTS_SUPPORT_VIRTUAL_TIMER_H_
#define STATE_ENGINE_TESTS_SUPPORT_VIRTUAL_TIMER_H_

#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/time.h"
#include "ports/timer.h"

namespace state_engine::testing {

class VirtualTimer final : public Timer {
 public:
  VirtualTimer(boost::asio::any_io_executor executor, const Clock& clock)
      : clock_(clock), bell_(std::move(executor)) {}

  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds duration) override {
    SE_ASSERT(!deadline_);  // one sleeper at a time
    deadline_ = clock_.monotonic_now() + duration;
    bell_.expires_at(boost::asio::steady_timer::time_point::max());
    co_await bell_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    deadline_.reset();
  }

  void wake() override { bell_.cancel(); }

  // When the sleeper wants to wake, in monotonic time; nothing if nobody sleeps.
  std::optional<std::chrono::nanoseconds> deadline() const { return deadline_; }

  void wake_if_due() {
    if (deadline_ && *deadline_ <= clock_.monotonic_now()) wake();
  }

 private:
  const Clock& clock_;
  boost::asio::steady_timer bell_;
  std::optional<std::chrono::nanoseconds> deadline_;
};

}  // namespace state_engine::testing

#endif  // STATE_ENGINE_TESTS_SUPPORT_VIRTUAL_TIMER_H_
