// AccessWatch: when an open stream must ask again whether its peer is still let in.
//
// Two reasons: somebody changed who is let in (AccessChanges::announce), or a while has passed, in
// which a signed token may have expired. A busy stream asks as often as an idle one.
//
// Threads: AccessChanges any; an AccessWatch its stream's strand.

#ifndef STATE_ENGINE_MCP_PROTOCOL_ACCESS_WATCH_H_
#define STATE_ENGINE_MCP_PROTOCOL_ACCESS_WATCH_H_

#include <chrono>
#include <mutex>
#include <utility>

#include "net/cancel.h"
#include "net/wake_signal.h"

namespace state_engine::mcp {

class AccessChanges {
 public:
  // Makes every watch due, and wakes its stream.
  void announce() {
    net::CancelSource past;
    {
      const std::lock_guard lock(mutex_);
      std::swap(past, next_);
    }
    past.cancel();
  }

  // Cancelled at the next announcement.
  net::CancelToken next() const {
    const std::lock_guard lock(mutex_);
    return next_.token();
  }

 private:
  mutable std::mutex mutex_;  // guards the handle; never held while anybody is woken
  net::CancelSource next_;
};

class AccessWatch {
 public:
  AccessWatch(const AccessChanges& changes, net::WakeSignal wake, std::chrono::milliseconds every)
      : changes_(changes), wake_(std::move(wake)), every_(every) {
    rearm();
  }

  // True if it is time to ask; then not again before the next reason.
  bool due() {
    if (!change_.cancelled() && std::chrono::steady_clock::now() - asked_ < every_) return false;
    rearm();
    return true;
  }

 private:
  void rearm() {
    asked_ = std::chrono::steady_clock::now();
    change_ = changes_.next();
    registration_ = change_.on_cancel([wake = wake_] { wake.notify(); });
  }

  const AccessChanges& changes_;
  const net::WakeSignal wake_;
  const std::chrono::milliseconds every_;
  std::chrono::steady_clock::time_point asked_;
  net::CancelToken change_;
  net::CancelRegistration registration_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_ACCESS_WATCH_H_
