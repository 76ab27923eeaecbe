#include "base/random.h"

#include <array>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine {
namespace {

TEST(RandomTest, SeededBytesRepeatForTheSameSeedOnly) {
  SeededRandom a(1);
  SeededRandom b(1);
  SeededRandom c(2);
  const std::string first = random_hex(a, 32);
  EXPECT_EQ(first.size(), 64U);
  EXPECT_EQ(first, random_hex(b, 32));
  EXPECT_NE(first, random_hex(c, 32));
  EXPECT_NE(first, random_hex(a, 32));
}

TEST(RandomTest, BelowStaysBelow) {
  SeededRandom random(5);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  EXPECT_THAT(seen, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST(RandomTest, UuidsAreVersion4AndDiffer) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = new_uuid(random);
    ASSERT_EQ(uuid.size(), 36U);
    EXPECT_EQ(uuid.find_first_not_of("0123456789abcdef-"), std::string::npos) << uuid;
    for (const std::size_t at : {8U, 13U, 18U, 23U}) EXPECT_EQ(uuid[at], '-') << uuid;
    EXPECT_EQ(uuid[14], '4') << uuid;
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos) << uuid;
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(RandomTest, OrderedUuidsBeginWithTheirTime) {
  SystemRandom random;
  const Timestamp at{std::chrono::milliseconds{0x0123456789ab}};
  const std::string uuid = new_ordered_uuid(random, at);
  EXPECT_THAT(uuid,
              ::testing::MatchesRegex("01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_LT(uuid, new_ordered_uuid(random, at + std::chrono::milliseconds{1}));
  EXPECT_NE(uuid, new_ordered_uuid(random, at));
}

TEST(RandomTest, BytesFetchedAheadAreGivenOnce) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_hex(random, 16));
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_FALSE(seen.contains(std::string(32, '0')));
}

TEST(RandomTest, SystemBytesFillTheWholeSpan) {
  SystemRandom random;
  std::array<std::uint8_t, 4096> bytes{};
  random.fill(bytes);
  int tail_not_zero = 0;
  for (std::size_t i = 4032; i < bytes.size(); ++i) tail_not_zero += bytes[i] != 0 ? 1 : 0;
  EXPECT_GT(tail_not_zero, 32);
}

}  // namespace
}  // namespace state_engine
