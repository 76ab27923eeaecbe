// BlockingCalls: how a coroutine awaits work that blocks, on a thread that is no strand's.
//
// The base of whatever owns such threads and their queue. Ownership: outlives every awaitable of
// run(). Threads: run() from any thread.

#ifndef STATE_ENGINE_NET_BLOCKING_CALLS_H_
#define STATE_ENGINE_NET_BLOCKING_CALLS_H_

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine::net {

class BlockingCalls {
 public:
  BlockingCalls() = default;
  BlockingCalls(const BlockingCalls&) = delete;
  BlockingCalls& operator=(const BlockingCalls&) = delete;

  // Runs `work()` on a thread and resumes the caller on its own executor with what it returned.
  // Work that has been queued is never cancelled: a commit under way must be known to its caller.
  template <typename Work>
  boost::asio::awaitable<std::invoke_result_t<Work&>> run(Work work) {
    using Value = std::invoke_result_t<Work&>;
    auto initiate = [this](auto handler, Work job) {
      this->template start<Value>(std::move(handler), std::move(job));
    };
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&,
                                                   void(Value)>(
        std::move(initiate), boost::asio::use_awaitable, std::move(work));
  }

  // Queues work that nobody waits for. REQUIRES: `task` does not throw.
  virtual void post(std::function<void()> task) = 0;

 protected:
  ~BlockingCalls() = default;

 private:
  template <typename Value, typename Handler, typename Work>
  void start(Handler handler, Work work) {
    auto executor = boost::asio::get_associated_executor(handler);
    // std::function wants copies; the handler cannot be copied, so it is shared.
    struct Call {
      Handler handler;
      Work work;
      boost::asio::executor_work_guard<decltype(executor)> guard;
    };
    auto call = std::make_shared<Call>(
        Call{std::move(handler), std::move(work), boost::asio::make_work_guard(executor)});
    post([call = std::move(call), executor]() mutable {
      Value value = call->work();
      boost::asio::post(executor, [call = std::move(call), value = std::move(value)]() mutable {
        Handler resume = std::move(call->handler);
        call.reset();
        std::move(resume)(std::move(value));
      });
    });
  }
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_BLOCKING_CALLS_H_
