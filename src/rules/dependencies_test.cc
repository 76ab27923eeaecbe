#include "rules/dependencies.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/json_logic.h"

namespace state_engine::logic {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

json::Value parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(value).value() : json::Value();
}

// The guard as text: "any", or its keys joined by blanks.
std::string guard_of(std::string_view rule) {
  const Dependencies found = find_dependencies(parse(rule));
  if (!found.guard_keys.has_value()) return "any";
  std::string text;
  for (const std::string& key : *found.guard_keys) text += (text.empty() ? "" : " ") + key;
  return text;
}

TEST(DependenciesTest, GuardsOnTheConjunctiveSpine) {
  EXPECT_EQ(guard_of(R"({"==": [{"var": "key"}, "a"]})"), "a");
  EXPECT_EQ(guard_of(R"({"===": ["a", {"var": ["key"]}]})"), "a");
  EXPECT_EQ(guard_of(R"({"in": [{"var": "key"}, ["a", "b", 3]]})"), "a b");
  EXPECT_EQ(guard_of(R"({"and": [{"var": "value"}, {"!!": {"==": [{"var": "key"}, "a"]}}]})"), "a");
  EXPECT_EQ(guard_of(R"({"or": [{"==": [{"var": "key"}, "a"]}, {"==": [{"var": "key"}, "b"]}]})"),
            "a b");
  EXPECT_EQ(guard_of(R"({"and": [{"==": [{"var": "key"}, "a"]}, {"==": [{"var": "key"}, "b"]}]})"),
            "");
  EXPECT_EQ(guard_of(R"({"if": [{"==": [{"var": "key"}, "a"]}, {"var": "value"}, false]})"), "a");
}

TEST(DependenciesTest, LeavesOpenWhatItCannotBound) {
  EXPECT_EQ(guard_of(R"({"!=": [{"var": "key"}, "a"]})"), "any");
  EXPECT_EQ(guard_of(R"({"!": {"==": [{"var": "key"}, "a"]}})"), "any");
  EXPECT_EQ(guard_of(R"({"==": [{"var": "key"}, 5]})"), "any");
  EXPECT_EQ(guard_of(R"({"==": [{"var": "value"}, "a"]})"), "any");
  EXPECT_EQ(guard_of(R"({"in": [{"var": "key"}, "abc"]})"), "any");
  EXPECT_EQ(guard_of(R"({"in": [{"var": "key"}, [{"var": "value"}]]})"), "any");
  EXPECT_EQ(guard_of(R"({"or": [{"==": [{"var": "key"}, "a"]}, {"var": "value"}]})"), "any");
  EXPECT_EQ(guard_of(R"({"if": [{"==": [{"var": "key"}, "a"]}, 1, 2]})"), "any");
  EXPECT_EQ(guard_of(R"({"==": [{"var": "key"}, "a"], "!=": [1, 2]})"), "any");
}

TEST(DependenciesTest, NeverExcludesAKeyThatMatches) {
  // All combinations of small conditions, checked against the evaluator.
  const std::vector<std::string> leaves = {R"({"==": [{"var": "key"}, "a"]})",
                                           R"({"in": [{"var": "key"}, ["b", "c"]]})",
                                           R"({"!=": [{"var": "key"}, "a"]})",
                                           R"({"var": "value"})",
                                           "false",
                                           "[]"};
  int checked = 0;
  for (const char* const op : {"and", "or", "if", "!", "!!", "in", "=="}) {
    for (const std::string& x : leaves) {
      for (const std::string& y : leaves) {
        const std::string rule = std::string(R"({")") + op + "\": [" + x + "," + y + "," + x + "]}";
        const Dependencies found = find_dependencies(parse(rule));
        for (const char* const key : {"a", "b", "c", "d"}) {
          const json::Value data = json::Object{{"key", key}, {"value", 1}};
          const bool matched = eval_once(parse(rule), data).truthy;
          EXPECT_TRUE(!matched || found.admits(key)) << rule << " for " << key;
          ++checked;
        }
      }
    }
  }
  EXPECT_EQ(checked, 7 * 36 * 4);
}

TEST(DependenciesTest, CollectsReadsOutsideArrayBodies) {
  const Dependencies found = find_dependencies(parse(R"({"and": [
      {"var": ["state.a.b", {"var": "state.c"}]}, {"missing": ["state.d", "actor"]},
      {"some": [{"var": "state.list"}, {"var": "state.not.this"}]},
      [{"var": "value.x"}], {"p": {"var": "state.literal"}, "q": 1}]})"));
  EXPECT_THAT(found.state_reads, ElementsAre("a.b", "c", "d", "list"));
  EXPECT_THAT(found.context_reads, ElementsAre("actor", "state", "value"));
  EXPECT_FALSE(found.reads_anything);
}

TEST(DependenciesTest, KnowsWhenAnythingMayBeRead) {
  EXPECT_TRUE(find_dependencies(parse(R"({"var": ""})")).reads_anything);
  EXPECT_TRUE(
      find_dependencies(parse(R"({"var": {"cat": ["state.", {"var": "value"}]}})")).reads_anything);
  EXPECT_FALSE(find_dependencies(parse(R"({"map": [[1], {"var": ""}]})")).reads_anything);
  EXPECT_THAT(find_dependencies(parse("true")).context_reads, IsEmpty());
}

TEST(DependenciesTest, SplitsConditionsThatAllHaveToHold) {
  const json::Value rule = parse(R"({"and": [1, {"and": [2, {"or": [3, 4]}]}]})");
  const auto parts = conjuncts(rule);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(json::write(*parts[2]), R"({"or":[3,4]})");
}

}  // namespace
}  // namespace state_engine::logic
