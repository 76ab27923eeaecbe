// StopSignal: ends the waits of blocking code, once and for all.
//
// Threads: any.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_STOP_SIGNAL_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_STOP_SIGNAL_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace state_engine::llm {

class StopSignal {
 public:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
  }

  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  // Waits; false if stopped meanwhile or before.
  bool sleep(std::chrono::milliseconds duration) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, duration, [this] { return stopped_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_STOP_SIGNAL_H_
