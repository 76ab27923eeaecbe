// RateLimiter: token buckets per (policy pattern, actor).

#ifndef STATE_ENGINE_ENGINE_RATE_LIMITER_H_
#define STATE_ENGINE_ENGINE_RATE_LIMITER_H_

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/policy.h"

namespace state_engine {

// Bounded: at kBucketsMax, buckets that have refilled are forgotten; if none has, any one is.
// Threads: the engine strand.
class RateLimiter {
 public:
  // Takes one token, or returns how long to wait for one. `take` false only looks.
  std::optional<std::chrono::milliseconds> acquire(const PolicyRule& rule, const std::string& actor,
                                                   std::chrono::nanoseconds monotonic_now,
                                                   bool take);

  // Puts one token back that acquire() took.
  void give_back(const PolicyRule& rule, const std::string& actor);

 private:
  static constexpr std::size_t kBucketsMax = 10'000;

  struct Bucket {
    double tokens = 0;
    double per_second = 0;
    double burst = 0;
    std::chrono::nanoseconds filled_at{0};
  };

  static std::string name_of(const PolicyRule& rule, const std::string& actor);
  void make_room(std::chrono::nanoseconds monotonic_now);

  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_RATE_LIMITER_H_
