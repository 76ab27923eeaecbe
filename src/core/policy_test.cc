#include "core/policy.h"

#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/json_literal.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::operator""_json;

std::shared_ptr<const Policy> compiled(const PolicyConfig& config) {
  auto outcome = Policy::compile(config);
  auto* policy = std::get_if<std::shared_ptr<const Policy>>(&outcome);
  if (policy == nullptr) {
    for (const ConfigFault& fault : std::get<1>(outcome)) {
      ADD_FAILURE() << fault.path << ": " << fault.message;
    }
    return nullptr;
  }
  return *policy;
}

std::vector<std::string> fault_paths(const PolicyConfig& config) {
  auto outcome = Policy::compile(config);
  std::vector<std::string> paths;
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome)) {
    for (const ConfigFault& fault : *faults) {
      EXPECT_FALSE(fault.message.empty());
      paths.push_back(fault.path);
    }
  }
  return paths;
}

Proposal proposal(std::string key, std::string actor = "bot", Op op = Op::kSet) {
  Proposal out;
  out.key = std::move(key);
  out.actor = std::move(actor);
  out.op = op;
  out.value = 1;
  return out;
}

std::string verdict(const Policy& policy, const Proposal& proposed) {
  const auto denial = policy.check(proposed, policy.rule_for(proposed.key));
  return denial ? std::string(to_string(denial->code)) : "";
}

PolicyRuleConfig rule(std::vector<std::string> keys) {
  PolicyRuleConfig out;
  out.keys = std::move(keys);
  return out;
}

TEST(PolicyTest, DeniesByDefault) {
  const auto nothing = compiled({});
  EXPECT_EQ(verdict(*nothing, proposal("stream.state")), "key_not_allowed");
  const auto some = compiled({{"stream.*", "exact"}, {}});
  EXPECT_EQ(verdict(*some, proposal("stream.state")), "");
  EXPECT_EQ(verdict(*some, proposal("exact")), "");
  EXPECT_EQ(verdict(*some, proposal("exact.more")), "key_not_allowed");
  EXPECT_EQ(verdict(*some, proposal("other")), "key_not_allowed");
}

TEST(PolicyTest, ARuleAloneDoesNotAllowAKey) {
  const auto policy = compiled({{"a"}, {rule({"b"})}});
  EXPECT_EQ(verdict(*policy, proposal("b")), "key_not_allowed");
}

TEST(PolicyTest, KeepsTheReferencesErrorText) {
  const auto policy = compiled({});
  EXPECT_EQ(policy->check(proposal("x"), nullptr)->message, "Key not allowed");
}

TEST(PolicyTest, TheReferencesDefaultKeysAreAllowed) {
  const auto policy = compiled({default_allowed_keys(), {}});
  for (const char* key : {"stream.state", "stream.title", "stream.category", "obs.scene",
                          "user.disposition.7", "user.fact.7.tz"}) {
    EXPECT_EQ(verdict(*policy, proposal(key)), "") << key;
  }
  EXPECT_EQ(verdict(*policy, proposal("stream.other")), "key_not_allowed");
}

TEST(PolicyTest, TheMostSpecificRuleDecidesWhateverTheFileOrder) {
  const auto policy =
      compiled({{"*"}, {rule({"*"}), rule({"a.b.*"}), rule({"a.*"}), rule({"a.b.c"})}});
  EXPECT_EQ(policy->rule_for("a.b.c")->pattern.str(), "a.b.c");
  EXPECT_EQ(policy->rule_for("a.b.d")->pattern.str(), "a.b.*");
  EXPECT_EQ(policy->rule_for("a.x")->pattern.str(), "a.*");
  EXPECT_EQ(policy->rule_for("z")->pattern.str(), "*");
}

TEST(PolicyTest, TheLessSpecificRuleAddsNothing) {
  PolicyRuleConfig all = rule({"*"});
  all.writers = {{"admin"}};
  const auto policy = compiled({{"*"}, {all, rule({"open.*"})}});
  EXPECT_EQ(verdict(*policy, proposal("open.x", "anyone")), "");
  EXPECT_EQ(verdict(*policy, proposal("x", "anyone")), "actor_not_allowed");
}

TEST(PolicyTest, WritersAreActorPatterns) {
  PolicyRuleConfig config = rule({"k"});
  config.writers = {{"llm-bot", "ingress:*"}};
  const auto policy = compiled({{"*"}, {config}});
  EXPECT_EQ(verdict(*policy, proposal("k", "llm-bot")), "");
  EXPECT_EQ(verdict(*policy, proposal("k", "llm-bot:42")), "actor_not_allowed");
  EXPECT_EQ(verdict(*policy, proposal("k", "ingress:twitch")), "");
  EXPECT_EQ(verdict(*policy, proposal("k", "ingress")), "actor_not_allowed");
}

TEST(PolicyTest, AnEmptyListOfWritersAllowsNobody) {
  PolicyRuleConfig config = rule({"k"});
  config.writers = std::vector<std::string>{};
  EXPECT_EQ(verdict(*compiled({{"*"}, {config}}), proposal("k")), "actor_not_allowed");
}

TEST(PolicyTest, OpsLimitWhatMayBeDone) {
  PolicyRuleConfig config = rule({"k"});
  config.ops = {{Op::kSet, Op::kIncrement}};
  const auto policy = compiled({{"*"}, {config}});
  EXPECT_EQ(verdict(*policy, proposal("k", "bot", Op::kIncrement)), "");
  EXPECT_EQ(verdict(*policy, proposal("k", "bot", Op::kDelete)), "actor_not_allowed");
}

TEST(PolicyTest, TtlMaxBoundsAProposedTtl) {
  PolicyRuleConfig config = rule({"k"});
  config.ttl_max = milliseconds{1000};
  const auto policy = compiled({{"*"}, {config}});
  Proposal at_limit = proposal("k");
  at_limit.ttl = milliseconds{1000};
  EXPECT_EQ(verdict(*policy, at_limit), "");
  at_limit.ttl = milliseconds{1001};
  EXPECT_EQ(verdict(*policy, at_limit), "invalid_value");
}

TEST(PolicyTest, TheSchemaJudgesTheResultingValue) {
  PolicyRuleConfig config = rule({"k"});
  config.schema = R"({"enum":["on","off"]})"_json;
  const auto policy = compiled({{"*"}, {config}});
  EXPECT_FALSE(policy->check_value("on", policy->rule_for("k")));
  const auto denial = policy->check_value("paused", policy->rule_for("k"));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->code, RejectionCode::kInvalidValue);
  EXPECT_FALSE(policy->check_value("paused", policy->rule_for("other")));
}

TEST(PolicyTest, RequirementsLookAtOtherKeysAndNullMeansNoValue) {
  PolicyRuleConfig config = rule({"giveaway.*"});
  config.requirements = {{"stream.state", "on"}, {"stream.muted", nullptr}};
  const auto policy = compiled({{"*"}, {config}});
  const auto code = [&](const json::Value* state, const json::Value* muted) {
    const auto denial = policy->check_requirements(
        policy->rule_for("giveaway.state"),
        [&](const std::string& key) { return key == "stream.state" ? state : muted; });
    return denial ? std::string(to_string(denial->code)) : "";
  };
  const json::Value on = "on", off = "off", null = nullptr;
  EXPECT_EQ(code(&on, nullptr), "");
  EXPECT_EQ(code(&off, nullptr), "precondition_failed");
  EXPECT_EQ(code(nullptr, nullptr), "precondition_failed");
  EXPECT_EQ(code(&on, &on), "precondition_failed");
  EXPECT_EQ(code(&on, &null), "precondition_failed") << "a null value is a value";
  EXPECT_FALSE(policy->check_requirements(nullptr, nullptr));
}

TEST(PolicyTest, ARequiredKeyThatCanNeverHaveAValueIsAFault) {
  PolicyRuleConfig config = rule({"giveaway.*"});
  config.requirements = {{"strem.state", "on"}, {"a key", "on"}};
  EXPECT_THAT(fault_paths({{"stream.*", "giveaway.*"}, {config}}),
              ElementsAre("policy[0].requires", "policy[0].requires"));
}

TEST(PolicyTest, ReportsAllFaultsAtOnceWithTheirPaths) {
  PolicyConfig config;
  config.allowed_keys = {"fine", "a*b"};
  PolicyRuleConfig first = rule({"*x"});
  first.writers = {{"**"}};
  first.rate = RateLimit{0, 0};
  first.schema = R"({"typo":1})"_json;
  PolicyRuleConfig second = rule({});
  second.ttl_default = milliseconds{2000};
  second.ttl_max = milliseconds{1000};
  PolicyRuleConfig third = rule({"k", "k"});
  third.ttl_max = milliseconds{0};
  config.rules = {first, second, third};
  EXPECT_THAT(
      fault_paths(config),
      ElementsAre("allowedKeys[1]", "policy[0].keys[0]", "policy[0].writers[0]",
                  "policy[0].rate.perSecond", "policy[0].rate.burst", "policy[0].schema",
                  "policy[1].keys", "policy[1].ttlDefault", "policy[2].ttlMax", "policy[2].keys"));
}

TEST(PolicyTest, APatternStandsInOneEntryOnly) {
  EXPECT_THAT(fault_paths({{"*"}, {rule({"a.*"}), rule({"b", "a.*"})}}),
              ElementsAre("policy[1].keys"));
}

TEST(PolicyTest, RevisionChangesWithEachPartOfTheSource) {
  const auto revision = [](const std::function<void(PolicyConfig&)>& change) {
    PolicyConfig config{{"*"}, {rule({"k"})}};
    change(config);
    return compiled(config)->revision();
  };
  const std::string base = revision([](PolicyConfig&) {});
  EXPECT_EQ(revision([](PolicyConfig&) {}), base);
  std::set<std::string> seen{base};
  const std::vector<std::function<void(PolicyConfig&)>> changes = {
      [](PolicyConfig& c) { c.allowed_keys.push_back("b"); },
      [](PolicyConfig& c) { c.rules.push_back(rule({"m"})); },
      [](PolicyConfig& c) { c.rules[0].keys = {"k*"}; },
      [](PolicyConfig& c) { c.rules[0].writers = {{"w"}}; },
      [](PolicyConfig& c) { c.rules[0].ops = {{Op::kSet}}; },
      [](PolicyConfig& c) { c.rules[0].schema = "true"_json; },
      [](PolicyConfig& c) {
        c.rules[0].requirements.push_back({"a", 1});
      },
      [](PolicyConfig& c) {
        c.rules[0].requirements.push_back({"a", 2});
      },
      [](PolicyConfig& c) {
        c.rules[0].rate = RateLimit{1, 2};
      },
      [](PolicyConfig& c) {
        c.rules[0].rate = RateLimit{2, 2};
      },
      [](PolicyConfig& c) { c.rules[0].ttl_default = milliseconds{1}; },
      [](PolicyConfig& c) { c.rules[0].ttl_max = milliseconds{1}; },
  };
  for (const auto& change : changes) EXPECT_TRUE(seen.insert(revision(change)).second);
}

TEST(PolicyTest, TheSourceSaysWhatWasConfigured) {
  PolicyRuleConfig config = rule({"k"});
  config.ttl_max = milliseconds{1500};
  const auto policy = compiled({{"a.*"}, {config}});
  EXPECT_THAT(policy->source(), HasSubstr(R"("allowedKeys":["a.*"])"));
  EXPECT_THAT(policy->source(), HasSubstr(R"("ttlMaxMs":1500)"));
}

}  // namespace
}  // namespace state_engine
