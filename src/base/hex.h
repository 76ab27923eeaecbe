// Hexadecimal and SHA-256.

#ifndef STATE_ENGINE_BASE_HEX_H_
#define STATE_ENGINE_BASE_HEX_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace state_engine {

std::string to_hex(std::span<const std::uint8_t> bytes);

using Sha256 = std::array<std::uint8_t, 32>;

// SHA-256 (FIPS 180-4) of `data`. Cost: O(data).
Sha256 sha256(std::string_view data);

// The same as 64 lower-case hexadecimal characters.
std::string sha256_hex(std::string_view data);

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_HEX_H_
