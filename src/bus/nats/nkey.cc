// A seed is base32 of: 5 bits "seed", 5 bits kind, padding to two bytes, 32 bytes Ed25519 seed, two
// bytes CRC-16/XMODEM, low byte first. A public key: one byte kind, 32 bytes, CRC.

#include "bus/nats/nkey.h"

#include <array>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <vector>

#include <openssl/evp.h>

namespace state_engine::nats {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSeedBytes = 2 + kKeyBytes + 2;
constexpr std::uint8_t kSeedKind = 18 << 3;

std::optional<std::vector<std::uint8_t>> base32_decode(std::string_view text) {
  std::vector<std::uint8_t> out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 5) | static_cast<std::uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> count));
    }
  }
  return out;
}

std::string base32_encode(const std::vector<std::uint8_t>& bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      out += kAlphabet[(bits >> count) & 31];
    }
  }
  if (count > 0) out += kAlphabet[(bits << (5 - count)) & 31];
  return out;
}

std::uint16_t crc16(const std::uint8_t* data, std::size_t size) {
  std::uint16_t crc = 0;
  for (std::size_t i = 0; i < size; ++i) {
    crc = static_cast<std::uint16_t>(crc ^ (data[i] << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc;
}

std::optional<std::array<std::uint8_t, kKeyBytes>> ed25519_public(const std::uint8_t* seed) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed, kKeyBytes), EVP_PKEY_free);
  std::array<std::uint8_t, kKeyBytes> out{};
  std::size_t size = out.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) != 1) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

Result<std::string> nkey_public(std::string_view seed) {
  const Error bad = invalid_argument(
      "this is no NKey seed of a user; it is one line of 58 characters that begins with SU");
  const auto bytes = base32_decode(seed);
  if (!bytes || bytes->size() != kSeedBytes) return bad;
  const std::uint16_t crc = crc16(bytes->data(), kSeedBytes - 2);
  if ((*bytes)[kSeedBytes - 2] != (crc & 0xff) || (*bytes)[kSeedBytes - 1] != crc >> 8) return bad;
  if (((*bytes)[0] & 0xf8) != kSeedKind) return bad;
  const auto kind = static_cast<std::uint8_t>((((*bytes)[0] & 7) << 5) | ((*bytes)[1] >> 3));
  const auto raw = ed25519_public(bytes->data() + 2);
  if (!raw) return bad;
  std::vector<std::uint8_t> out{kind};
  out.insert(out.end(), raw->begin(), raw->end());
  const std::uint16_t check = crc16(out.data(), out.size());
  out.push_back(static_cast<std::uint8_t>(check & 0xff));
  out.push_back(static_cast<std::uint8_t>(check >> 8));
  return base32_encode(out);
}

Result<std::string> nkey_public_of_file(const std::string& path) {
  std::ifstream file(path);
  if (!file.is_open()) return invalid_argument("cannot read the NKey seed file " + path);
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t begin = line.find("SU");
    if (begin != 0) continue;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    auto key = nkey_public(line);
    if (!key.ok()) return invalid_argument(path + ": " + key.error().message);
    return key;
  }
  return invalid_argument(path + " holds no line with an NKey seed (SU...)");
}

}  // namespace state_engine::nats
