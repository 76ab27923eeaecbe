// CancelSource and CancelToken: "nobody waits for this any more", told across threads.
//
// Cancellation is a request, never a kill: code that can stop early asks cancelled() or registers a
// callback; a commit in flight ignores it. Asio's own per-operation cancellation is not used for
// this, because it would abort whatever a handler happens to await, a commit included.
//
// Threads: every method may be called from any thread. Callbacks run on the thread that cancels,
// or at once on the registering thread if the source was cancelled before; they must not block.

#ifndef STATE_ENGINE_NET_CANCEL_H_
#define STATE_ENGINE_NET_CANCEL_H_

#include <cstdint>
#include <functional>
#include <memory>

namespace state_engine::net {

namespace internal {
struct CancelState;
}  // namespace internal

// Removes its callback when destroyed; after that the callback neither runs nor is running, unless
// the destructor is called from within it.
class CancelRegistration {
 public:
  CancelRegistration() = default;
  CancelRegistration(std::shared_ptr<internal::CancelState> state, std::uint64_t id)
      : state_(std::move(state)), id_(id) {}
  CancelRegistration(CancelRegistration&& other) noexcept = default;
  CancelRegistration& operator=(CancelRegistration&& other) noexcept;
  ~CancelRegistration();

 private:
  void reset();

  std::shared_ptr<internal::CancelState> state_;
  std::uint64_t id_ = 0;
};

// A view of one source. A default token is never cancelled.
class CancelToken {
 public:
  CancelToken() = default;
  explicit CancelToken(std::shared_ptr<internal::CancelState> state) : state_(std::move(state)) {}

  bool cancelled() const;

  // Calls `callback` once when the source is cancelled (now, if it was already).
  [[nodiscard]] CancelRegistration on_cancel(std::function<void()> callback) const;

 private:
  std::shared_ptr<internal::CancelState> state_;
};

class CancelSource {
 public:
  CancelSource();
  CancelToken token() const { return CancelToken{state_}; }
  bool cancelled() const { return token().cancelled(); }

  // Idempotent.
  void cancel();

 private:
  std::shared_ptr<internal::CancelState> state_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_CANCEL_H_
