// Keys become OpenSSL keys once, when the set is read. A token is three base64url parts: header and
// claims are JSON, the signature covers their text as it came.

#include "net/jwt.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/json.h"

namespace state_engine::net {
namespace {

constexpr std::size_t kTokenBytesMax = 8 * 1024;
constexpr std::size_t kKeysMax = 64;
constexpr std::size_t kSubjectBytesMax = 120;
constexpr int kRsaBitsMin = 2048;
constexpr std::chrono::seconds kClockDifference{60};

template <auto function>
struct Free {
  template <typename T>
  void operator()(T* value) const {
    function(value);
  }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParamsPointer = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using BuilderPointer = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::optional<std::string> decoded_member(const json::Object& object, std::string_view name) {
  const auto text = json::find_string(object, name);
  std::string out;
  if (!text || !decode_base64url(*text, out) || out.empty()) return std::nullopt;
  return out;
}

KeyPointer key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const ParamsPointer params{OSSL_PARAM_BLD_to_param(builder)};
  const std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>> context{
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0) {
    return nullptr;
  }
  return KeyPointer{key};
}

KeyPointer rsa_key(const json::Object& jwk) {
  const auto modulus = decoded_member(jwk, "n");
  const auto exponent = decoded_member(jwk, "e");
  if (!modulus || !exponent || modulus->size() > 1024 || exponent->size() > 8) return nullptr;
  const NumberPointer n{BN_bin2bn(bytes_of(*modulus), static_cast<int>(modulus->size()), nullptr)};
  const NumberPointer e{
      BN_bin2bn(bytes_of(*exponent), static_cast<int>(exponent->size()), nullptr)};
  const BuilderPointer builder{OSSL_PARAM_BLD_new()};
  if (!n || !e || !builder || BN_num_bits(n.get()) < kRsaBitsMin) return nullptr;
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return key_from("RSA", builder.get());
}

KeyPointer p256_key(const json::Object& jwk) {
  const auto x = decoded_member(jwk, "x");
  const auto y = decoded_member(jwk, "y");
  if (json::find_string(jwk, "crv") != "P-256" || !x || !y || x->size() != 32 || y->size() != 32) {
    return nullptr;
  }
  const std::string point = "\x04" + *x + *y;
  const BuilderPointer builder{OSSL_PARAM_BLD_new()};
  if (!builder) return nullptr;
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  return key_from("EC", builder.get());
}

KeyPointer ed25519_key(const json::Object& jwk) {
  const auto x = decoded_member(jwk, "x");
  if (json::find_string(jwk, "crv") != "Ed25519" || !x || x->size() != 32) return nullptr;
  return KeyPointer{
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*x), x->size())};
}

// An ES256 signature is r and s, 32 bytes each; OpenSSL wants them as DER.
std::optional<std::string> der_of(std::string_view signature) {
  if (signature.size() != 64) return std::nullopt;
  const std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>> pair{ECDSA_SIG_new()};
  NumberPointer r{BN_bin2bn(bytes_of(signature), 32, nullptr)};
  NumberPointer s{BN_bin2bn(bytes_of(signature.substr(32)), 32, nullptr)};
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return std::nullopt;
  std::ignore = r.release();
  std::ignore = s.release();
  std::array<unsigned char, 80> der{};
  unsigned char* end = der.data();
  const int size = i2d_ECDSA_SIG(pair.get(), &end);
  if (size <= 0) return std::nullopt;
  SE_ASSERT(static_cast<std::size_t>(size) <= der.size());
  return std::string(der.begin(), der.begin() + size);
}

bool is_signature(EVP_PKEY* key, const EVP_MD* digest, std::string_view data,
                  std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(data),
                          data.size()) == 1;
}

Error denied(std::string why) { return {ErrorCode::kPermissionDenied, std::move(why)}; }

std::optional<json::Object> decoded_object(std::string_view part) {
  std::string text;
  if (!decode_base64url(part, text)) return std::nullopt;
  auto value = json::parse(text);
  if (!value.ok() || !value->is_object()) return std::nullopt;
  return std::move(value->get_object());
}

bool has_audience(const json::Object& claims, std::string_view audience) {
  const json::Value* value = claims.if_contains("aud");
  if (!value) return false;
  if (value->is_string()) return value->get_string() == audience;
  if (!value->is_array()) return false;
  return std::any_of(
      value->get_array().begin(), value->get_array().end(),
      [&](const json::Value& item) { return item.is_string() && item.get_string() == audience; });
}

bool is_subject(std::string_view subject) {
  return !subject.empty() && subject.size() <= kSubjectBytesMax &&
         std::all_of(subject.begin(), subject.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void add_words(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (!word.empty()) out.emplace_back(word);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
}

std::vector<std::string> scopes_of(const json::Object& claims) {
  std::vector<std::string> scopes;
  for (const std::string_view name : {"scope", "scp"}) {
    const json::Value* value = claims.if_contains(name);
    if (!value) continue;
    if (value->is_string()) add_words(value->get_string(), scopes);
    if (!value->is_array()) continue;
    for (const json::Value& item : value->get_array()) {
      if (item.is_string()) scopes.emplace_back(item.get_string());
    }
  }
  return scopes;
}

// A NumericDate in whole seconds; nullopt if it is no number or out of reach.
std::optional<std::chrono::sys_seconds> time_of(const json::Object& claims, std::string_view name) {
  constexpr double kLatest = 1e11;
  const json::Value* value = claims.if_contains(name);
  if (!value || !value->is_number()) return std::nullopt;
  const double seconds = value->to_number<double>();
  if (!(seconds >= 0 && seconds <= kLatest)) return std::nullopt;
  return std::chrono::sys_seconds{std::chrono::seconds{static_cast<std::int64_t>(seconds)}};
}

// Everything but the signature.
Result<JwtClaims> check_claims(const json::Object& claims, const JwtPolicy& policy,
                               std::chrono::sys_seconds now) {
  const auto expires = time_of(claims, "exp");
  if (!expires) return denied("the token has no expiry (exp)");
  if (now >= *expires + kClockDifference) return denied("the token has expired");
  if (claims.contains("nbf")) {
    const auto begins = time_of(claims, "nbf");
    if (!begins || now + kClockDifference < *begins) return denied("the token is not valid yet");
  }
  if (json::find_string(claims, "iss") != policy.issuer) {
    return denied("the token is from another issuer");
  }
  if (!has_audience(claims, policy.audience)) return denied("the token is for another audience");
  const auto subject = json::find_string(claims, "sub");
  if (!subject || !is_subject(*subject)) return denied("the token names no usable subject (sub)");
  return JwtClaims{*subject, scopes_of(claims), *expires};
}

}  // namespace

struct JwtVerifier::Key {
  std::string algorithm;  // "RS256", "ES256" or "EdDSA"
  std::string id;         // kid; empty if the key has none
  KeyPointer key;
};

JwtVerifier::JwtVerifier(std::vector<Key> keys, JwtPolicy policy)
    : keys_(std::move(keys)), policy_(std::move(policy)) {}
JwtVerifier::JwtVerifier(JwtVerifier&& other) noexcept = default;
JwtVerifier& JwtVerifier::operator=(JwtVerifier&& other) noexcept = default;
JwtVerifier::~JwtVerifier() = default;

std::size_t JwtVerifier::key_count() const { return keys_.size(); }

Result<JwtVerifier> JwtVerifier::from_jwks(std::string_view jwks, JwtPolicy policy) {
  if (policy.issuer.empty() || policy.audience.empty()) {
    return invalid_argument("a key set needs an issuer and an audience to check tokens for");
  }
  const auto value = json::parse(jwks);
  const json::Value* list =
      value.ok() && value->is_object() ? value->get_object().if_contains("keys") : nullptr;
  if (!list || !list->is_array()) {
    return invalid_argument("expected a key set: {\"keys\": [...]}, RFC 7517");
  }
  std::vector<Key> keys;
  for (const json::Value& item : list->get_array()) {
    if (!item.is_object() || keys.size() == kKeysMax) continue;
    const json::Object& jwk = item.get_object();
    if (json::find_string(jwk, "use").value_or("sig") != "sig") continue;
    const auto type = json::find_string(jwk, "kty");
    Key key;
    key.id = json::find_string(jwk, "kid").value_or("");
    if (type == "RSA") {
      key.algorithm = "RS256";
      key.key = rsa_key(jwk);
    } else if (type == "EC") {
      key.algorithm = "ES256";
      key.key = p256_key(jwk);
    } else if (type == "OKP") {
      key.algorithm = "EdDSA";
      key.key = ed25519_key(jwk);
    }
    if (json::find_string(jwk, "alg").value_or(key.algorithm) != key.algorithm) continue;
    if (key.key) keys.push_back(std::move(key));
  }
  if (keys.empty()) {
    return invalid_argument(
        "the key set holds no usable key: RSA of 2048 bits or more, EC P-256 or OKP Ed25519");
  }
  return JwtVerifier(std::move(keys), std::move(policy));
}

bool JwtVerifier::is_signed(std::string_view algorithm, const std::string* key_id,
                            std::string_view data, std::string_view signature) const {
  std::string der;
  if (algorithm == "ES256") {
    auto converted = der_of(signature);
    if (!converted) return false;
    der = std::move(*converted);
    signature = der;
  }
  const EVP_MD* digest = algorithm == "EdDSA" ? nullptr : EVP_sha256();
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) {
    if (key.algorithm != algorithm || (key_id && key.id != *key_id)) return false;
    return is_signature(key.key.get(), digest, data, signature);
  });
}

Result<JwtClaims> JwtVerifier::verify(std::string_view token, std::chrono::sys_seconds now) const {
  if (token.size() > kTokenBytesMax) return denied("the token is too long");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return denied("the bearer token is no signed token");
  const auto header = decoded_object(token.substr(0, first));
  const auto claims = decoded_object(token.substr(first + 1, second - first - 1));
  std::string signature;
  if (!header || !claims || !decode_base64url(token.substr(second + 1), signature)) {
    return denied("the token is malformed");
  }
  const auto algorithm = json::find_string(*header, "alg");
  if (algorithm != "RS256" && algorithm != "ES256" && algorithm != "EdDSA") {
    return denied("the token is not signed with RS256, ES256 or EdDSA");
  }
  if (header->contains("crit")) return denied("the token asks for an unknown extension");
  const auto key_id = json::find_string(*header, "kid");
  if (!is_signed(*algorithm, key_id ? &*key_id : nullptr, token.substr(0, second), signature)) {
    return denied("the token's signature fits no known key");
  }
  return check_claims(*claims, policy_, now);
}

bool decode_base64url(std::string_view text, std::string& out) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  if (text.size() % 4 == 1) return false;
  out.clear();
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) return false;
    bits = ((bits << 6U) | static_cast<unsigned>(digit)) & 0xffffU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xffU));
  }
  // Left-over bits must be zero: one text for one value.
  return (bits & ((1U << static_cast<unsigned>(count)) - 1U)) == 0;
}

}  // namespace state_engine::net
