// A steady timer that never has to fire: notify() cancels it from its own strand.

#include "net/wake_signal.h"

#include <atomic>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine::net {

struct WakeSignal::Impl {
  explicit Impl(const boost::asio::any_io_executor& strand) : timer(strand) {}

  std::atomic<bool> notified{false};
  boost::asio::steady_timer timer;
};

WakeSignal::WakeSignal(const boost::asio::any_io_executor& strand)
    : impl_(std::make_shared<Impl>(strand)) {}

void WakeSignal::notify() const {
  if (impl_->notified.exchange(true)) return;
  // A wait that begins before this runs sees the flag; one that is pending is cancelled by it.
  boost::asio::post(impl_->timer.get_executor(), [impl = impl_] { impl->timer.cancel(); });
}

boost::asio::awaitable<bool> WakeSignal::wait(std::chrono::milliseconds timeout) const {
  const auto impl = impl_;
  if (impl->notified.exchange(false)) co_return true;
  impl->timer.expires_after(timeout);
  boost::system::error_code ignored;  // The flag tells which of the two it was.
  co_await impl->timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  co_return impl->notified.exchange(false);
}

boost::asio::awaitable<void> WakeSignal::wait() const {
  // Not an empty loop with the await in its condition: g++ 12 compiles that to a trap.
  bool woken = false;
  while (!woken) woken = co_await wait(std::chrono::hours{1});
}

}  // namespace state_engine::net
