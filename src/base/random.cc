// getrandom(2) for real, splitmix64 for tests; ids are made from either.

#include "base/random.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/random.h>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/hex.h"

namespace state_engine {

namespace {

void ask_system(std::span<std::uint8_t> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::getrandom(bytes.data() + done, bytes.size() - done, 0);
    if (count < 0 && errno == EINTR) continue;
    SE_ASSERT(count > 0);
    done += static_cast<std::size_t>(count);
  }
}

// Bytes fetched ahead, so that a short request is rarely a system call.
struct Ahead {
  std::array<std::uint8_t, 512> bytes{};
  std::size_t used = bytes.size();
};

std::string uuid_text(std::array<std::uint8_t, 16> bytes, std::uint8_t version) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | (std::uint32_t{version} << 4U));
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  const std::string hex = to_hex(bytes);
  std::string text;
  text.reserve(36);
  for (const auto& [from, count] : {std::pair{0, 8}, {8, 4}, {12, 4}, {16, 4}, {20, 12}}) {
    if (from != 0) text += '-';
    text.append(hex, static_cast<std::size_t>(from), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

void SystemRandom::fill(std::span<std::uint8_t> bytes) {
  static thread_local Ahead ahead;
  if (bytes.size() > ahead.bytes.size()) return ask_system(bytes);
  if (ahead.bytes.size() - ahead.used < bytes.size()) {
    ask_system(ahead.bytes);
    ahead.used = 0;
  }
  const auto given = std::span(ahead.bytes).subspan(ahead.used, bytes.size());
  std::copy(given.begin(), given.end(), bytes.begin());
  std::fill(given.begin(), given.end(), std::uint8_t{0});  // a secret is in one place only
  ahead.used += bytes.size();
}

std::uint64_t SeededRandom::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

void SeededRandom::fill(std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next());
}

std::string new_uuid(Random& random) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(bytes);
  return uuid_text(bytes, 4);
}

std::string new_ordered_uuid(Random& random, Timestamp now) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(std::span(bytes).subspan(6));
  auto milliseconds = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (std::size_t i = 6; i-- > 0; milliseconds >>= 8U) {
    bytes[i] = static_cast<std::uint8_t>(milliseconds & 0xffU);
  }
  return uuid_text(bytes, 7);
}

std::string random_hex(Random& random, std::size_t byte_count) {
  std::vector<std::uint8_t> bytes(byte_count);
  random.fill(bytes);
  return to_hex(bytes);
}

}  // namespace state_engine
