#include "base/time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;

TEST(TimeTest, FormatsUtcWithThreeDecimals) {
  EXPECT_EQ(format_rfc3339(timestamp_from_ms(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(timestamp_from_ms(1'760'000'000'007)), "2025-10-09T08:53:20.007Z");
  EXPECT_EQ(format_rfc3339(timestamp_from_ms(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_rfc3339(timestamp_from_ms(1'709'164'800'000)), "2024-02-29T00:00:00.000Z");
}

TEST(TimeTest, ReadsAndWritesDurations) {
  for (const auto& [text, ms] : {std::pair{"500ms", 500},
                                 {"30s", 30'000},
                                 {"5m", 300'000},
                                 {"2h", 7'200'000},
                                 {"1.5", 1'500},
                                 {"0.5h", 1'800'000}}) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration.ok()) << text;
    EXPECT_EQ(duration->count(), ms) << text;
  }
  for (const char* text :
       {"", "0", "-1s", "5 m", "m", "1d", "nan", "inf", "1e3", "9999999h", "0.4ms", "5mm"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
  EXPECT_EQ(format_duration(milliseconds{500}), "500ms");
  EXPECT_EQ(format_duration(milliseconds{90'000}), "90s");
  EXPECT_EQ(format_duration(milliseconds{300'000}), "5m");
  EXPECT_EQ(format_duration(milliseconds{7'200'000}), "2h");
}

TEST(TimeTest, ReadsAnyOffsetAndCutsToMilliseconds) {
  const Timestamp expected = timestamp_from_ms(1'760'000'000'250);
  for (const char* text :
       {"2025-10-09T08:53:20.250Z", "2025-10-09t08:53:20.25z", "2025-10-09 08:53:20.250999999Z",
        "2025-10-09T10:53:20.250+02:00", "2025-10-09T03:23:20.250-05:30"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_TRUE(time.ok()) << text;
    EXPECT_EQ(*time, expected) << text;
  }
}

TEST(TimeTest, RefusesWhatIsNoInstant) {
  for (const char* text : {"", "2025-10-09", "2025-10-09T08:53:20", "2025-13-09T08:53:20Z",
                           "2025-02-29T08:53:20Z", "2025-10-09T24:00:00Z", "2025-10-09T08:60:20Z",
                           "2025-10-09T08:53:61Z", "2025-10-09T08:53:20.Z",
                           "2025-10-09T08:53:20+2:00", "2025-10-09T08:53:20Z ", "1760000000"}) {
    const auto time = parse_rfc3339(text);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_EQ(time.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(time.error().message, ::testing::HasSubstr("expected RFC 3339"));
  }
}

TEST(TimeTest, RoundTripsRandomInstants) {
  SeededRandom random(3);
  for (int i = 0; i < 20'000; ++i) {
    const Timestamp time =
        timestamp_from_ms(static_cast<std::int64_t>(random.below(253'402'300'799'999)));
    const auto back = parse_rfc3339(format_rfc3339(time));
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(*back, time);
  }
}

TEST(ManualClockTest, AdvancesBothClocksButJumpsOnlyTheWall) {
  ManualClock clock(timestamp_from_ms(1000));
  clock.advance(milliseconds{500});
  clock.jump_wall(milliseconds{-700});
  EXPECT_EQ(to_ms(clock.wall_now()), 800);
  EXPECT_EQ(clock.monotonic_now(), milliseconds{500});
}

TEST(SystemClockTest, MonotonicTimeNeverGoesBack) {
  SystemClock clock;
  const auto before = clock.monotonic_now();
  EXPECT_GE(clock.monotonic_now(), before);
  EXPECT_GT(to_ms(clock.wall_now()), 1'700'000'000'000);
}

}  // namespace
}  // namespace state_engine
