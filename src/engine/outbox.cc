// Delivered effects are marked in groups, since each mark is a durable write that a commit waits
// for: what is delivered within a moment is marked together. A crash before the mark means a second
// delivery of the same id and bytes, never a lost one.

#include "engine/outbox.h"

#include <algorithm>

#include "base/limits.h"

namespace state_engine {
namespace {

using boost::asio::awaitable;

constexpr std::size_t kDeliverTogether = 64;
constexpr std::size_t kMarkTogether = 256;
constexpr std::chrono::milliseconds kMarkWithin{20};
constexpr std::chrono::milliseconds kBackoffFirst{50};
constexpr std::chrono::milliseconds kBackoffMost{5000};

}  // namespace

OutboxDispatcher::OutboxDispatcher(StateStore& store, EffectSink& sink, Timer& timer,
                                   EngineClock& clock, Log& log, EngineObserver& observer)
    : store_(store), sink_(sink), timer_(timer), clock_(clock), log_(log), observer_(observer) {}

void OutboxDispatcher::enqueue(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    // Once one is left to the store, all behind it are: order is kept.
    if (in_store_ || queue_.size() >= limits::kOutboxRowsInMemoryMax) {
      in_store_ = true;
      missed_ = true;
      break;
    }
    queue_.push_back(std::move(effect));
  }
  observer_.on_outbox(queue_.size());
  if (lingering_) timer_.wake();
}

void OutboxDispatcher::stop() {
  stopping_ = true;
  timer_.wake();
}

awaitable<void> OutboxDispatcher::back_off() {
  const auto delay = std::min<std::chrono::milliseconds>(
      kBackoffMost, kBackoffFirst * (1 << std::min(failures_, 10)));
  ++failures_;
  co_await timer_.sleep_for(delay);
}

// Reads what waits in the store. REQUIRES: queue_ is empty and everything delivered is marked.
awaitable<bool> OutboxDispatcher::refill() {
  // A commit may add effects while this reads; enqueue() leaves them to the store and says so.
  missed_ = false;
  auto rows = co_await store_.pending_effects(0, limits::kOutboxRowsInMemoryMax);
  if (!rows.ok()) {
    log_.warn("outbox cannot be read", {{"error", rows.error().message}});
    co_return false;
  }
  in_store_ = missed_ || !rows->empty();
  for (OutboxRow& row : *rows) queue_.push_back(std::move(row.effect));
  co_return true;
}

// What follows one that is not taken stays here, in order, even if the sink has it already. The
// first after a failure goes alone, so that a sink that takes nothing is not offered many.
awaitable<bool> OutboxDispatcher::deliver_some() {
  const auto count = static_cast<std::ptrdiff_t>(std::min(window_, queue_.size()));
  std::vector<Effect> effects(queue_.begin(), queue_.begin() + count);
  const auto deliveries = co_await sink_.deliver_all(std::move(effects));
  SE_ASSERT(deliveries.size() == static_cast<std::size_t>(count));
  for (const Delivery delivery : deliveries) {
    observer_.on_delivery(delivery);
    if (delivery == Delivery::kRetry) {
      window_ = 1;
      co_return false;
    }
    if (unmarked() == 0) mark_due_ = clock_.monotonic_now() + kMarkWithin;
    auto& done = delivery == Delivery::kDelivered ? delivered_ : unheard_;
    done.push_back(std::move(queue_.front().id));
    queue_.pop_front();
  }
  window_ = std::min(window_ * 2, kDeliverTogether);
  co_return true;
}

bool OutboxDispatcher::must_mark() const {
  if (unmarked() == 0) return false;
  if (unmarked() >= kMarkTogether) return true;
  if (queue_.empty() && in_store_) return true;  // a refill would bring them once more
  // A store that cannot mark now does not hold up what is still to be delivered.
  return clock_.monotonic_now() >= mark_due_ && (queue_.empty() || !mark_failed_);
}

// Until it is time to mark, or more is to be delivered.
awaitable<void> OutboxDispatcher::linger() {
  lingering_ = true;
  co_await timer_.sleep_for(mark_due_ - clock_.monotonic_now());
  lingering_ = false;
}

awaitable<bool> OutboxDispatcher::mark() {
  const Timestamp now = clock_.now();
  const Timestamp forget = now - limits::kOutboxSentKept;
  if (!delivered_.empty()) {
    const Status status = co_await store_.mark_effects(delivered_, EffectState::kSent, now, forget);
    if (!status.ok()) co_return false;
    delivered_.clear();
  }
  if (!unheard_.empty()) {
    const Status status =
        co_await store_.mark_effects(unheard_, EffectState::kNoSubscriber, now, forget);
    if (!status.ok()) co_return false;
    unheard_.clear();
  }
  co_return true;
}

awaitable<void> OutboxDispatcher::run() {
  SE_ASSERT(!running_);
  running_ = true;
  while (!stopping_) {
    bool ok = true;
    if (must_mark()) {
      ok = co_await mark();
      mark_failed_ = !ok;
    } else if (!queue_.empty()) {
      ok = co_await deliver_some();
    } else if (unmarked() > 0) {
      co_await linger();
    } else if (in_store_) {
      ok = co_await refill();
    } else {
      break;
    }
    if (ok) {
      failures_ = 0;
    } else if (!stopping_) {
      co_await back_off();
    }
    observer_.on_outbox(queue_.size());
  }
  if (!co_await mark()) {
    log_.warn("delivered effects could not be marked; they will be delivered again", {});
  }
  running_ = false;
}

}  // namespace state_engine
