#include "net/http_clock.h"

#include <array>
#include <ctime>

namespace state_engine::net {

std::int64_t coarse_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  return std::int64_t{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}

std::string_view date_now() {
  thread_local std::time_t cached_second = -1;
  thread_local std::array<char, 40> text{};
  thread_local std::size_t length = 0;
  const std::time_t now = std::time(nullptr);
  if (now != cached_second) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    cached_second = now;
  }
  return {text.data(), length};
}

}  // namespace state_engine::net
