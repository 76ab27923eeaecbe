#include "core/codes.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "core/types.h"

namespace state_engine {
namespace {

TEST(CodesTest, EveryCodeHasOneRowWithWordsAndRoundTrips) {
  std::set<std::string_view> names;
  for (const RejectionInfo& row : rejection_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
    EXPECT_FALSE(row.remedy.empty()) << row.name;
    EXPECT_EQ(&info(row.code), &row);
    EXPECT_EQ(to_string(row.code), row.name);
    EXPECT_EQ(parse_rejection_code(row.name), row.code);
    EXPECT_NE(row.exit_code, 0) << row.name;
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(RejectionCode::kUnavailable));
  EXPECT_EQ(to_string(RejectionCode::kNone), "");
  EXPECT_FALSE(parse_rejection_code("no_such_code"));
}

TEST(CodesTest, OnlyAnswersThatAreNoDecisionsStayOutOfTheLog) {
  for (const RejectionInfo& row : rejection_table()) {
    const bool answer_only = row.code == RejectionCode::kRateLimited ||
                             row.code == RejectionCode::kUnavailable ||
                             row.code == RejectionCode::kIdReused;
    EXPECT_EQ(row.logged, !answer_only) << row.name;
    const bool retry =
        row.code == RejectionCode::kRateLimited || row.code == RejectionCode::kUnavailable;
    EXPECT_EQ(row.retry_same_id, retry) << row.name;
  }
}

TEST(CodesTest, OpsRoundTrip) {
  for (const Op op : {Op::kSet, Op::kDelete, Op::kIncrement, Op::kPush, Op::kMerge, Op::kExpire}) {
    EXPECT_EQ(parse_op(to_string(op)), op);
  }
  EXPECT_FALSE(parse_op("SET"));
}

}  // namespace
}  // namespace state_engine
