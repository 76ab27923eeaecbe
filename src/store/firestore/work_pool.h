// WorkPool: threads that run blocking calls in order of arrival, awaited from any executor.
//
// With one thread the work runs strictly in order. Ownership: outlives every awaitable of run().
// Threads: run() from any thread.

#ifndef STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_
#define STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine::firestore {

class WorkPool {
 public:
  explicit WorkPool(int threads);
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  // Finishes the work that waits, then joins.
  ~WorkPool();

  // Runs `work()` on a thread and resumes the caller on its own executor with what it returned.
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

  void post(std::function<void()> task);
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use the members above
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_
