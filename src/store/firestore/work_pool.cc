// A plain queue: the calls block on the network, and an executor of the engine must not.

#include "store/firestore/work_pool.h"

#include "base/assert.h"

namespace state_engine::firestore {

WorkPool::WorkPool(int threads) {
  SE_ASSERT(threads > 0);
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { loop(); });
}

WorkPool::~WorkPool() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkPool::post(std::function<void()> task) {
  {
    const std::scoped_lock lock(mutex_);
    SE_ASSERT(!stopping_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void WorkPool::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !tasks_.empty() || stopping_; });
    if (tasks_.empty()) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace state_engine::firestore
