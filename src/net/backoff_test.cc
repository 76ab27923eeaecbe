#include "net/backoff.h"

#include <gtest/gtest.h>

namespace state_engine::net {
namespace {

using namespace std::chrono_literals;

TEST(BackoffTest, DoublesUpToTheMostAndStartsAnewAfterASuccess) {
  SeededRandom random(1);
  Backoff backoff({100ms, 1000ms, 2, 0.0}, random);
  EXPECT_EQ(backoff.next(), 100ms);
  EXPECT_EQ(backoff.next(), 200ms);
  EXPECT_EQ(backoff.next(), 400ms);
  EXPECT_EQ(backoff.next(), 800ms);
  EXPECT_EQ(backoff.next(), 1000ms);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(backoff.next(), 1000ms);
  EXPECT_EQ(backoff.failures(), 1005);
  backoff.reset();
  EXPECT_EQ(backoff.next(), 100ms);
}

TEST(BackoffTest, ChanceTakesOffAtMostItsPart) {
  SeededRandom random(2);
  Backoff backoff({1000ms, 1000ms, 2, 0.5}, random);
  std::chrono::milliseconds least = 1000ms;
  std::chrono::milliseconds most = 0ms;
  for (int i = 0; i < 1000; ++i) {
    const auto wait = backoff.next();
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, 500ms);
  EXPECT_LT(least, 550ms);
  EXPECT_LE(most, 1000ms);
  EXPECT_GT(most, 950ms);
}

}  // namespace
}  // namespace state_engine::net
