// Time: the Clock seam, millisecond timestamps and their RFC 3339 text.
//
// Nothing below src/app reads a system clock itself; tests pass a ManualClock.

#ifndef STATE_ENGINE_BASE_TIME_H_
#define STATE_ENGINE_BASE_TIME_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine {

// A UTC wall-clock instant, to the millisecond.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

inline Timestamp timestamp_from_ms(std::int64_t ms) {
  return Timestamp{std::chrono::milliseconds{ms}};
}
inline std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

// "2026-11-22T18:30:00.250Z": RFC 3339, UTC, always three decimals.
std::string format_rfc3339(Timestamp time);

// Reads RFC 3339 with any offset and any number of decimals (cut to milliseconds).
// Errors: kInvalidArgument, naming the text and an example.
Result<Timestamp> parse_rfc3339(std::string_view text);

// Reads a length of time: a number of seconds ("1.5") or a number with its unit: "500ms", "30s",
// "5m", "2h". Errors: kInvalidArgument, unless it is from 1 ms to 366 days.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// "500ms", "30s", "5m", "2h": the largest unit that gives a whole number.
std::string format_duration(std::chrono::milliseconds duration);

// A source of time. Threads: safe from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time; may jump either way.
  virtual Timestamp wall_now() const = 0;

  // Never goes back; its zero has no meaning.
  virtual std::chrono::nanoseconds monotonic_now() const = 0;
};

// The clocks of the operating system.
class SystemClock final : public Clock {
 public:
  Timestamp wall_now() const override;
  std::chrono::nanoseconds monotonic_now() const override;
};

// A clock that tests set by hand. Threads: one.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = timestamp_from_ms(1'760'000'000'000)) : wall_(start) {}

  Timestamp wall_now() const override { return wall_; }
  std::chrono::nanoseconds monotonic_now() const override { return monotonic_; }

  // Lets `by` pass on both clocks.
  void advance(std::chrono::milliseconds by) {
    wall_ += by;
    monotonic_ += by;
  }
  // Moves the wall clock alone, as an operator or NTP does.
  void jump_wall(std::chrono::milliseconds by) { wall_ += by; }

 private:
  Timestamp wall_;
  std::chrono::nanoseconds monotonic_{0};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_TIME_H_
