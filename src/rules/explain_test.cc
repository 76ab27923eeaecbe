#include "rules/explain.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine::logic {
namespace {

using ::testing::HasSubstr;

json::Value parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(value).value() : json::Value();
}

Explanation explain_text(std::string_view rule, std::string_view data) {
  const auto program = Program::compile(parse(rule));
  EXPECT_TRUE(program.ok());
  const json::Value value = parse(data);
  return explain(*program, JsValue::of(value));
}

TEST(ExplainTest, ShowsValuesAndWhatWasNotLookedAt) {
  const auto why = explain_text(
      R"({"and": [{"==": [{"var": "key"}, "a"]}, {">": [{"var": "value"}, 5]}, {"var": "x"}]})",
      R"({"key": "a", "value": 3})");
  EXPECT_EQ(to_text(why),
            "and = false\n"
            "  == = true\n"
            "    key = \"a\"\n"
            "    \"a\"\n"
            "  > = false  <-- decided\n"
            "    value = 3\n"
            "    5\n"
            "  x  (not looked at)\n");
  EXPECT_EQ(why.decided, "/and/1");
  EXPECT_EQ(why.decided_text, "value > 5 is false (value is 3)");
  EXPECT_FALSE(why.matched);
}

TEST(ExplainTest, FollowsTheConditionOfAnIfWithLiteralBranches) {
  const auto why = explain_text(R"({"!": {"if": [{"var": "a"}, true, false]}})", R"({"a": 1})");
  EXPECT_EQ(why.decided, "/!/if/0");
  EXPECT_FALSE(why.matched);
  EXPECT_EQ(why.root.children.at(0).path, "/!");
  EXPECT_EQ(why.root.children.at(0).children.at(2).path, "/!/if/2");
  EXPECT_TRUE(why.root.children.at(0).children.at(2).skipped);
}

TEST(ExplainTest, PutsAnErrorWhereItHappened) {
  const auto why = explain_text(R"({"or": [false, {"nope": [{"var": "a"}]}]})", "{}");
  EXPECT_EQ(why.error, "Unrecognized operation nope");
  EXPECT_EQ(why.decided, "/or/1");
  EXPECT_EQ(why.decided_text, "nope(a) failed: Unrecognized operation nope");
  EXPECT_THAT(to_text(why), HasSubstr("nope  failed: Unrecognized operation nope  <-- decided"));
}

TEST(ExplainTest, KeepsTheFirstElementsAndTheLast) {
  json::Array many;
  for (int i = 0; i < 100; ++i) many.emplace_back(i);
  const auto program =
      Program::compile(parse(R"({"some": [{"var": ""}, {">=": [{"var": ""}, 50]}]})"));
  ASSERT_TRUE(program.ok());
  const json::Value data(many);
  const auto why = explain(*program, JsValue::of(data));
  EXPECT_TRUE(why.matched);
  ASSERT_EQ(why.root.children.size(), 7U);  // the array, five elements, the last one
  EXPECT_EQ(why.root.iterations_hidden, 45);
  EXPECT_EQ(why.root.children.back().children.at(0).value, "50");
  EXPECT_THAT(to_text(why), HasSubstr("(45 elements not shown)"));
}

TEST(ExplainTest, StaysSmallForHugeEvaluations) {
  json::Array many(5000);
  const auto program =
      Program::compile(parse(R"({"map": [{"var": ""}, [1, 2, 3, 4, {"cat": ["a", "b"]}]]})"));
  ASSERT_TRUE(program.ok());
  const json::Value data(many);
  const auto why = explain(*program, JsValue::of(data));
  EXPECT_TRUE(why.matched);
  EXPECT_LE(why.root.children.size(), 7U);
  EXPECT_LE(why.value.size(), 203U);
}

TEST(ExplainTest, WritesJson) {
  const auto why = explain_text(R"({"or": [{"var": ["a.b", 1]}, 2]})", "{}");
  EXPECT_EQ(json::write(to_json(why)),
            R"({"matched":true,"value":"1","decided":"/or/0","because":"a.b is 1","tree":)"
            R"({"path":"","label":"or","op":"or","value":"1","truthy":true,"children":[)"
            R"({"path":"/or/0","label":"a.b","op":"var","value":"1","truthy":true,"children":[)"
            R"({"path":"/or/0/var/1","label":"1","value":"1","truthy":true}]},)"
            R"({"path":"/or/1","label":"2","skipped":true}]}})");
}

}  // namespace
}  // namespace state_engine::logic
