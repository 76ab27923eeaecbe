// EngineClock: the time that decisions carry.
//
// Engine time = max(wall clock, previous engine time + monotonic time elapsed), never below a
// floor given at start (the last committedAt). A wall clock that is set back therefore neither
// revives a value, nor expires one early, nor reorders the log.
//
// It is the running maximum of (wall - monotonic), added to the monotonic clock: one atomic number.
// Threads: any.

#ifndef STATE_ENGINE_ENGINE_ENGINE_CLOCK_H_
#define STATE_ENGINE_ENGINE_ENGINE_CLOCK_H_

#include <atomic>
#include <limits>

#include "base/time.h"

namespace state_engine {

class EngineClock {
 public:
  explicit EngineClock(const Clock& clock) : clock_(clock) {}

  // Engine time never falls below `floor` from here on.
  void set_floor(Timestamp floor) { raise(nanoseconds_of(floor) - clock_.monotonic_now().count()); }

  Timestamp now() {
    const std::int64_t monotonic = clock_.monotonic_now().count();
    const std::int64_t offset = raise(nanoseconds_of(clock_.wall_now()) - monotonic);
    return Timestamp{std::chrono::floor<std::chrono::milliseconds>(
        std::chrono::nanoseconds{monotonic + offset})};
  }

  std::chrono::nanoseconds monotonic_now() const { return clock_.monotonic_now(); }

 private:
  static std::int64_t nanoseconds_of(Timestamp time) {
    return std::chrono::nanoseconds{time.time_since_epoch()}.count();
  }

  // Lifts the offset to at least `offset`; returns the offset in force.
  std::int64_t raise(std::int64_t offset) {
    std::int64_t seen = offset_.load(std::memory_order_relaxed);
    while (seen < offset && !offset_.compare_exchange_weak(seen, offset)) {
    }
    return std::max(seen, offset);
  }

  const Clock& clock_;
  std::atomic<std::int64_t> offset_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_ENGINE_CLOCK_H_
