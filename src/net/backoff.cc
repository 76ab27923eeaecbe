#include "net/backoff.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace state_engine::net {

std::chrono::milliseconds Backoff::next() {
  std::chrono::milliseconds wait = options_.first;
  for (int i = 0; i < failures_ && wait < options_.most; ++i) wait *= options_.factor;
  wait = std::min(wait, options_.most);
  ++failures_;
  std::array<std::uint8_t, 2> bytes{};
  random_.fill(bytes);
  const double chance = (bytes[0] * 256 + bytes[1]) / 65536.0;
  const double off = static_cast<double>(wait.count()) * options_.jitter * chance;
  return wait - std::chrono::milliseconds{static_cast<std::int64_t>(off)};
}

}  // namespace state_engine::net
