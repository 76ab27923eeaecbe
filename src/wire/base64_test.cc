#include "wire/base64.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace state_engine::wire {
namespace {

// The vectors of RFC 4648, section 10.
TEST(Base64Test, AgreesWithTheRfc) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64Test, ReadsUrlSafeAndUnpaddedText) {
  EXPECT_EQ(from_base64("-_8"), "\xFB\xFF");
  EXPECT_EQ(from_base64("+/8="), "\xFB\xFF");
  for (const char* bad : {"A", "Zg=a", "Z g=", "Zm9v!"}) EXPECT_EQ(from_base64(bad), std::nullopt);
}

TEST(Base64Test, RoundTripsRandomBytes) {
  SeededRandom random(4);
  for (int i = 0; i < 2000; ++i) {
    const std::string bytes = random_hex(random, random.below(40));
    ASSERT_EQ(from_base64(to_base64(bytes)), bytes);
  }
}

}  // namespace
}  // namespace state_engine::wire
