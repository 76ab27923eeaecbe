#include "core/keys.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace state_engine {
namespace {

TEST(KeysTest, AcceptsTheWholeAlphabet) {
  for (const char* key : {"stream.state", "a", "user.fact.4711/tz", "A-Z_09:x@y", ".", "..", "*"}) {
    EXPECT_EQ(key_fault(key).has_value(), std::string_view(key) == "*") << key;
  }
  EXPECT_FALSE(key_fault(std::string(limits::kKeyBytesMax, 'k')));
}

TEST(KeysTest, RefusesEmptyTooLongAndForeignBytes) {
  EXPECT_TRUE(key_fault(""));
  EXPECT_TRUE(key_fault(std::string(limits::kKeyBytesMax + 1, 'k')));
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        (c != '\0' && std::string_view("._:/@-").find(c) != std::string_view::npos);
    EXPECT_EQ(key_fault(std::string("k") + c).has_value(), !allowed) << byte;
  }
}

TEST(KeysTest, SaysWhichByteIsWrong) {
  EXPECT_NE(key_fault("stream state")->find("0x20 at position 6"), std::string::npos);
}

TEST(KeysTest, PatternsAreNamesOrPrefixes) {
  EXPECT_FALSE(parse_pattern(""));
  EXPECT_FALSE(parse_pattern("*a"));
  EXPECT_FALSE(parse_pattern("a*b"));
  EXPECT_FALSE(parse_pattern("a**"));
  EXPECT_TRUE(parse_pattern("*")->matches("anything"));
  EXPECT_TRUE(parse_pattern("user.*")->matches("user.a"));
  EXPECT_TRUE(parse_pattern("user.*")->matches("user."));
  EXPECT_FALSE(parse_pattern("user.*")->matches("user"));
  EXPECT_TRUE(parse_pattern("user")->matches("user"));
  EXPECT_FALSE(parse_pattern("user")->matches("user.a"));
  EXPECT_EQ(parse_pattern("user.*")->str(), "user.*");
}

TEST(KeysTest, ExactBeatsPrefixAndLongerBeatsShorter) {
  const auto exact = *parse_pattern("a");
  const auto longer = *parse_pattern("a.b.*");
  const auto shorter = *parse_pattern("a.*");
  const auto all = *parse_pattern("*");
  EXPECT_TRUE(exact.more_specific_than(longer));
  EXPECT_TRUE(longer.more_specific_than(shorter));
  EXPECT_TRUE(shorter.more_specific_than(all));
  EXPECT_FALSE(all.more_specific_than(shorter));
  EXPECT_FALSE(shorter.more_specific_than(shorter));
}

}  // namespace
}  // namespace state_engine
