// The short ways of the evaluator give what the general ways give, at the same number of steps.

#include "rules/evaluator.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "rules/js_json.h"
#include "rules/js_string.h"
#include "rules/json_logic.h"
#include "rules/operators.h"

namespace state_engine::logic {
namespace {

json::Value parse(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(value).value() : nullptr;
}

// A trace makes the evaluator take every step on its own.
class NoTrace final : public TraceSink {
 public:
  void enter(const Node& /*node*/) override {}
  void leave(const Node& /*node*/, const JsValue& /*value*/) override {}
};

// A result as text that tells apart what JSON does not: undefined, NaN, infinities and -0.
std::string text_of(const EvalResult& result, Arena& arena) {
  if (!result.ok()) return std::string(to_string(result.error->kind)) + result.error->message;
  const JsValue& value = result.value;
  if (value.is_undefined()) return "undefined";
  if (value.is_number()) {
    if (std::isnan(value.as_number())) return "NaN";
    return (std::signbit(value.as_number()) ? "-" : "+") +
           json::number_to_string(std::fabs(value.as_number()));
  }
  return stringify(value, arena).value_or("?");
}

std::string run(const json::Value& rule, const json::Value& data, const Budget& budget = {},
                TraceSink* trace = nullptr) {
  const auto program = Program::compile(rule);
  EXPECT_TRUE(program.ok());
  Arena arena(budget.bytes_max);
  return text_of(program->evaluate(JsValue::of(data), arena, budget, trace), arena);
}

// Every kind of value, and texts of all lengths that are compared differently.
json::Array values() {
  json::Array all = parse(R"([null, true, false, 0, 1, -1, 2, 3, 7, 2.5, -2.5, 4294967295,
      4294967296, 4294967297, 9007199254740992, 1e300, 5e-324, "", "1", "a", "b", "ab", "abc",
      "abd", "live", "lives", "stream.x", "stream.y", "stream.state.on", "stream.state.off",
      "stream.state.one", "Stream.state.one", "stream.state.one.", "stream.state.two.", "7", " 7 ",
      "x7", [], [1], [1, 2], {}, {"a": 1}])")
                        .as_array();
  all.emplace_back(-0.0);
  return all;
}

TEST(EvaluatorTest, TwoArgumentsGiveWhatTheOperatorsFunctionGives) {
  const json::Array all = values();
  const json::Value a = parse(R"({"var":"a"})");
  const json::Value b = parse(R"({"var":"deep.b"})");
  const json::Value no_leaf = parse(R"({"if":[{"var":"a"}]})");
  for (const char* name :
       {"==", "===", "!=", "!==", ">", ">=", "<", "<=", "+", "-", "*", "/", "%"}) {
    const json::Value leaves = json::Object{{name, json::Array{a, b}}};
    const json::Value nested = json::Object{{name, json::Array{no_leaf, b}}};
    for (const json::Value& x : all) {
      for (const json::Value& y : all) {
        const json::Value data = json::Object{{"a", x}, {"deep", json::Object{{"b", y}}}};
        const auto& members = data.get_object();
        const std::array<JsValue, 2> args = {JsValue::of(members.at("a")),
                                             JsValue::of(members.at("deep").get_object().at("b"))};
        Arena arena(Budget{}.bytes_max);
        const JsValue value = call_operator(find_operator(name)->op, args, arena);
        const std::string want = text_of({value, std::nullopt}, arena);
        EXPECT_EQ(run(leaves, data), want) << name << " of " << json::write(data);
        EXPECT_EQ(run(nested, data), want) << name << " of " << json::write(data);
        const json::Value constant = json::Object{{name, json::Array{a, y}}};
        if (!y.is_object() && !y.is_array()) {
          EXPECT_EQ(run(constant, data), want) << json::write(constant);
        }
      }
    }
  }
}

TEST(EvaluatorTest, TakesTheSameStepsInPlaceAndOneByOne) {
  const json::Value data =
      parse(R"({"a":"x","n":5,"o":{"p":"x"},"list":[{"n":1},{"n":2},{"n":3}]})");
  const std::vector<const char*> rules = {
      R"({"==":[{"var":"a"},"x"]})",
      R"({"and":[{"==":[{"var":"a"},"x"]},{">":[{"var":"n"},4]},{"!=":[{"var":"o.p"},"y"]}]})",
      R"({"%":[{"var":"n"},{"var":["none",2]}]})",
      R"({"<":[1,{"+":[{"var":"n"},1]}]})",
      R"({"filter":[{"var":"list"},{">=":[{"var":"n"},2]}]})",
      R"({"some":[{"var":"list"},{"===":[{"var":"n"},3]}]})",
      R"({"reduce":[{"var":"list"},{"+":[{"var":"current.n"},{"var":"accumulator"}]},0]})",
      R"({"-":[{"cat":["1",{"var":"n"}]},{"var":"n"}]})",
  };
  constexpr std::uint64_t kEnough = 60;
  NoTrace trace;
  for (const char* text : rules) {
    const json::Value rule = parse(text);
    const std::string answer = run(rule, data);
    std::uint64_t needed = 0;
    for (std::uint64_t steps = 0; steps <= kEnough; ++steps) {
      const std::string got = run(rule, data, {.steps_max = steps});
      EXPECT_EQ(got, run(rule, data, {.steps_max = steps}, &trace)) << text << " " << steps;
      if (got != answer) needed = steps + 1;
    }
    EXPECT_GT(needed, 2U) << text;
    EXPECT_LE(needed, kEnough) << text;
  }
  const json::Value three = parse(rules.front());
  EXPECT_EQ(run(three, data, {.steps_max = 3}), "true");
  EXPECT_NE(run(three, data, {.steps_max = 2}), "true");
}

TEST(EvaluatorTest, FindsMembersOfSmallAndLargeObjectsByShortAndLongNames) {
  constexpr int kObjectsMax = 30;
  json::Object object;
  for (int i = 0; i < kObjectsMax; ++i) {
    // Names of equal length whose first bytes agree, of up to 30 bytes.
    const std::string name = std::string(static_cast<std::size_t>(i), 'n') + (i % 2 ? "x" : "y");
    object[name] = i;
    for (const auto& member : object) {
      const std::string key(member.key());
      const json::Value rule = json::Object{{"var", key}};
      EXPECT_EQ(run(rule, object), run(member.value(), nullptr)) << key;
      const json::Value inside = json::Object{{"var", "o." + key}};
      EXPECT_EQ(run(inside, json::Object{{"o", object}}), run(member.value(), nullptr)) << key;
      const json::Value other = json::Object{{"var", key.substr(0, key.size() - 1) + "z"}};
      EXPECT_EQ(run(other, object), "null") << key;
    }
  }
}

TEST(EvaluatorTest, TakesRemaindersAsFmodDoes) {
  const double max = std::numeric_limits<std::uint32_t>::max();
  std::vector<double> numbers = {0.0, -0.0, 1, 2, 0.5, 1.5, -1, -2, max, max + 1, max - 1, 1e300};
  constexpr std::uint64_t kBits = 0x9E3779B97F4A7C15;
  for (unsigned shift = 0; shift < 64; ++shift) {
    numbers.push_back(static_cast<double>(kBits >> shift));
    numbers.push_back(-static_cast<double>(kBits >> shift));
    numbers.push_back(static_cast<double>(kBits >> shift) / 65536);
  }
  const auto program = Program::compile(parse(R"({"%":[{"var":"x"},{"var":"y"}]})"));
  ASSERT_TRUE(program.ok());
  for (const double x : numbers) {
    for (const double y : numbers) {
      const json::Value data = json::Object{{"x", x}, {"y", y}};
      Arena arena(Budget{}.bytes_max);
      const double got = program->evaluate(JsValue::of(data), arena).value.as_number();
      const double want = std::fmod(x, y);
      EXPECT_TRUE(std::isnan(want) ? std::isnan(got)
                                   : got == want && std::signbit(got) == std::signbit(want))
          << x << " % " << y << " is " << got;
    }
  }
}

TEST(EvaluatorTest, ComparesTextsOfEveryLengthByteByByte) {
  constexpr std::size_t kSizeMax = 40;
  for (std::size_t size = 0; size <= kSizeMax; ++size) {
    const std::string text(size, 'a');
    EXPECT_TRUE(same_text(text, std::string(size, 'a'))) << size;
    EXPECT_FALSE(same_text(text, text + "a")) << size;
    for (std::size_t at = 0; at < size; ++at) {
      std::string other = text;
      other[at] = 'b';
      EXPECT_FALSE(same_text(text, other)) << size << " " << at;
    }
  }
}

}  // namespace
}  // namespace state_engine::logic
