#include "config/config.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine::config {
namespace {

ConfigCompilation compile(std::string_view text) {
  return compile_config(load_config_text("c.yaml", text));
}

ConfigCompilation compile_example(const std::string& name) {
  return compile_config(load_config(std::string(SE_SOURCE_DIR) + "/examples/" + name));
}

TEST(ConfigTest, LoadsTheReferenceFileUnchanged) {
  const ConfigCompilation out = compile_example("reference.yaml");
  ASSERT_TRUE(out.ok()) << to_text(out.problems);
  ASSERT_EQ(out.config->rules->rules().size(), 2U);
  EXPECT_EQ(out.config->rules->rules()[0].id, "announce-online");
  EXPECT_TRUE(out.config->policy->key_allowed("user.fact.ada.pet"));
  EXPECT_FALSE(out.config->policy->key_allowed("system.prompt"));
  // `value: on` is a string and reaches the condition as one.
  EXPECT_THAT(out.config->rules_source, testing::HasSubstr(R"([{"var":"value"},"on"])"));
  EXPECT_TRUE(out.config->warnings.empty());
}

TEST(ConfigTest, LoadsTheStreamExample) {
  const ConfigCompilation out = compile_example("stream.yaml");
  ASSERT_TRUE(out.ok()) << to_text(out.problems);
  EXPECT_EQ(out.config->rules->rules().size(), 8U);
  const PolicyRule* rule = out.config->policy->rule_for("stream.state");
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->pattern.str(), "stream.state");
  EXPECT_EQ(rule->ttl_default, std::chrono::seconds(21600));
  EXPECT_FALSE(out.config->policy->check_value("on", rule).has_value());
  EXPECT_TRUE(out.config->policy->check_value("live", rule).has_value());
  EXPECT_TRUE(out.config->policy->check_value(true, rule).has_value());
}

TEST(ConfigTest, ReadsEveryFieldOfAPolicyEntry) {
  const LoadedConfig loaded = load_config_text("c.yaml",
                                               "allowedKeys: [a.*]\n"
                                               "policy:\n"
                                               "  - keys: [a.b, a.c.*]\n"
                                               "    writers: [bot, 'cli:*']\n"
                                               "    ops: [set, merge]\n"
                                               "    requires: {a.x: on, a.y: null}\n"
                                               "    schema: {type: string}\n"
                                               "    rate: {perSecond: 0.5, burst: 3}\n"
                                               "    ttlDefault: 1.5\n"
                                               "    ttlMax: 60\n");
  ASSERT_TRUE(loaded.problems.empty()) << to_text(loaded.problems);
  ASSERT_EQ(loaded.policy.rules.size(), 1U);
  const PolicyRuleConfig& entry = loaded.policy.rules[0];
  EXPECT_EQ(entry.keys, (std::vector<std::string>{"a.b", "a.c.*"}));
  EXPECT_EQ(entry.writers, (std::vector<std::string>{"bot", "cli:*"}));
  EXPECT_EQ(entry.ops, (std::vector<Op>{Op::kSet, Op::kMerge}));
  ASSERT_EQ(entry.requirements.size(), 2U);
  EXPECT_EQ(entry.requirements[0].key, "a.x");
  EXPECT_EQ(entry.requirements[0].value, "on");
  EXPECT_TRUE(entry.requirements[1].value.is_null());
  EXPECT_EQ(entry.rate->per_second, 0.5);
  EXPECT_EQ(entry.rate->burst, 3);
  EXPECT_EQ(entry.ttl_default, std::chrono::milliseconds(1500));
  EXPECT_EQ(entry.ttl_max, std::chrono::seconds(60));
}

TEST(ConfigTest, ReportsEveryProblemAtOnceInLineOrder) {
  const ConfigCompilation out = compile(
      "allowedKeys: [a.*, 'b*c', 7]\n"        // 1: pattern, type
      "polices: []\n"                         // 2: unknown key
      "policy:\n"                             // 3
      "  - keys: [a.x]\n"                     // 4
      "    ops: [set, incremnt]\n"            // 5: operation
      "    rate: {perSecond: 0, burst: 1}\n"  // 6: range
      "  - writers: [bot]\n"                  // 7: no keys
      "    ttlMax: -1\n"                      // 8: range
      "  - keys: [a.y]\n"                     // 9
      "    schema:\n"                         // 10
      "      type: object\n"                  // 11
      "      requires: [x]\n"                 // 12: unknown keyword
      "rules:\n"                              // 13
      "  - id: one\n"                         // 14
      "    when:\n"                           // 15
      "      and:\n"                          // 16
      "        - {'=': [{var: key}, a]}\n"    // 17: operator
      "    actions:\n"                        // 18
      "      - type: publishEgres\n"          // 19: action
      "        payload: {}\n");
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : out.problems) {
    lines.push_back(problem.file + ":" + std::to_string(problem.position.line) + ": " +
                    problem.path);
  }
  EXPECT_THAT(
      lines,
      testing::ElementsAre(
          "c.yaml:1: allowedKeys[2]", "c.yaml:1: allowedKeys[1]", "c.yaml:2: polices",
          "c.yaml:5: policy[0].ops[1]", "c.yaml:6: policy[0].rate.perSecond", "c.yaml:7: policy[1]",
          "c.yaml:8: policy[1].ttlMax", "c.yaml:12: policy[2].schema.requires",
          "c.yaml:17: rules[0].when.and[0].=", "c.yaml:19: rules[0].actions[0].type"))
      << to_text(out.problems);
  EXPECT_FALSE(out.ok());
}

TEST(ConfigTest, SuggestsTheNearestName) {
  const ConfigCompilation out = compile("allowedKey: []\n");
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_EQ(out.problems[0].str(),
            "c.yaml:1: allowedKey: unknown key (did you mean \"allowedKeys\"?); expected "
            "allowedKeys, policy, rules, twitch, obs, bot, tests");
}

TEST(ConfigTest, SaysWhatTypeItFound) {
  const ConfigCompilation out = compile("allowedKeys: stream.state\nrules: {}\npolicy: [x]\n");
  EXPECT_EQ(to_text(out.problems),
            "c.yaml:1: allowedKeys: expected a list of key patterns, found string\n"
            "c.yaml:2: rules: expected a list of rules, found object\n"
            "c.yaml:3: policy[0]: expected a map, found string\n");
}

TEST(ConfigTest, RefusesTheSameKeyTwice) {
  const ConfigCompilation out = compile("allowedKeys: [a]\nallowedKeys: [b]\n");
  EXPECT_EQ(to_text(out.problems),
            "c.yaml:2: allowedKeys: 'allowedKeys' appears twice; the first is at line 1\n");
}

TEST(ConfigTest, AnEmptyFileMeansTheDefaultKeysAndSaysSo) {
  const ConfigCompilation out = compile("# nothing yet\n");
  ASSERT_TRUE(out.ok()) << to_text(out.problems);
  EXPECT_TRUE(out.config->policy->key_allowed("stream.state"));
  EXPECT_THAT(out.config->warnings, testing::ElementsAre(testing::HasSubstr("no allowedKeys")));
}

TEST(ConfigTest, TheDefaultConfigurationCompiles) {
  const ConfigCompilation out = compile_config(default_config());
  ASSERT_TRUE(out.ok()) << to_text(out.problems);
  EXPECT_EQ(out.config->rules_source, "[]");
  EXPECT_EQ(out.config->warnings.size(), 1U);
}

TEST(ConfigTest, AFileThatCannotBeReadIsOneProblem) {
  const ConfigCompilation missing = compile_config(load_config("/nowhere/state.yaml"));
  EXPECT_EQ(to_text(missing.problems),
            "/nowhere/state.yaml: cannot read: No such file or directory\n");
  const ConfigCompilation folder = compile_config(load_config("/"));
  EXPECT_EQ(to_text(folder.problems), "/: cannot read: Is a directory\n");
}

TEST(ConfigTest, ASyntaxErrorIsTheOnlyProblem) {
  const ConfigCompilation out = compile("policy: [\n");
  ASSERT_EQ(out.problems.size(), 1U) << to_text(out.problems);
  EXPECT_THAT(out.problems[0].str(), testing::StartsWith("c.yaml:"));
}

TEST(ConfigTest, ATestOfTheRulesThatFailsRefusesTheFile) {
  const std::string file =
      "allowedKeys: [a]\n"
      "rules:\n"
      "  - {id: r, when: {'==': [{var: value}, on]}, actions: []}\n"
      "tests:\n"
      "  - name: fires\n"
      "    commit: {key: a, value: on}\n"
      "    expect: {fired: [r]}\n";
  EXPECT_TRUE(compile(file).ok()) << to_text(compile(file).problems);
  const ConfigCompilation out = compile(file +
                                        "  - name: fires on off\n"
                                        "    commit: {key: a, value: off}\n"
                                        "    expect: {fired: [r]}\n");
  EXPECT_FALSE(out.ok());
  EXPECT_EQ(to_text(out.problems),
            "c.yaml:10: tests[1].expect.fired: test \"fires on off\": expected r to fire; fired: "
            "none; r does not match: value == \"on\" is false (value is \"off\")\n");
}

}  // namespace
}  // namespace state_engine::config
