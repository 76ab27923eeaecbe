// WakeSignal: wakes one coroutine from any thread.
//
// Notifications are not counted: any number of them before a wait wakes it once.
//
// Threads: notify() from any thread; wait() on the executor, which must be a strand, one at a time.

#ifndef STATE_ENGINE_NET_WAKE_SIGNAL_H_
#define STATE_ENGINE_NET_WAKE_SIGNAL_H_

#include <chrono>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace state_engine::net {

class WakeSignal {
 public:
  explicit WakeSignal(const boost::asio::any_io_executor& strand);

  void notify() const;

  // Returns true once notified, false when `timeout` passed first.
  boost::asio::awaitable<bool> wait(std::chrono::milliseconds timeout) const;
  // Waits without a limit; the caller guarantees that a notification comes.
  boost::asio::awaitable<void> wait() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_WAKE_SIGNAL_H_
