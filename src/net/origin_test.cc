#include "net/origin.h"

#include <gtest/gtest.h>

namespace state_engine::net {
namespace {

struct Case {
  std::string_view host;
  const char* origin;  // nullptr: no such header
  bool allowed;
};

bool allowed(const OriginPolicy& policy, const Case& one) {
  Headers headers;
  headers.add("Host", std::string{one.host});
  if (one.origin) headers.add("Origin", one.origin);
  return origin_allowed(policy, headers);
}

TEST(OriginTest, LoopbackBindServesLoopbackNamesOnly) {
  const Case cases[] = {
      {"localhost", nullptr, true},
      {"localhost:4270", nullptr, true},
      {"LOCALHOST:1", nullptr, true},
      {"127.0.0.1", nullptr, true},
      {"127.0.0.1:65535", nullptr, true},
      {"[::1]", nullptr, true},
      {"[::1]:4270", nullptr, true},
      {"evil.example", nullptr, false},
      {"evil.example:4270", nullptr, false},
      {"localhost.evil.example", nullptr, false},
      {"evil.localhost", nullptr, false},
      {"127.0.0.1.evil.example", nullptr, false},
      {"127.0.0.2", nullptr, false},
      {"127.1", nullptr, false},
      {"2130706433", nullptr, false},
      {"0x7f.0.0.1", nullptr, false},
      {"0.0.0.0", nullptr, false},
      {"::1", nullptr, false},
      {"[::1", nullptr, false},
      {"[::1]x", nullptr, false},
      {"[::1]:", nullptr, false},
      {"[::2]", nullptr, false},
      {"localhost:", nullptr, false},
      {"localhost:123456", nullptr, false},
      {"localhost:80a", nullptr, false},
      {"localhost:80:80", nullptr, false},
      {"user@localhost", nullptr, false},
      {"localhost@evil.example", nullptr, false},
      {"localhost/evil", nullptr, false},
      {"localhost#evil", nullptr, false},
      {"local host", nullptr, false},
      {"", nullptr, false},
      {"localhost", "http://localhost", true},
      {"localhost", "http://localhost:3000", true},
      {"localhost", "https://127.0.0.1:8443", true},
      {"localhost", "http://[::1]:9", true},
      {"localhost", "null", false},
      {"localhost", "", false},
      {"localhost", "http://evil.example", false},
      {"localhost", "https://localhost.evil.example", false},
      {"localhost", "http://localhost@evil.example", false},
      {"localhost", "file://", false},
      {"localhost", "chrome-extension://abcdef", false},
      {"localhost", "http://localhost/", false},
      {"localhost", "ftp://localhost", false},
      {"localhost", "localhost", false},
      {"evil.example", "http://localhost", false},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(allowed({}, one), one.allowed)
        << "Host: " << one.host << " Origin: " << (one.origin ? one.origin : "(absent)");
  }
}

TEST(OriginTest, ConfiguredNamesAreAllowedExactly) {
  OriginPolicy policy;
  policy.allowed_hosts = {"engine.example", "fixed.example:8080"};
  policy.allowed_origins = {"https://console.example"};
  EXPECT_TRUE(allowed(policy, {"engine.example:9", nullptr, true}));
  EXPECT_TRUE(allowed(policy, {"fixed.example:8080", nullptr, true}));
  EXPECT_FALSE(allowed(policy, {"fixed.example:8081", nullptr, false}));
  EXPECT_TRUE(allowed(policy, {"localhost", "https://console.example", true}));
  EXPECT_FALSE(allowed(policy, {"localhost", "https://console.example.evil", false}));
}

TEST(OriginTest, AnotherBindChecksOriginButNotHost) {
  OriginPolicy policy;
  policy.check_host = false;
  EXPECT_TRUE(allowed(policy, {"10.0.0.7:4270", nullptr, true}));
  EXPECT_FALSE(allowed(policy, {"10.0.0.7:4270", "http://evil.example", false}));
}

TEST(OriginTest, RepeatedFieldsAreRefused) {
  EXPECT_FALSE(origin_allowed({}, {{"Host", "localhost"}, {"host", "localhost"}}));
  EXPECT_FALSE(origin_allowed(
      {}, {{"Host", "localhost"}, {"Origin", "http://localhost"}, {"origin", "http://x"}}));
  EXPECT_FALSE(origin_allowed({}, Headers{}));
}

}  // namespace
}  // namespace state_engine::net
