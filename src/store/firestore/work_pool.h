// WorkPool: threads that run blocking calls in order of arrival, awaited from any executor.
//
// With one thread the work runs strictly in order. Ownership: outlives every awaitable of run().
// Threads: run() from any thread.

#ifndef STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_
#define STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "net/blocking_calls.h"

namespace state_engine::firestore {

class WorkPool final : public net::BlockingCalls {
 public:
  explicit WorkPool(int threads);
  // Finishes the work that waits, then joins.
  ~WorkPool();

  void post(std::function<void()> task) override;

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use the members above
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_WORK_POOL_H_
