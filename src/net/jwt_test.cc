// Keys are made by OpenSSL in the test; tokens are signed and then spoilt, one thing at a time.

#include "net/jwt.h"

#include <functional>
#include <map>

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/json.h"

namespace state_engine::net {
namespace {

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds{1'800'000'000}};
const JwtPolicy kPolicy{"https://issuer.example", "http://engine.example/mcp"};

std::string encode(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  unsigned count = 0;
  for (const char c : bytes) {
    bits = (bits << 8U) | static_cast<unsigned char>(c);
    for (count += 8; count >= 6;) {
      count -= 6;
      out.push_back(kDigits[(bits >> count) & 63U]);
    }
    bits &= 63U;
  }
  if (count > 0) out.push_back(kDigits[(bits << (6 - count)) & 63U]);
  return out;
}

std::string number_bytes(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &number), 1);
  std::string out(static_cast<std::size_t>(size), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), size);
  BN_free(number);
  return out;
}

// One key pair and its public half as JWK.
struct Signer {
  Signer(std::string name, EVP_PKEY* pair, std::string public_jwk)
      : algorithm(std::move(name)), key(pair, EVP_PKEY_free), jwk(std::move(public_jwk)) {}

  std::string algorithm;
  std::shared_ptr<EVP_PKEY> key;
  std::string jwk;

  std::string sign(std::string_view data) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const EVP_MD* digest = algorithm == "EdDSA" ? nullptr : EVP_sha256();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, digest, nullptr, key.get()), 1);
    std::string out(1024, '\0');
    std::size_t size = out.size();
    EXPECT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size,
                             reinterpret_cast<const unsigned char*>(data.data()), data.size()),
              1);
    EVP_MD_CTX_free(context);
    out.resize(size);
    return algorithm == "ES256" ? raw_pair(out) : out;
  }

  static std::string raw_pair(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), reinterpret_cast<unsigned char*>(out.data()), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), reinterpret_cast<unsigned char*>(out.data()) + 32, 32);
    ECDSA_SIG_free(pair);
    return out;
  }

  std::string token(const json::Object& header, const json::Object& claims) const {
    const std::string data =
        encode(json::write(json::Value(header))) + "." + encode(json::write(json::Value(claims)));
    return data + "." + encode(sign(data));
  }
};

Signer rsa_signer(unsigned bits = 2048) {
  EVP_PKEY* key = EVP_RSA_gen(bits);
  return {"RS256", key,
          R"({"kty":"RSA","kid":"r","e":"AQAB","n":")" +
              encode(number_bytes(key, "n", static_cast<int>(bits / 8))) + R"("})"};
}

Signer ec_signer() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  return {"ES256", key,
          R"({"kty":"EC","kid":"e","crv":"P-256","x":")" + encode(number_bytes(key, "qx", 32)) +
              R"(","y":")" + encode(number_bytes(key, "qy", 32)) + R"("})"};
}

Signer ed_signer() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  std::string bytes(32, '\0');
  std::size_t size = bytes.size();
  EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(bytes.data()), &size);
  return {"EdDSA", key,
          R"({"kty":"OKP","kid":"d","crv":"Ed25519","x":")" + encode(bytes) + R"("})"};
}

JwtVerifier verifier_of(const std::string& keys) {
  auto verifier = JwtVerifier::from_jwks("{\"keys\":[" + keys + "]}", kPolicy);
  EXPECT_TRUE(verifier.ok()) << (verifier.ok() ? "" : verifier.error().message);
  return std::move(*verifier);
}

json::Object good_claims() {
  return {{"iss", kPolicy.issuer},
          {"aud", kPolicy.audience},
          {"sub", "anna"},
          {"exp", kNow.time_since_epoch().count() + 300},
          {"scope", "state:read state:write"}};
}

TEST(JwtTest, EachAlgorithmIsVerifiedWithItsKey) {
  for (const Signer& signer : {rsa_signer(), ec_signer(), ed_signer()}) {
    const JwtVerifier verifier = verifier_of(signer.jwk);
    const auto claims = verifier.verify(
        signer.token({{"alg", signer.algorithm}, {"typ", "at+jwt"}}, good_claims()), kNow);
    ASSERT_TRUE(claims.ok()) << signer.algorithm << ": " << claims.error().message;
    EXPECT_EQ(claims->subject, "anna");
    EXPECT_EQ(claims->scopes, (std::vector<std::string>{"state:read", "state:write"}));
    EXPECT_EQ(claims->expires, kNow + std::chrono::seconds{300});
  }
}

TEST(JwtTest, EachSpoiltClaimIsRefused) {
  const Signer signer = ed_signer();
  const JwtVerifier verifier = verifier_of(signer.jwk);
  const std::int64_t now = kNow.time_since_epoch().count();
  const std::map<std::string, std::function<void(json::Object&)>> spoilt{
      {"expired", [&](json::Object& c) { c["exp"] = now - 61; }},
      {"no exp", [](json::Object& c) { c.erase("exp"); }},
      {"exp as text", [](json::Object& c) { c["exp"] = "later"; }},
      {"exp beyond reach", [](json::Object& c) { c["exp"] = 1e300; }},
      {"not yet", [&](json::Object& c) { c["nbf"] = now + 61; }},
      {"nbf as text", [](json::Object& c) { c["nbf"] = "soon"; }},
      {"issuer", [](json::Object& c) { c["iss"] = "https://issuer.example.evil"; }},
      {"no issuer", [](json::Object& c) { c.erase("iss"); }},
      {"audience", [](json::Object& c) { c["aud"] = "http://other.example"; }},
      {"audiences",
       [](json::Object& c) {
         c["aud"] = json::Array{"x", "y"};
       }},
      {"no audience", [](json::Object& c) { c.erase("aud"); }},
      {"no subject", [](json::Object& c) { c.erase("sub"); }},
      {"subject with a line", [](json::Object& c) { c["sub"] = "a\nb"; }},
      {"long subject", [](json::Object& c) { c["sub"] = std::string(121, 'a'); }}};
  for (const auto& [name, spoil] : spoilt) {
    json::Object claims = good_claims();
    spoil(claims);
    const auto verdict = verifier.verify(signer.token({{"alg", "EdDSA"}}, claims), kNow);
    ASSERT_FALSE(verdict.ok()) << name;
    EXPECT_EQ(verdict.error().code, ErrorCode::kPermissionDenied) << name;
  }
}

TEST(JwtTest, ClocksMayDifferByAMinuteAndAudienceMayBeAList) {
  const Signer signer = ed_signer();
  const JwtVerifier verifier = verifier_of(signer.jwk);
  json::Object claims = good_claims();
  claims["exp"] = kNow.time_since_epoch().count() - 59;
  claims["nbf"] = kNow.time_since_epoch().count() + 59;
  claims["aud"] = json::Array{"http://other.example", json::Value(kPolicy.audience)};
  EXPECT_TRUE(verifier.verify(signer.token({{"alg", "EdDSA"}}, claims), kNow).ok());
}

TEST(JwtTest, TokenNeverChoosesHowItIsChecked) {
  const Signer rsa = rsa_signer();
  const Signer ec = ec_signer();
  const JwtVerifier verifier = verifier_of(rsa.jwk + "," + ec.jwk);
  const json::Object claims = good_claims();
  for (const std::string_view algorithm : {"none", "HS256", "RS512", "ES256", "rs256", ""}) {
    EXPECT_FALSE(verifier.verify(rsa.token({{"alg", algorithm}}, claims), kNow).ok()) << algorithm;
  }
  EXPECT_FALSE(verifier.verify(rsa.token({}, claims), kNow).ok());
  EXPECT_FALSE(verifier.verify(rsa.token({{"alg", "RS256"}, {"kid", "e"}}, claims), kNow).ok());
  EXPECT_FALSE(
      verifier.verify(rsa.token({{"alg", "RS256"}, {"crit", json::Array{"b64"}}}, claims), kNow)
          .ok());
  EXPECT_TRUE(verifier.verify(rsa.token({{"alg", "RS256"}, {"kid", "r"}}, claims), kNow).ok());
}

TEST(JwtTest, NoAlteredCharacterPasses) {
  const Signer signer = ec_signer();
  const JwtVerifier verifier = verifier_of(signer.jwk);
  const std::string token = signer.token({{"alg", "ES256"}}, good_claims());
  ASSERT_TRUE(verifier.verify(token, kNow).ok());
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string altered = token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verifier.verify(altered, kNow).ok()) << i;
    EXPECT_FALSE(verifier.verify(token.substr(0, i), kNow).ok()) << i;
  }
  EXPECT_FALSE(verifier.verify(token + ".", kNow).ok());
  EXPECT_FALSE(verifier.verify(std::string(10'000, 'a'), kNow).ok());
  EXPECT_FALSE(verifier_of(ec_signer().jwk).verify(token, kNow).ok()) << "another key";
}

TEST(JwtTest, KeySetsNobodyCanUseAreRefused) {
  const std::string weak = rsa_signer(1024).jwk;
  for (const std::string& keys :
       {std::string{"[]"}, std::string{"{}"}, std::string{"nonsense"},
        std::string{R"({"keys":[]})"}, std::string{R"({"keys":[7,{"kty":"oct","k":"AAAA"}]})"},
        R"({"keys":[)" + weak + "]}"}) {
    const auto verifier = JwtVerifier::from_jwks(keys, kPolicy);
    ASSERT_FALSE(verifier.ok()) << keys;
    EXPECT_EQ(verifier.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(JwtVerifier::from_jwks("{\"keys\":[" + ed_signer().jwk + "]}", {}).ok());
  std::string other_use = ed_signer().jwk;
  other_use.insert(1, R"("use":"enc",)");
  EXPECT_EQ(verifier_of(other_use + "," + ed_signer().jwk).key_count(), 1U);
}

}  // namespace
}  // namespace state_engine::net
