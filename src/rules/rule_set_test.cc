#include "rules/rule_set.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

json::Value parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().message) << text;
  return value.ok() ? std::move(value).value() : json::Value();
}

RuleSetPtr load(std::string_view rules) {
  RuleSetLoad result = RuleSet::load(parse(rules));
  for (const RuleProblem& problem : result.problems) {
    ADD_FAILURE() << problem.path << ": " << problem.message;
  }
  return result.rules;
}

// "path: message" of every problem.
std::vector<std::string> problems(std::string_view rules) {
  std::vector<std::string> texts;
  const RuleSetLoad result = RuleSet::load(parse(rules));
  EXPECT_EQ(result.ok(), result.problems.empty());
  for (const RuleProblem& problem : result.problems) {
    texts.push_back(problem.path + ": " + problem.message);
  }
  return texts;
}

// A tiny engine: commits values, keeps snapshots and memories.
class World : public StateLookup, public MemoryLookup {
 public:
  explicit World(RuleSetPtr rules) : rules_(std::move(rules)) {}

  std::vector<RuleOutcome> set(const std::string& key, json::Value value) {
    Snapshot after = next(key);
    after.value = std::move(value);
    return commit(std::move(after), Op::kSet);
  }

  std::vector<RuleOutcome> remove(const std::string& key, Op op = Op::kDelete) {
    Snapshot after = next(key);
    after.deleted = true;
    return commit(std::move(after), op);
  }

  void replace_rules(RuleSetPtr rules) { rules_ = std::move(rules); }

  const Snapshot* find(std::string_view key) const override {
    const auto found = state_.find(std::string(key));
    return found == state_.end() || found->second.deleted ? nullptr : &found->second;
  }

  std::optional<RuleMemory> memory(std::string_view rule, std::string_view key) const override {
    const auto found = memories_.find({std::string(rule), std::string(key)});
    return found == memories_.end() ? std::nullopt : std::optional<RuleMemory>(found->second);
  }

  LogEntry entry;  // what the next commit carries besides its value

 private:
  Snapshot next(const std::string& key) const {
    Snapshot after;
    after.key = key;
    const auto found = state_.find(key);
    after.version = found == state_.end() ? 1 : found->second.version + 1;
    return after;
  }

  std::vector<RuleOutcome> commit(Snapshot after, Op op) {
    const Snapshot* visible = find(after.key);
    const std::optional<Snapshot> before =
        visible != nullptr ? std::optional<Snapshot>(*visible) : std::nullopt;
    entry.accepted = true;
    entry.proposal.op = op;
    entry.proposal.key = after.key;
    entry.previous_version = after.version - 1;
    entry.resulting_version = after.version;
    const std::string key = after.key;
    state_[key] = after;
    auto outcomes = rules_->evaluate({entry, before ? &*before : nullptr, after}, *this, *this);
    for (const RuleOutcome& outcome : outcomes) {
      if (outcome.memory) memories_[{outcome.rule_id, key}] = *outcome.memory;
    }
    return outcomes;
  }

  RuleSetPtr rules_;
  std::map<std::string, Snapshot> state_;
  std::map<std::pair<std::string, std::string>, RuleMemory> memories_;
};

bool fired(const std::vector<RuleOutcome>& outcomes) {
  return !outcomes.empty() && outcomes.front().fired;
}

// A rule of the reference's configuration, unchanged.
const char* const kReference = R"([{"id": "stream-online",
  "when": {"and": [{"==": [{"var": "key"}, "stream.state"]}, {"==": [{"var": "value"}, "on"]}]},
  "actions": [{"type": "publishEgress", "payload": {"type": "system.stream.online", "n": 1.0}}]}])";

TEST(RuleSetTest, FiresTheReferencesRuleAtEachMatchingCommit) {
  World world(load(kReference));
  const auto outcomes = world.set("stream.state", "on");
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_TRUE(outcomes[0].matched);
  EXPECT_TRUE(outcomes[0].fired);
  EXPECT_EQ(outcomes[0].rule_id, "stream-online");
  EXPECT_EQ(outcomes[0].rule_hash.size(), 64U);
  ASSERT_EQ(outcomes[0].effects.size(), 1U);
  EXPECT_EQ(outcomes[0].effects[0].type, "system.stream.online");
  EXPECT_EQ(outcomes[0].effects[0].payload, R"({"n":1,"type":"system.stream.online"})");
  EXPECT_TRUE(fired(world.set("stream.state", "on")));  // `commit`: again
  EXPECT_THAT(world.set("stream.state", "off"), IsEmpty());
  EXPECT_THAT(world.set("stream.title", "on"), IsEmpty());
}

TEST(RuleSetTest, ChangeRulesNeedAnotherValue) {
  World world(load(R"([{"id": "r", "on": "change", "when": {"==": [{"var": "key"}, "a"]},
                        "actions": []}])"));
  EXPECT_TRUE(fired(world.set("a", parse(R"({"x": 1, "y": 2})"))));
  EXPECT_FALSE(fired(world.set("a", parse(R"({"y": 2.0, "x": 1})"))));
  EXPECT_TRUE(fired(world.set("a", parse(R"({"x": 1})"))));
  EXPECT_TRUE(fired(world.remove("a")));
}

TEST(RuleSetTest, RiseFiresOncePerTransitionAndPerKey) {
  World world(load(R"([{"id": "r", "on": "rise", "when": {">": [{"var": "value"}, 100]},
                        "actions": []}])"));
  EXPECT_FALSE(fired(world.set("a", 1)));
  EXPECT_TRUE(fired(world.set("a", 150)));
  EXPECT_FALSE(fired(world.set("a", 160)));
  EXPECT_FALSE(fired(world.set("a", 50)));
  EXPECT_TRUE(fired(world.set("a", 101)));
  EXPECT_TRUE(fired(world.set("b", 500)));  // a key of its own; absent before
}

TEST(RuleSetTest, FallFiresWhenTheTruthEnds) {
  World world(load(R"([{"id": "r", "on": "fall", "when": {"==": [{"var": "value"}, "on"]},
                        "actions": []}])"));
  EXPECT_FALSE(fired(world.set("a", "off")));
  EXPECT_FALSE(fired(world.set("a", "on")));
  const auto outcomes = world.remove("a", Op::kExpire);
  ASSERT_TRUE(fired(outcomes));
  EXPECT_FALSE(outcomes[0].matched);
  EXPECT_FALSE(fired(world.set("a", "off")));
}

TEST(RuleSetTest, ARuleLoadedLaterTakesTheTruthThatItFinds) {
  World world(RuleSet::empty());
  world.set("a", "on");
  world.set("b", "off");
  world.replace_rules(load(R"([{"id": "r", "on": "rise", "when": {"==": [{"var": "value"}, "on"]},
                                "actions": []}])"));
  EXPECT_FALSE(fired(world.set("a", "on")));  // was true already
  EXPECT_TRUE(fired(world.set("b", "on")));
}

TEST(RuleSetTest, RemembersTruthOnlyWhenItIsNew) {
  World world(load(R"([{"id": "r", "on": "rise", "when": {"==": [{"var": "value"}, "on"]},
                        "actions": []}])"));
  EXPECT_EQ(world.set("a", "off").at(0).memory, RuleMemory{});
  EXPECT_THAT(world.set("a", "off"), IsEmpty());
  EXPECT_EQ(world.set("a", "on").at(0).memory.value().truth, true);
  EXPECT_EQ(world.set("a", "on").at(0).memory, std::nullopt);
}

TEST(RuleSetTest, ReadsTheLongestExistingKeyBelowState) {
  World world(load(R"([{"id": "r", "when": {"==": [{"var": "key"}, "go"]},
      "actions": [{"type": "publishEgress", "payload": {"$logic": {"merge": [
        [{"var": "state.obs.scene"}, {"var": "state.obs.connected"}, {"var": "state.none.at.all"},
         {"var": ["state.obs.scene.name", "-"]}, {"var": "state.go"}]]}}}]}])"));
  world.set("obs", parse(R"({"connected": true, "scene": "hidden"})"));
  world.set("obs.scene", "Live");
  const auto outcomes = world.set("go", 7);
  ASSERT_EQ(outcomes.size(), 1U);
  ASSERT_TRUE(outcomes[0].fired) << outcomes[0].error;
  EXPECT_EQ(outcomes[0].effects.at(0).payload, R"(["Live",true,null,"-",7])");
  EXPECT_THAT(outcomes[0].reads,
              ElementsAre(Pair("obs.scene", 1), Pair("obs", 1), Pair("none.at.all", 0)));
}

TEST(RuleSetTest, TellsOfReadsEvenIfNothingMatched) {
  World world(load(R"([{"id": "r", "when": {"==": [{"var": "state.x"}, 1]}, "actions": []}])"));
  const auto outcomes = world.set("y", 1);
  ASSERT_EQ(outcomes.size(), 1U);
  EXPECT_FALSE(outcomes[0].matched);
  EXPECT_THAT(outcomes[0].reads, ElementsAre(Pair("x", 0)));
}

TEST(RuleSetTest, ShowsTheWholeContext) {
  World world(load(R"([{"id": "r", "when": {"==": [{"var": "version"}, 2]},
      "actions": [{"type": "publishEgress", "payload": {"all": {"$logic": {"var": ""}}}}]}])"));
  world.entry.proposal.actor = "cli:me";
  world.entry.proposal.reason = "because";
  world.entry.proposal.metadata = {{"m", 1}};
  world.entry.committed_at = timestamp_from_ms(1'760'000'000'000);
  world.set("a", 1);
  const auto outcomes = world.set("a", "x");
  ASSERT_TRUE(fired(outcomes)) << outcomes.size();
  EXPECT_EQ(outcomes[0].effects.at(0).payload,
            R"({"all":{"actor":"cli:me","changed":true,"key":"a","metadata":{"m":1},"op":"set",)"
            R"("prev":1,"prevVersion":1,"reason":"because","ts":"2025-10-09T08:53:20.000Z",)"
            R"("value":"x","version":2}})");
}

TEST(RuleSetTest, DeleteAndExpireShowNull) {
  World world(load(R"([{"id": "r", "when": {"and": [{"in": [{"var": "op"}, ["delete", "expire"]]},
      {"===": [{"var": "value"}, null]}, {"==": [{"var": "prev"}, 5]}]}, "actions": []}])"));
  world.set("a", 5);
  EXPECT_TRUE(fired(world.remove("a")));
  world.set("a", 5);
  EXPECT_TRUE(fired(world.remove("a", Op::kExpire)));
}

TEST(RuleSetTest, ProposesDerivedMutationsFromTemplates) {
  World world(load(R"([{"id": "count", "when": {"==": [{"var": "key"}, "chat.message"]},
      "actions": [
        {"type": "proposeMutation", "op": "increment", "value": 1,
         "key": {"$logic": {"cat": ["chat.count.", {"var": "value.user"}]}}, "ttl": 1.5},
        {"type": "proposeMutation", "key": "chat.last", "expectedVersion": 0,
         "value": {"user": {"$logic": {"var": "value.user"}}},
         "reason": {"$logic": {"cat": ["said by ", {"var": "value.user"}]}}},
        {"type": "proposeMutation", "op": "delete", "key": "chat.idle"}]}])"));
  const auto outcomes = world.set("chat.message", parse(R"({"user": "ann"})"));
  ASSERT_TRUE(fired(outcomes)) << (outcomes.empty() ? "" : outcomes[0].error);
  const auto& derived = outcomes[0].derived;
  ASSERT_EQ(derived.size(), 3U);
  EXPECT_EQ(derived[0].op, Op::kIncrement);
  EXPECT_EQ(derived[0].key, "chat.count.ann");
  EXPECT_EQ(*derived[0].value, json::Value(1));
  EXPECT_EQ(derived[0].ttl, std::chrono::milliseconds(1500));
  EXPECT_EQ(derived[0].reason, "rule count on chat.message");
  EXPECT_EQ(json::write(*derived[1].value), R"({"user":"ann"})");
  EXPECT_EQ(derived[1].expected_version, 0);
  EXPECT_EQ(derived[1].reason, "said by ann");
  EXPECT_EQ(derived[1].action_index, 1);
  EXPECT_EQ(derived[2].op, Op::kDelete);
  EXPECT_FALSE(derived[2].value.has_value());
}

TEST(RuleSetTest, AnErrorStaysWithItsRule) {
  World world(load(R"([
      {"id": "bad-when", "when": {"missing_some": [1, {"var": "value"}]}, "actions": []},
      {"id": "bad-key", "when": true, "actions": [
        {"type": "publishEgress", "payload": {"type": "t"}},
        {"type": "proposeMutation", "key": {"$logic": {"var": "value"}}, "value": 1}]},
      {"id": "good", "when": true, "actions": []}])"));
  const auto outcomes = world.set("a", nullptr);
  ASSERT_EQ(outcomes.size(), 3U);
  EXPECT_THAT(outcomes[0].error, HasSubstr("length"));
  EXPECT_FALSE(outcomes[0].matched);
  EXPECT_THAT(outcomes[1].error, HasSubstr("action 1: the key must become a string"));
  EXPECT_TRUE(outcomes[1].matched);
  EXPECT_FALSE(outcomes[1].fired);
  EXPECT_THAT(outcomes[1].effects, IsEmpty());
  EXPECT_TRUE(outcomes[2].fired);
}

TEST(RuleSetTest, HashesFollowTheContentOnly) {
  const auto a = load(R"([{"id": "r", "when": true, "actions": []}])");
  const auto b = load(R"([{"actions": [], "when": true, "id": "r"}])");
  const auto c = load(R"([{"id": "r", "when": false, "actions": []}])");
  EXPECT_EQ(a->revision(), b->revision());
  EXPECT_EQ(a->find("r")->hash, b->find("r")->hash);
  EXPECT_NE(a->revision(), c->revision());
  EXPECT_NE(a->revision(), RuleSet::empty()->revision());
  EXPECT_EQ(a->find("other"), nullptr);
}

TEST(RuleSetLoadTest, ReportsEveryProblemWithItsPath) {
  EXPECT_THAT(
      problems(R"([
        {"id": "a", "wen": true, "actions": []},
        {"id": "a", "when": {"and": [{"not": 1}, {"==": [1]}, {"i/f": 1}]}, "on": "rises",
         "actions": [{"type": "publishEgres", "payload": {}},
                     {"type": "publishEgress", "payload": {"x": [{"$logic": {"vra": "a"}}]}},
                     {"type": "proposeMutation", "key": "a b", "op": "sett", "ttl": 0}]},
        7, {"id": "", "when": {"var": "state"}, "actions": {}}])"),
      ElementsAre(
          R"(/0/wen: unknown field "wen" (did you mean "when"?))",
          R"(/0: "when" is missing: the condition, as JsonLogic)",
          R"(/1/id: two rules have the id "a")",
          R"(/1/on: must be one of commit change rise fall (did you mean "rise"?))",
          R"(/1/actions/0/type: must be one of publishEgress proposeMutation )"
          R"((did you mean "publishEgress"?))",
          R"(/1/actions/1/payload/x/0/$logic/vra: unknown operator "vra" (did you mean "var"?))",
          HasSubstr("/1/actions/2/key: "),
          R"(/1/actions/2/op: must be one of set delete increment push merge )"
          R"((did you mean "set"?))",
          R"(/1/actions/2: "value" is missing: set needs one)",
          "/1/actions/2/ttl: must be a number of seconds above 0",
          R"(/1/when/and/0/not: unknown operator "not"; use {"!": [...]})",
          R"(/1/when/and/1/==: "==" takes 2 arguments, found 1)",
          HasSubstr("/1/when/and/2/i~1f: unknown operator"),
          "/2: a rule must be an object, found number",
          "/3/id: must be a string of 1 to 128 characters",
          "/3/actions: must be an array, found object",
          HasSubstr("/3/when/var: \"state\" cannot be read as a whole")));
}

TEST(RuleSetLoadTest, RefusesWhatIsNoArray) {
  EXPECT_THAT(problems(R"({"id": "a"})"), ElementsAre(": rules must be an array, found object"));
}

TEST(RuleSetLoadTest, RefusesSeveralOperatorsInOneObject) {
  EXPECT_THAT(problems(R"([{"id": "a", "when": {"==": [1, 1], "!=": [1, 2]}, "actions": []}])"),
              ElementsAre(HasSubstr("/0/when: an object with 2 operators is a literal")));
}

// Rules that set `to` when the guard holds.
std::string setter(const std::string& id, const std::string& when, const std::string& to,
                   const std::string& value = "1", const std::string& on = "commit") {
  return R"({"id": ")" + id + R"(", "on": ")" + on + R"(", "when": )" + when +
         R"(, "actions": [{"type": "proposeMutation", "key": ")" + to + R"(", "value": )" + value +
         "}]}";
}
std::string key_is(const std::string& key) { return R"({"==": [{"var": "key"}, ")" + key + "\"]}"; }
std::string key_and_value(const std::string& key, const std::string& value) {
  return R"({"and": [)" + key_is(key) + R"(, {"==": [{"var": "value"}, )" + value + "]}]}";
}

TEST(RuleSetLoadTest, RefusesCyclesAndPrintsTheirPath) {
  EXPECT_THAT(problems("[" + setter("r1", key_is("a"), "b") + "," +
                       setter("r2", R"({"in": [{"var": "key"}, ["b", "x"]]})", "a") + "]"),
              ElementsAre("/0: derived mutations could trigger each other for ever: "
                          "a -> rule r1 -> b -> rule r2 -> a"));
  EXPECT_THAT(problems("[" + setter("x", "true", "q") + "," + setter("me", key_is("a"), "a") + "]"),
              ElementsAre(HasSubstr("/1: derived mutations could trigger each other for ever: "
                                    "a -> rule me -> a")));
}

TEST(RuleSetLoadTest, RefusesAnUnguardedRuleThatReadsWhatItWrites) {
  EXPECT_THAT(problems("[" + setter("r", R"({">": [{"var": "state.n.x"}, 1]})", "n") + "]"),
              ElementsAre(HasSubstr("n -> rule r -> n")));
}

TEST(RuleSetLoadTest, LoadsWhatCannotGoOnForEver) {
  // The value written is not the one asked for.
  EXPECT_THAT(problems("[" + setter("off", key_and_value("a", "\"on\""), "a", "\"off\"") + "]"),
              IsEmpty());
  // One constant, and rules that wait for a change.
  EXPECT_THAT(problems("[" + setter("r1", key_is("a"), "b", "1", "change") + "," +
                       setter("r2", key_is("b"), "a", "1", "change") + "]"),
              IsEmpty());
  // A chain without a way back; reads of other keys do not trigger.
  EXPECT_THAT(
      problems("[" + setter("r1", key_is("a"), "b") + "," +
               setter("r2", R"({"and": [)" + key_is("b") + R"(, {"==": [{"var": "state.c"}, 1]}]})",
                      "c") +
               "]"),
      IsEmpty());
  // Derived mutations are told apart by their actor.
  EXPECT_THAT(
      problems("[" +
               setter("r",
                      R"({"and": [)" + key_is("a") + R"(, {"!=": [{"var": "actor"}, "rule:r"]}]})",
                      "a") +
               "]"),
      IsEmpty());
}

TEST(RuleSetLoadTest, RefusesATogglingPairEvenOnChange) {
  EXPECT_THAT(problems("[" + setter("up", key_and_value("a", "1"), "a", "2", "change") + "," +
                       setter("down", key_and_value("a", "2"), "a", "1", "change") + "]"),
              ElementsAre(HasSubstr("a -> rule up -> a -> rule down -> a")));
}

TEST(RuleSetLoadTest, FindsACycleAtTheEndOfALongChain) {
  std::string rules = "[";
  for (int i = 0; i < 500; ++i) {
    rules += setter("r" + std::to_string(i), key_is("k" + std::to_string(i)),
                    "k" + std::to_string(i + 1)) +
             ",";
  }
  rules += setter("back", key_is("k500"), "k499") + "]";
  EXPECT_THAT(problems(rules), ElementsAre(HasSubstr("k499 -> rule r499 -> k500 -> rule back -> "
                                                     "k499")));
}

TEST(RuleSetTest, ExplainsWhyARuleDidNotMatch) {
  const RuleSetPtr rules = load(kReference);
  World world(rules);
  world.set("stream.state", "off");
  const LogEntry& entry = world.entry;
  const auto why = rules->explain(*rules->find("stream-online"),
                                  {entry, nullptr, *world.find("stream.state")}, world);
  EXPECT_FALSE(why.matched);
  EXPECT_EQ(why.decided, "/and/1");
  EXPECT_EQ(why.decided_text, R"(value == "on" is false (value is "off"))");
}

}  // namespace
}  // namespace state_engine
