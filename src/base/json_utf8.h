// Steps over the bytes of a JSON string that reader, writer and is_utf8 share.

#ifndef STATE_ENGINE_BASE_JSON_UTF8_H_
#define STATE_ENGINE_BASE_JSON_UTF8_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace state_engine::json::internal {

// The length in bytes of the character at `at` (table 3-7 of the Unicode standard: no surrogates,
// no overlong forms, nothing above U+10FFFF), or 0 if there is none. REQUIRES: at < end.
inline std::size_t utf8_length(const char* at, const char* end) {
  const auto byte = [at](std::ptrdiff_t i) { return static_cast<unsigned char>(at[i]); };
  const auto follows = [&](std::ptrdiff_t i) { return (byte(i) & 0xC0) == 0x80; };
  const std::ptrdiff_t left = end - at;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return left >= 2 && follows(1) ? 2 : 0;
  if (lead < 0xF0) {
    if (left < 3 || !follows(1) || !follows(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (left < 4 || !follows(1) || !follows(2) || !follows(3)) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // above U+10FFFF
  return 4;
}

// How many of the 8 bytes at `at` come before the first that ends a plain run of a string: a quote,
// a backslash, a control character or anything that is not ASCII. 8 if none does.
//
// The subtractions may borrow from the byte above only where the byte below is such a one, so the
// lowest byte found is right.
inline std::size_t plain_bytes(const char* at) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  const std::uint64_t found = (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes) | word;
  return static_cast<std::size_t>(std::countr_zero(found & kHigh)) / 8;
}

}  // namespace state_engine::json::internal

#endif  // STATE_ENGINE_BASE_JSON_UTF8_H_
