#include "app/log_fold.h"

#include <gtest/gtest.h>

namespace state_engine {
namespace {

TEST(LogFoldTest, AppliesOperationsToTheValueBefore) {
  LogFold fold;
  EXPECT_TRUE(fold.apply(Op::kSet, "a", R"({"n":1})", 1));
  EXPECT_TRUE(fold.apply(Op::kMerge, "a", R"({"m":2})", 2));
  EXPECT_TRUE(fold.apply(Op::kIncrement, "b", "41", 1));
  EXPECT_TRUE(fold.apply(Op::kIncrement, "b", "1", 2));
  EXPECT_TRUE(fold.apply(Op::kPush, "c", R"("x")", 1));
  EXPECT_EQ(fold.keys(), (std::vector<std::string_view>{"a", "b", "c"}));
  EXPECT_EQ(json::write(fold.at("a").get()), R"({"n":1,"m":2})");
  EXPECT_EQ(fold.at("a").version, 2);
  EXPECT_EQ(json::write(fold.at("b").get()), "42");
  EXPECT_EQ(json::write(fold.at("c").get()), R"(["x"])");
}

TEST(LogFoldTest, ASetReplacesWhatAnOperationMade) {
  LogFold fold;
  EXPECT_TRUE(fold.apply(Op::kIncrement, "a", "1", 1));
  EXPECT_TRUE(fold.apply(Op::kSet, "a", "7", 2));
  EXPECT_EQ(json::write(fold.at("a").get()), "7");
  EXPECT_TRUE(fold.apply(Op::kIncrement, "a", "1", 3));
  EXPECT_EQ(json::write(fold.at("a").get()), "8");
}

TEST(LogFoldTest, ADeletedKeyIsGoneUntilItIsWrittenAgain) {
  LogFold fold;
  EXPECT_TRUE(fold.apply(Op::kSet, "a", "1", 1));
  EXPECT_TRUE(fold.apply(Op::kExpire, "a", "", 2));
  EXPECT_TRUE(fold.keys().empty());
  EXPECT_TRUE(fold.apply(Op::kPush, "a", "1", 3));
  EXPECT_EQ(json::write(fold.at("a").get()), "[1]");
}

TEST(LogFoldTest, WhatDoesNotApplyChangesNothing) {
  LogFold fold;
  EXPECT_FALSE(fold.apply(Op::kSet, "a", "", 1));
  EXPECT_TRUE(fold.apply(Op::kSet, "a", R"("text")", 1));
  EXPECT_FALSE(fold.apply(Op::kIncrement, "a", "1", 2));
  EXPECT_FALSE(fold.apply(Op::kIncrement, "a", "no JSON", 2));
  EXPECT_FALSE(fold.apply(Op::kDelete, "b", "", 1));
  EXPECT_EQ(json::write(fold.at("a").get()), R"("text")");
  EXPECT_EQ(fold.at("a").version, 1);
}

}  // namespace
}  // namespace state_engine
