#include "base/result.h"

#include <memory>
#include <set>

#include <gtest/gtest.h>

namespace state_engine {
namespace {

Status check_positive(int number) {
  if (number > 0) return {};
  return invalid_argument("not positive");
}

Result<int> half_of_positive(int number) {
  SE_RETURN_IF_ERROR(check_positive(number));
  return number / 2;
}

TEST(ResultTest, HoldsAValueOrAnError) {
  const Result<int> good = half_of_positive(8);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 4);

  const Result<int> bad = half_of_positive(-1);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(bad.error().message, "not positive");
}

TEST(ResultTest, MovesValuesThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, AccessToTheAbsentSideAborts) {
  const Result<int> bad = half_of_positive(0);
  EXPECT_DEATH((void)bad.value(), "ok\\(\\)");
  const Status good;
  EXPECT_DEATH((void)good.error(), "ok\\(\\)");
}

TEST(ResultTest, EveryErrorCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    names.insert(to_string(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::kInternal) + 1);
}

}  // namespace
}  // namespace state_engine
