// A plain queue and one thread: SQLite blocks, and an executor of the engine must not.

#include "store/sqlite/work_thread.h"

#include "base/assert.h"
#include "base/thread_name.h"

namespace state_engine::sqlite {

WorkThread::WorkThread(const char* name, std::function<void()> on_idle,
                       std::chrono::milliseconds idle_after)
    : on_idle_(std::move(on_idle)), idle_after_(idle_after), thread_([this, name] {
        name_this_thread(name);
        loop();
      }) {}

WorkThread::~WorkThread() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void WorkThread::post(std::function<void()> task) {
  {
    const std::scoped_lock lock(mutex_);
    // The thread itself may add to what it drains.
    if (stopping_) SE_ASSERT(std::this_thread::get_id() == thread_.get_id());
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void WorkThread::loop() {
  bool idle_due = false;
  std::unique_lock lock(mutex_);
  const auto has_news = [this] { return !tasks_.empty() || stopping_; };
  while (true) {
    if (idle_due) {
      if (!changed_.wait_for(lock, idle_after_, has_news)) {
        idle_due = false;
        lock.unlock();
        on_idle_();
        lock.lock();
        continue;
      }
    } else {
      changed_.wait(lock, has_news);
    }
    if (tasks_.empty()) return;  // stopping, and all work done
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    idle_due = static_cast<bool>(on_idle_);
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace state_engine::sqlite
