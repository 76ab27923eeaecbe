#include "app/asio_timer.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine {

boost::asio::awaitable<void> AsioTimer::sleep_for(std::chrono::nanoseconds duration) {
  if (std::exchange(woken_, false)) co_return;
  timer_.expires_after(duration);
  sleeping_ = true;
  // Cancelled means woken: both end the sleep.
  co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  sleeping_ = false;
  woken_ = false;
}

void AsioTimer::wake() {
  woken_ = true;
  if (sleeping_) timer_.cancel();
}

}  // namespace state_engine
