// The index against no index, on random rules and commits (invariant R2), and guard corners.

#include "rules/rule_index.h"

#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/rule_set.h"

namespace state_engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

json::Value parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(value).value() : json::Value();
}

// The rules `whens`, called 0, 1, ...
RuleSetPtr rules_of(const std::vector<std::string>& whens) {
  json::Array rules;
  for (std::size_t i = 0; i < whens.size(); ++i) {
    rules.push_back(json::Object{
        {"id", std::to_string(i)}, {"when", parse(whens[i])}, {"actions", json::Array()}});
  }
  RuleSetLoad load = RuleSet::load(rules);
  EXPECT_TRUE(load.ok()) << (load.ok() ? "" : load.problems.front().message);
  return load.rules;
}

std::vector<std::uint32_t> candidates(const RuleSetPtr& rules, std::string_view key,
                                      std::string_view value) {
  const auto found = rules->index().candidates(key, parse(value));
  return {found.begin(), found.end()};
}

TEST(RuleIndexTest, FindsRulesByKeyByPrefixAndWithoutBound) {
  const RuleSetPtr rules = rules_of({
      R"({"==":[{"var":"key"},"a.b"]})",
      R"({"==":[{"substr":[{"var":"key"},0,2]},"a."]})",
      R"({">":[{"var":"value"},1]})",
      R"({"and":[{"in":[{"var":"key"},["a.b","c"]]},
                 {"==":["a.",{"substr":[{"var":"key"},0,2]}]}]})",
      R"({"==":[{"substr":[{"var":"key"},0,3]},"a."]})",
  });
  EXPECT_THAT(candidates(rules, "a.b", "1"), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(candidates(rules, "a.c", "1"), ElementsAre(1, 2, 4));
  EXPECT_THAT(candidates(rules, "c", "1"), ElementsAre(2, 4)) << "3 wants a key with a prefix";
  EXPECT_EQ(rules->index().unbounded_count(), 2);
}

TEST(RuleIndexTest, TellsValuesApartOnlyWhereNoCoercionCanMakeThemEqual) {
  const RuleSetPtr rules = rules_of({
      R"({"==":[{"var":"value"},"on"]})",
      R"({"==":[{"var":"value"},"1"]})",
      R"({"===":[{"var":"value"},1]})",
      R"({"in":[{"var":"value"},["on",1,null]]})",
      R"({"==":[{"var":"value"},null]})",
      R"({"==":[{"var":"value"},true]})",
  });
  EXPECT_THAT(candidates(rules, "k", R"("on")"), ElementsAre(0, 1, 3, 5));
  EXPECT_THAT(candidates(rules, "k", R"("off")"), ElementsAre(1, 5));
  EXPECT_THAT(candidates(rules, "k", "1"), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(candidates(rules, "k", "1.0"), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(candidates(rules, "k", "null"), ElementsAre(1, 3, 4, 5));
  EXPECT_THAT(candidates(rules, "k", R"(["on"])"), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(RuleIndexTest, ZeroAndMinusZeroAreOneLiteral) {
  const RuleSetPtr rules = rules_of({R"({"===":[{"var":"value"},0]})"});
  EXPECT_THAT(candidates(rules, "k", "-0.0"), ElementsAre(0));
  EXPECT_THAT(candidates(rules, "k", "0"), ElementsAre(0));
  EXPECT_THAT(candidates(rules, "k", "0.5"), IsEmpty());
}

// ---- Random rules ----------------------------------------------------------------------------

class RandomRules {
 public:
  explicit RandomRules(unsigned seed) : engine_(seed) {}

  std::string pick(const std::vector<std::string>& from) {
    return from[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(engine_)];
  }

  std::string key() { return pick({"a.b", "a.c", "b", "c.d.e", "a", "ab"}); }

  // Every kind of value of which `==` makes something else.
  std::string value() {
    return pick({R"("on")",
                 R"("off")",
                 R"("1")",
                 R"("")",
                 R"(" ")",
                 R"("0x1")",
                 R"("null")",
                 "1",
                 "0",
                 "-0.0",
                 "1.5",
                 "true",
                 "false",
                 "null",
                 "[]",
                 R"(["on"])",
                 "[1]",
                 "[[]]",
                 "{}",
                 R"({"a":1,"b":2})",
                 R"("[object Object]")",
                 R"("Infinity")",
                 "2"});
  }

  std::string condition(int depth) {
    if (depth <= 0) return leaf();
    const std::string a = condition(depth - 1);
    const std::string b = condition(depth - 1);
    switch (std::uniform_int_distribution<int>(0, 9)(engine_)) {
      case 0:
      case 1:
      case 2:
        return R"({"and":[)" + a + "," + b + "]}";
      case 3:
      case 4:
        return R"({"or":[)" + a + "," + b + "]}";
      case 5:
        return R"({"if":[)" + a + "," + b + ",false]}";
      case 6:
        return R"({"!":[)" + a + "]}";
      case 7:
        return R"({"!!":[)" + a + "]}";
      default:
        return leaf();
    }
  }

 private:
  std::string leaf() {
    const std::string quoted_key = "\"" + key() + "\"";
    switch (std::uniform_int_distribution<int>(0, 9)(engine_)) {
      case 0:
      case 1:
        return R"({"==":[{"var":"key"},)" + quoted_key + "]}";
      case 2:
        return R"({"in":[{"var":"key"},[)" + quoted_key + ",\"" + key() + "\"]]}";
      case 3:
        return R"({"===":[{"substr":[{"var":"key"},0,2]},)" + pick({"\"a.\"", "\"c.\"", "\"b\""}) +
               "]}";
      case 4:
        return R"({"==":[{"var":"value"},)" + value() + "]}";
      case 5:
        return R"({"===":[)" + value() + R"(,{"var":"value"}]})";
      case 6:
        return R"({"in":[{"var":"value"},[)" + value() + "," + value() + "]]}";
      case 7:
        return R"({"==":[{"var":"state.)" + key() + R"("},)" + value() + "]}";
      case 8:
        return R"({"!=":[{"var":"prev"},)" + value() + "]}";
      default:
        return pick({"true", R"({"<":[{"var":"version"},5]})", R"({"*":[]})", "[]"});
    }
  }

  std::mt19937 engine_;
};

class World final : public StateLookup, public MemoryLookup {
 public:
  const Snapshot* find(std::string_view key) const override {
    const auto found = state.find(key);
    return found == state.end() || found->second.deleted ? nullptr : &found->second;
  }
  std::optional<RuleMemory> memory(std::string_view rule, std::string_view key) const override {
    const auto found = memories.find({std::string(rule), std::string(key)});
    return found == memories.end() ? std::nullopt : std::optional<RuleMemory>(found->second);
  }

  std::map<std::string, Snapshot, std::less<>> state;
  std::map<std::pair<std::string, std::string>, RuleMemory> memories;
};

std::string text_of(const std::vector<RuleOutcome>& outcomes, bool only_matches) {
  std::string text;
  for (const RuleOutcome& outcome : outcomes) {
    if (only_matches && !outcome.matched && !outcome.fired) continue;
    text += outcome.rule_id + (outcome.matched ? " matched" : "") + (outcome.fired ? " fired" : "");
    for (const auto& effect : outcome.effects) text += " " + effect.payload;
    for (const auto& derived : outcome.derived) text += " " + derived.key;
    text += " " + outcome.held;
    if (!only_matches) {
      text += " " + outcome.error;
      for (const auto& [key, version] : outcome.reads) {
        text += " " + key + "@" + std::to_string(version);
      }
      if (outcome.memory) text += outcome.memory->truth ? " now true" : " now false";
    }
    text += "\n";
  }
  return text;
}

void check_seed(unsigned seed) {
  RandomRules random(seed);
  json::Array source;
  for (int i = 0; i < 40; ++i) {
    const json::Value effect = parse(R"({"type":"publishEgress","payload":{"type":"t"}})");
    json::Object rule({{"id", "r" + std::to_string(i)},
                       {"on", random.pick({"commit", "commit", "change", "rise", "fall"})},
                       {"when", parse(random.condition(3))},
                       {"actions", json::Array{effect}}});
    if (i % 5 == 0) rule["for"] = random.pick({"2ms", "5ms", "1s"});
    if (i % 7 == 0) rule["cooldown"] = random.pick({"3ms", "20ms"});
    source.emplace_back(std::move(rule));
    // The loader refuses `*` without arguments, which json-logic-js makes throw; skip those.
    if (!RuleSet::load(json::Array{source.back()}).ok()) source.pop_back();
  }
  const RuleSetLoad load = RuleSet::load(source);
  ASSERT_TRUE(load.ok());
  World world;
  for (int i = 0; i < 60; ++i) {
    const std::string key = random.key();
    LogEntry entry;
    entry.accepted = true;
    entry.proposal.key = key;
    entry.committed_at = timestamp_from_ms(1000 + i);
    const Snapshot* visible = world.find(key);
    const std::optional<Snapshot> before =
        visible != nullptr ? std::optional<Snapshot>(*visible) : std::nullopt;
    Snapshot& after = world.state[key];
    after.key = key;
    entry.previous_version = after.version++;
    after.deleted = visible != nullptr && random.pick({"keep", "keep", "drop"}) == "drop";
    after.value = after.deleted ? json::Value() : parse(random.value());
    entry.proposal.op = after.deleted ? Op::kDelete : Op::kSet;
    const ChangeContext change{entry, before ? &*before : nullptr, after};
    const auto indexed = load.rules->evaluate(change, world, world);
    const auto linear = load.rules->evaluate_linearly_for_test(change, world, world, true);
    const auto all = load.rules->evaluate_linearly_for_test(change, world, world, false);
    ASSERT_EQ(text_of(indexed, false), text_of(linear, false)) << "--seed " << seed;
    ASSERT_EQ(text_of(indexed, true), text_of(all, true)) << "--seed " << seed;
    for (const RuleOutcome& outcome : indexed) {
      if (outcome.memory) world.memories[{outcome.rule_id, key}] = *outcome.memory;
    }
  }
}

// Invariant R2. SE_SEED picks another beginning.
TEST(RuleIndexTest, GivesTheOutcomesOfEvaluatingEveryRule) {
  const char* const chosen = std::getenv("SE_SEED");
  const unsigned first = chosen != nullptr ? static_cast<unsigned>(std::atoi(chosen)) : 1;
  for (unsigned seed = first; seed < first + 60; ++seed) check_seed(seed);
}

}  // namespace
}  // namespace state_engine
