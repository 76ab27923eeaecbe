// json-logic-js 2.0.5, case by case: recorded answers in tests/testdata/jsonlogic, and corners.

#include "rules/json_logic.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "rules/js_json.h"

namespace state_engine::logic {
namespace {

const char* const kDataFolder = SE_SOURCE_DIR "/tests/testdata/jsonlogic/";

json::Value parse(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  if (!value.ok()) {
    ADD_FAILURE() << value.error().message << " in " << text.substr(0, 200);
    return nullptr;
  }
  return std::move(value).value();
}

json::Value load(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return parse(text.str());
}

// The recorded number behind a tag ({"$": "NaN"}); false if `value` is none.
bool tagged_number(const json::Value& value, double& number) {
  if (!value.is_object() || !value.get_object().contains("$")) return false;
  const std::string tag(value.get_object().at("$").get_string());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (tag == "NaN") number = std::numeric_limits<double>::quiet_NaN();
  if (tag == "Infinity") number = kInfinity;
  if (tag == "-Infinity") number = -kInfinity;
  if (tag == "-0") number = -0.0;
  return tag != "undefined";
}

bool same_number(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && std::signbit(a) == std::signbit(b);
}

bool same(const JsValue& got, const json::Value& want);

bool same_members(const JsValue& got, const json::Object& want) {
  std::size_t count = 0;
  const auto check = [&](std::string_view name, const JsValue& value) {
    ++count;
    const auto* expected = want.if_contains({name.data(), name.size()});
    return expected != nullptr && same(value, *expected);
  };
  if (got.kind() == JsValue::Kind::kArenaObject) {
    for (const auto& member : got.members()) {
      if (!check(member.name, member.value)) return false;
    }
  } else {
    for (const auto& member : got.json_object()) {
      if (!check({member.key().data(), member.key().size()}, JsValue::of(member.value()))) {
        return false;
      }
    }
  }
  return count == want.size();
}

bool same(const JsValue& got, const json::Value& want) {
  double number = 0;
  if (tagged_number(want, number)) return got.is_number() && same_number(got.as_number(), number);
  const JsValue expected = JsValue::of(want);
  if (want.is_object() && want.get_object().contains("$")) return got.is_undefined();
  if (expected.is_number()) {
    return got.is_number() && same_number(got.as_number(), expected.as_number());
  }
  if (expected.is_array()) {
    if (!got.is_array() || got.array_size() != expected.array_size()) return false;
    for (std::size_t i = 0; i < got.array_size(); ++i) {
      if (!same(got.element(i), want.get_array()[i])) return false;
    }
    return true;
  }
  if (want.is_object()) return got.is_object() && same_members(got, want.get_object());
  if (expected.is_string()) return got.is_string() && got.as_string() == expected.as_string();
  if (expected.is_boolean()) return got.is_boolean() && got.as_boolean() == expected.as_boolean();
  return got.is_null();
}

// Runs one recorded case. `want_name` and `error_name` are the members with the answer.
void check_case(const json::Object& recorded, const char* want_name, const char* error_name) {
  SCOPED_TRACE(json::write(recorded));
  const auto program = Program::compile(recorded.at("rule"));
  ASSERT_TRUE(program.ok());
  Arena arena(Budget{}.bytes_max);
  const EvalResult result = program->evaluate(JsValue::of(recorded.at("data")), arena);
  if (const auto* error = recorded.if_contains(error_name)) {
    ASSERT_FALSE(result.ok()) << stringify(result.value, arena).value_or("undefined");
    EXPECT_EQ(to_string(result.error->kind), std::string_view(error->get_string()));
    return;
  }
  ASSERT_TRUE(result.ok()) << result.error->message;
  EXPECT_TRUE(same(result.value, recorded.at(want_name)))
      << "got " << stringify(result.value, arena).value_or("undefined");
  if (const auto* is_truthy = recorded.if_contains("truthy")) {
    EXPECT_EQ(truthy(result.value), is_truthy->get_bool());
  }
  if (const auto* text = recorded.if_contains("json"); text != nullptr && text->is_string()) {
    EXPECT_TRUE(json::equal(parse(stringify(result.value, arena).value_or("null")),
                            parse(text->get_string())));
  }
}

// The one recorded case that falls under a deliberate deviation: an inherited name is not found.
bool is_deviation(const json::Object& recorded) {
  return json::write(recorded.at("rule")) == R"({"var":"__proto__"})";
}

// Every case of a folder or file; returns how many ran.
int check_recorded(const std::string& place, const char* want_name, const char* error_name) {
  int cases = 0;
  const auto check_file = [&](const std::filesystem::path& path) {
    const json::Value all = load(path);
    for (const json::Value& recorded : all.as_array()) {
      if (!recorded.is_object()) continue;
      ++cases;
      if (is_deviation(recorded.get_object())) continue;
      check_case(recorded.get_object(), want_name, error_name);
    }
  };
  const std::filesystem::path root = kDataFolder + place;
  if (std::filesystem::is_regular_file(root)) {
    check_file(root);
    return cases;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".json") check_file(entry.path());
  }
  return cases;
}

TEST(JsonLogicTest, AgreesWithTheOfficialSuite) {
  const json::Value all = load(std::string(kDataFolder) + "official/jsonlogic.com/tests.json");
  int cases = 0;
  for (const json::Value& entry : all.as_array()) {
    if (!entry.is_array()) continue;
    ++cases;
    const json::Array& triple = entry.get_array();
    check_case({{"rule", triple.at(0)}, {"data", triple.at(1)}, {"want", triple.at(2)}}, "want",
               "error");
  }
  EXPECT_EQ(cases, 278);
}

TEST(JsonLogicTest, AgreesWithJsonLogicJsOnTheCommunitySuites) {
  EXPECT_EQ(check_recorded("official/compat-tables", "jljs", "jljs_error"), 724);
  EXPECT_EQ(check_recorded("official/json-logic-engine", "jljs", "jljs_error"), 58);
}

TEST(JsonLogicTest, AgreesWithJsonLogicJsOnRandomRules) {
  EXPECT_EQ(check_recorded("oracle/random-dev.json", "want", "error"), 4000);
}

TEST(JsonLogicTest, AgreesWithJsonLogicJsOnCorners) {
  EXPECT_EQ(check_recorded("oracle/corners-dev.json", "want", "error"), 421);
}

// The answer of one rule as `rules eval` prints it, or the name of its error.
std::string eval(std::string_view rule, std::string_view data = "null") {
  const EvalReport report = eval_once(parse(rule), parse(data));
  if (report.error.has_value()) return std::string(to_string(report.error->kind));
  return report.special.empty() ? report.result : report.special;
}

TEST(JsonLogicTest, SubstrCutsPairsIntoUnpairedSurrogates) {
  EXPECT_EQ(eval(R"({"substr":["héllo😀x",5,1]})"), R"("\ud83d")");
  EXPECT_EQ(eval(R"({"substr":["héllo😀x",-2]})"), R"("\ude00x")");
  EXPECT_EQ(eval(R"({"cat":[{"substr":["😀",0,1]},{"substr":["😀",1,1]}]})"), R"("😀")");
  EXPECT_EQ(eval(R"({"==":[{"cat":[{"substr":["😀",0,1]},{"substr":["😀",1]}]},"😀"]})"), "true");
  EXPECT_EQ(eval(R"({"in":[{"substr":["😀",1]},"a😀"]})"), "true");
  EXPECT_EQ(eval(R"({"<":["😀",{"substr":["😀",0,1]}]})"), "false");
  EXPECT_EQ(eval(R"({"<":["😀","ﾮ"]})"), "true");
}

TEST(JsonLogicTest, KeepsWhatJsonCannotHold) {
  EXPECT_EQ(eval(R"({"and":[]})"), "undefined");
  EXPECT_EQ(eval(R"({"/":[0,0]})"), "NaN");
  EXPECT_EQ(eval(R"({"/":[1,0]})"), "Infinity");
  EXPECT_EQ(eval(R"({"/":[-1,0]})"), "-Infinity");
  EXPECT_EQ(eval(R"({"-":[0]})"), "-0");
  EXPECT_EQ(eval(R"([{"and":[]},{"/":[0,0]},{"-":[0]}])"), "[null,null,0]");
  EXPECT_EQ(eval(R"({"*":[0,-1,1]})"), "0");
}

TEST(JsonLogicTest, ComparesContainersByIdentity) {
  EXPECT_EQ(eval(R"({"==":[{"var":"o"},{"var":"o"}]})", R"({"o":{"a":1,"b":2}})"), "true");
  EXPECT_EQ(eval(R"({"==":[{"var":"o"},{"var":"p"}]})", R"({"o":[],"p":[]})"), "false");
  EXPECT_EQ(eval(R"({"===":[{"merge":[]},{"merge":[]}]})"), "false");
  EXPECT_EQ(eval(R"({"in":[{"var":"a.0"},{"var":"a"}]})", R"({"a":[[1]]})"), "true");
}

TEST(JsonLogicTest, DoesNotFindInheritedNames) {
  EXPECT_EQ(eval(R"({"var":["constructor","none"]})", "{}"), R"("none")");
  EXPECT_EQ(eval(R"({"var":["__proto__","none"]})", "{}"), R"("none")");
  EXPECT_EQ(eval(R"({"var":["a.map","none"]})", R"({"a":[]})"), R"("none")");
}

TEST(JsonLogicTest, DescendsIntoTheFunctionsOfDottedOperators) {
  EXPECT_EQ(eval(R"({"var.prototype.constructor":"a"})", R"({"a":7})"), "7");
  EXPECT_EQ(eval(R"({"var.length":1})"), "type_error");
  EXPECT_EQ(eval(R"({"missing_some.name.11":1})"), "type_error");
  EXPECT_EQ(eval(R"({"missing_some.name.12":1})"), "unrecognized_operation");
  EXPECT_EQ(eval(R"({"if.length":1})"), "unrecognized_operation");
  EXPECT_EQ(eval(R"({"var.":1})"), "unrecognized_operation");
}

TEST(JsonLogicTest, MissingRunsRulesFoundInItsKeys) {
  EXPECT_EQ(eval(R"({"missing":[{"var":"k"}]})", R"({"k":{"cat":["a","b"]},"ab":1})"), "[]");
  EXPECT_EQ(eval(R"({"missing":[{"var":"k"}]})", R"({"k":{"nope":1}})"), "unrecognized_operation");
  EXPECT_EQ(eval(R"({"missing":[{"var":"k"}]})", R"({"k":{"missing":[{"var":"k"}]}})"),
            "budget_exceeded");
}

TEST(JsonLogicTest, ReadsNumbersAsJavaScriptDoes) {
  EXPECT_EQ(eval(R"({"-":["0x1fffffffffffff8",0]})"), "144115188075855870");
  EXPECT_EQ(eval(R"({"-":["0x20000000000001",0]})"), "9007199254740992");
  EXPECT_EQ(eval(R"({"-":["0x20000000000003",0]})"), "9007199254740996");
  EXPECT_EQ(eval(R"({"-":["1e400"]})"), "-Infinity");
  EXPECT_EQ(eval(R"({"-":["1e-400",0]})"), "0");
  EXPECT_EQ(eval(R"({"-":["0.0000000001e330",0]})"), "Infinity");
  EXPECT_EQ(eval(R"({"-":["\ufeff\u20285\u00a0",0]})"), "5");
  EXPECT_EQ(eval(R"({"+":[".5x","5.","1e","-.e"]})"), "NaN");
  EXPECT_EQ(eval(R"({"+":[".5x","5.","1e","+2e1"]})"), "26.5");
}

TEST(JsonLogicTest, StopsOverItsBudget) {
  const auto doubling = parse(R"({"reduce":[{"var":""},{"cat":[{"var":"accumulator"},
      {"var":"accumulator"}]},"xxxxxxxxxxxxxxxx"]})");
  json::Array forty(40);
  EXPECT_EQ(eval_once(doubling, json::Value(forty)).error->kind, EvalError::Kind::kBudget);

  // Shared arrays: small in memory, exponential as text.
  const auto sharing = parse(R"({"cat":{"reduce":[{"var":""},[{"var":"accumulator"},
      {"var":"accumulator"}],""]}})");
  EXPECT_EQ(eval_once(sharing, json::Value(forty)).error->kind, EvalError::Kind::kBudget);

  json::Array many(1000);
  const auto squared = parse(R"({"map":[{"var":""},{"merge":[1,2,3]}]})");
  EXPECT_EQ(eval_once(squared, json::Value(many), {.steps_max = 1000}).error->kind,
            EvalError::Kind::kBudget);
}

TEST(JsonLogicTest, RefusesToCompileDeepNesting) {
  std::string deep = "1";
  for (int i = 0; i < 300; ++i) deep = R"({"!":)" + deep + "}";
  json::ParseLimits limits = json::trusted_limits();
  limits.depth_max = 1000;
  const auto rule = json::parse(deep, limits);
  ASSERT_TRUE(rule.ok());
  EXPECT_FALSE(Program::compile(*rule).ok());
}

// The scope of a reduce is one object for all elements only where nobody can tell.
TEST(JsonLogicTest, AReduceThatKeepsItsScopeGetsAFreshOneForEachElement) {
  const auto eval = [](const char* rule) {
    const auto report = eval_once(json::parse(rule).value(), json::parse(R"({"l":[1,2]})").value());
    EXPECT_FALSE(report.error.has_value()) << rule;
    return report.result;
  };
  EXPECT_EQ(eval(R"({"reduce":[{"var":"l"},{"merge":[{"var":"accumulator"},{"var":""}]},[]]})"),
            R"([{"current":1,"accumulator":[]},{"current":2,"accumulator":)"
            R"([{"current":1,"accumulator":[]}]}])");
  EXPECT_EQ(eval(R"({"reduce":[{"var":"l"},{"merge":[{"var":"accumulator"},
                      {"var":[{"cat":[]}]}]},[]]})"),
            R"([{"current":1,"accumulator":[]},{"current":2,"accumulator":)"
            R"([{"current":1,"accumulator":[]}]}])");
  // Scopes within scopes, and sources of inner operators.
  EXPECT_EQ(eval(R"({"reduce":[{"var":"l"},{"+":[{"var":"accumulator"},
                      {"reduce":[[1,{"var":"current"}],
                                 {"+":[{"var":"accumulator"},{"var":"current"}]},0]}]},0]})"),
            "5");
  EXPECT_EQ(eval(R"({"reduce":[{"var":"l"},{"merge":[{"var":"accumulator"},
                      {"map":[[{"var":"current"}],{"*":[{"var":""},10]}]}]},[]]})"),
            "[10,20]");
  EXPECT_EQ(
      eval(R"({"reduce":[{"var":"l"},{"if":[{"var":["other",7]},{"var":"current.x"},0]},9]})"),
      "null");
}

}  // namespace
}  // namespace state_engine::logic
