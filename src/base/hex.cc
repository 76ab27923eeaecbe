// SHA256() and EVP_Q_digest() of OpenSSL 3 look the algorithm up and allocate on each call, which
// costs more than a short digest does: both are kept per thread.

#include "base/hex.h"

#include <memory>

#include <openssl/evp.h>

#include "base/assert.h"

namespace state_engine {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

EVP_MD_CTX* sha256_context() {
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> kContext(EVP_MD_CTX_new());
  SE_ASSERT(kAlgorithm != nullptr && kContext != nullptr);
  SE_ASSERT(EVP_DigestInit_ex2(kContext.get(), kAlgorithm, nullptr) == 1);
  return kContext.get();
}

}  // namespace

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(bytes.size() * 2, '0');
  char* at = out.data();
  for (const std::uint8_t byte : bytes) {
    *at++ = kDigits[byte >> 4];
    *at++ = kDigits[byte & 0x0f];
  }
  return out;
}

Sha256 sha256(std::string_view data) {
  Sha256 digest;
  EVP_MD_CTX* const context = sha256_context();
  SE_ASSERT(EVP_DigestUpdate(context, data.data(), data.size()) == 1);
  SE_ASSERT(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  return digest;
}

std::string sha256_hex(std::string_view data) { return to_hex(sha256(data)); }

}  // namespace state_engine
