// A token bucket is filled when it is looked at, from the monotonic clock; nothing runs in
// between.

#include "engine/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace state_engine {
namespace {

double seconds_between(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::string RateLimiter::name_of(const PolicyRule& rule, const std::string& actor) {
  return rule.pattern.str() + '\n' + actor;
}

void RateLimiter::give_back(const PolicyRule& rule, const std::string& actor) {
  if (!rule.rate) return;
  const auto item = buckets_.find(name_of(rule, actor));
  if (item == buckets_.end()) return;
  item->second.tokens = std::min(item->second.burst, item->second.tokens + 1);
}

void RateLimiter::make_room(std::chrono::nanoseconds monotonic_now) {
  std::erase_if(buckets_, [&](const auto& item) {
    const Bucket& bucket = item.second;
    const double filled =
        bucket.tokens + seconds_between(bucket.filled_at, monotonic_now) * bucket.per_second;
    return filled >= bucket.burst;
  });
  // Actors that outnumber the table are not slowed down by one bucket each anyway.
  if (buckets_.size() >= kBucketsMax) buckets_.erase(buckets_.begin());
}

std::optional<std::chrono::milliseconds> RateLimiter::acquire(
    const PolicyRule& rule, const std::string& actor, std::chrono::nanoseconds monotonic_now,
    bool take) {
  if (!rule.rate) return std::nullopt;
  const std::string name = name_of(rule, actor);
  if (buckets_.size() >= kBucketsMax && !buckets_.contains(name)) make_room(monotonic_now);
  auto [item, fresh] = buckets_.try_emplace(name);
  Bucket& bucket = item->second;
  if (fresh) bucket = {rule.rate->burst, 0, 0, monotonic_now};
  // A reload may have changed the figures; the tokens at hand stay.
  bucket.per_second = rule.rate->per_second;
  bucket.burst = rule.rate->burst;
  bucket.tokens =
      std::min(bucket.burst, bucket.tokens + seconds_between(bucket.filled_at, monotonic_now) *
                                                 bucket.per_second);
  bucket.filled_at = monotonic_now;
  if (bucket.tokens >= 1) {
    if (take) bucket.tokens -= 1;
    return std::nullopt;
  }
  const double wait = (1 - bucket.tokens) / bucket.per_second;
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil(wait * 1000))};
}

}  // namespace state_engine
