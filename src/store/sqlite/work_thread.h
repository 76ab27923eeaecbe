// WorkThread: one thread that runs blocking work in order, awaited from any executor.
//
// A SQLite connection lives on one such thread, so that no strand ever blocks on a disk.
// Ownership: outlives every awaitable of run(). Threads: run() from any thread.

#ifndef STATE_ENGINE_STORE_SQLITE_WORK_THREAD_H_
#define STATE_ENGINE_STORE_SQLITE_WORK_THREAD_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "net/blocking_calls.h"

namespace state_engine::sqlite {

class WorkThread final : public net::BlockingCalls {
 public:
  // `name` is literal text of at most 15 characters. `on_idle` runs on the thread, once, after each
  // `idle_after` without work that follows work.
  WorkThread(const char* name, std::function<void()> on_idle, std::chrono::milliseconds idle_after);
  // Finishes the work that waits, then joins.
  ~WorkThread();

  void post(std::function<void()> task) override;

 private:
  void loop();

  std::function<void()> on_idle_;
  std::chrono::milliseconds idle_after_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_WORK_THREAD_H_
