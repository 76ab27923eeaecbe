// Callbacks run without the lock, one after the other; a registration that is destroyed elsewhere
// meanwhile waits for its own callback to end.

#include "net/cancel.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace state_engine::net {
namespace internal {

struct CancelState {
  std::mutex mutex;
  std::condition_variable idle;
  bool cancelled = false;
  std::uint64_t next_id = 1;
  std::uint64_t running_id = 0;  // the callback that runs just now
  std::thread::id running_thread;
  std::map<std::uint64_t, std::function<void()>> callbacks;
};

}  // namespace internal

CancelRegistration& CancelRegistration::operator=(CancelRegistration&& other) noexcept {
  if (this != &other) {
    reset();
    state_ = std::move(other.state_);
    id_ = other.id_;
  }
  return *this;
}

CancelRegistration::~CancelRegistration() { reset(); }

void CancelRegistration::reset() {
  if (!state_) return;
  {
    std::unique_lock lock(state_->mutex);
    state_->callbacks.erase(id_);
    if (state_->running_thread != std::this_thread::get_id()) {
      state_->idle.wait(lock, [this] { return state_->running_id != id_; });
    }
  }
  state_.reset();
}

bool CancelToken::cancelled() const {
  if (!state_) return false;
  const std::lock_guard lock(state_->mutex);
  return state_->cancelled;
}

CancelRegistration CancelToken::on_cancel(std::function<void()> callback) const {
  if (!state_) return {};
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->cancelled) {
      const std::uint64_t id = state_->next_id++;
      state_->callbacks.emplace(id, std::move(callback));
      return {state_, id};
    }
  }
  callback();
  return {};
}

CancelSource::CancelSource() : state_(std::make_shared<internal::CancelState>()) {}

void CancelSource::cancel() {
  std::unique_lock lock(state_->mutex);
  if (state_->cancelled) return;
  state_->cancelled = true;
  state_->running_thread = std::this_thread::get_id();
  while (!state_->callbacks.empty()) {
    auto node = state_->callbacks.extract(state_->callbacks.begin());
    state_->running_id = node.key();
    lock.unlock();
    node.mapped()();
    lock.lock();
    state_->running_id = 0;
    state_->idle.notify_all();
  }
  state_->running_thread = {};
}

}  // namespace state_engine::net
