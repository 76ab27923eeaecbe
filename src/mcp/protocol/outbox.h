// Outbox: messages on their way to one client, taken by the coroutine that writes.
//
// Responses are always kept: they are bounded by the requests that were let in. Progress is dropped
// when the box is full, since the next one says more.
//
// Threads: every method from any thread.

#ifndef STATE_ENGINE_MCP_PROTOCOL_OUTBOX_H_
#define STATE_ENGINE_MCP_PROTOCOL_OUTBOX_H_

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/wake_signal.h"

namespace state_engine::mcp {

class Outbox {
 public:
  void attach(std::optional<net::WakeSignal> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
    if (wake_ && !messages_.empty()) wake_->notify();
  }

  void push(std::string message) {
    const std::lock_guard lock(mutex_);
    bytes_ += message.size();
    messages_.push_back(std::move(message));
    if (wake_) wake_->notify();
  }

  // Returns false if it was dropped.
  bool push_progress(std::string message) {
    {
      const std::lock_guard lock(mutex_);
      if (messages_.size() >= kProgressMax) return false;
    }
    push(std::move(message));
    return true;
  }

  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    bytes_ = 0;
    return std::exchange(messages_, {});
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return messages_.size();
  }

  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  static constexpr std::size_t kProgressMax = 256;

  mutable std::mutex mutex_;
  std::optional<net::WakeSignal> wake_;
  std::vector<std::string> messages_;
  std::size_t bytes_ = 0;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_OUTBOX_H_
