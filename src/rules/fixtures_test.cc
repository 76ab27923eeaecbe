#include "rules/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char* const kRules = R"([
  {"id": "live", "on": "rise",
   "when": {"and": [{"==": [{"var": "key"}, "stream.state"]}, {"==": [{"var": "value"}, "on"]}]},
   "actions": [
     {"type": "publishEgress",
      "payload": {"type": "live", "title": {"$logic": {"var": "state.title"}}}},
     {"type": "proposeMutation", "key": "scene", "value": "Live"}]},
  {"id": "broken", "when": {"==": [{"var": "key"}, "boom"]},
   "actions": [{"type": "proposeMutation", "key": {"$logic": {"var": "value"}}, "value": 1}]}
])";

// "path: message" of every problem of the one fixture `test`.
std::vector<std::string> problems(std::string_view test) {
  const RuleSetLoad load = RuleSet::load(json::parse(kRules).value());
  EXPECT_TRUE(load.ok());
  const auto results =
      run_fixtures(*load.rules, json::parse("[" + std::string(test) + "]").value());
  EXPECT_EQ(results.size(), 1);
  std::vector<std::string> texts;
  for (const RuleProblem& problem : results.front().problems) {
    texts.push_back(problem.path + ": " + problem.message);
  }
  return texts;
}

TEST(FixturesTest, PassesWhenFiredEffectsAndDerivedAreAsExpected) {
  EXPECT_THAT(problems(R"({"given": {"stream.state": "off", "title": "Hi"},
      "commit": {"key": "stream.state", "value": "on"},
      "expect": {"fired": ["live"], "effects": [{"title": "Hi", "type": "live"}],
                 "derived": [{"key": "scene", "value": "Live"}]}})"),
              IsEmpty());
}

TEST(FixturesTest, TheValueBeforeDecidesOnEdges) {
  EXPECT_THAT(problems(R"({"given": {"stream.state": "on"},
      "commit": {"key": "stream.state", "value": "on"}, "expect": {"fired": []}})"),
              IsEmpty());
}

TEST(FixturesTest, SaysWhyARuleDidNotFire) {
  EXPECT_THAT(problems(R"({"commit": {"key": "stream.state", "value": "off"},
                           "expect": {"fired": ["live"]}})"),
              ElementsAre(AllOf(HasSubstr("/0/expect/fired: expected live to fire; fired: none"),
                                HasSubstr(R"(value == "on" is false)"))));
  EXPECT_THAT(
      problems(R"({"given": {"stream.state": "on"},
      "commit": {"key": "stream.state", "value": "on"}, "expect": {"fired": ["live"]}})"),
      ElementsAre(HasSubstr(R"(live: it fires on rise, and the condition was true before)")));
  EXPECT_THAT(
      problems(R"({"commit": {"key": "boom", "value": 1}, "expect": {"fired": ["broken"]}})"),
      ElementsAre(HasSubstr("broken failed: action 0: the key must become a string")));
  EXPECT_THAT(problems(R"({"commit": {"key": "k", "value": 1}, "expect": {"fired": ["liev"]}})"),
              ElementsAre(HasSubstr("there is no rule liev")));
}

TEST(FixturesTest, ComparesEveryEffectAndDerivedMutation) {
  EXPECT_THAT(problems(R"({"commit": {"key": "stream.state", "value": "on"},
      "expect": {"effects": [{"type": "live", "title": "x"}],
                 "derived": [{"key": "scene", "op": "push", "value": "Live"}]}})"),
              ElementsAre(HasSubstr("/0/expect/effects/0: expected {\"type\":\"live\""),
                          HasSubstr("/0/expect/derived/0: expected {\"key\":\"scene\"")));
  EXPECT_THAT(problems(R"({"commit": {"key": "stream.state", "value": "on"},
                           "expect": {"effects": []}})"),
              ElementsAre(HasSubstr("expected 0 effects, found [{")));
}

TEST(FixturesTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_THAT(problems(R"({"comit": {}, "expect": {"fired": []}})"),
              ElementsAre("/0/comit: unknown field \"comit\" (did you mean \"commit\"?)",
                          "/0: \"commit\" is missing: the change to try"));
  EXPECT_THAT(problems(R"({"commit": {"key": "a", "op": "delete"}, "expect": {"fired": []}})"),
              ElementsAre(HasSubstr("/0/commit: the change would be rejected")));
  EXPECT_THAT(problems(R"({"commit": {"key": "a", "value": 1}, "expect": {}})"),
              ElementsAre(HasSubstr("expects nothing")));
}

}  // namespace
}  // namespace state_engine
