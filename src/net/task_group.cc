// A counter under a lock, and the completion handler of each coroutine.

#include "net/task_group.h"

#include <exception>
#include <mutex>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "net/wake_signal.h"

namespace state_engine::net {

struct TaskGroup::Impl {
  Impl(std::string group_name, Log& group_log) : name(std::move(group_name)), log(group_log) {}

  void ended(const std::exception_ptr& failure) {
    if (failure) report(failure);
    std::vector<WakeSignal> to_wake;
    {
      const std::lock_guard lock(mutex);
      if (--running == 0) to_wake.swap(waiters);
    }
    for (const WakeSignal& waiter : to_wake) waiter.notify();
  }

  void report(const std::exception_ptr& failure) const {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      log.error("a task ended with an exception", {{"group", name}, {"what", error.what()}});
    } catch (...) {
      log.error("a task ended with an unknown exception", {{"group", name}});
    }
  }

  const std::string name;
  Log& log;
  CancelSource stop;
  mutable std::mutex mutex;
  std::size_t running = 0;
  std::vector<WakeSignal> waiters;
};

TaskGroup::TaskGroup(std::string name, Log& log)
    : impl_(std::make_shared<Impl>(std::move(name), log)) {}

void TaskGroup::spawn(const boost::asio::any_io_executor& executor,
                      std::function<boost::asio::awaitable<void>()> task) {
  {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->running;
  }
  boost::asio::co_spawn(
      executor, std::move(task),
      [impl = impl_](const std::exception_ptr& failure) { impl->ended(failure); });
}

std::size_t TaskGroup::running() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->running;
}

CancelToken TaskGroup::stopping() const { return impl_->stop.token(); }

void TaskGroup::cancel() { impl_->stop.cancel(); }

boost::asio::awaitable<bool> TaskGroup::wait(std::chrono::milliseconds timeout) {
  const auto impl = impl_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const WakeSignal signal(co_await boost::asio::this_coro::executor);
  while (true) {
    {
      const std::lock_guard lock(impl->mutex);
      if (impl->running == 0) co_return true;
      impl->waiters.push_back(signal);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left <= std::chrono::milliseconds::zero()) co_return false;
    if (!co_await signal.wait(left)) co_return running() == 0;
  }
}

}  // namespace state_engine::net
