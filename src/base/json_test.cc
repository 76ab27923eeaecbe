#include "base/json.h"

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace state_engine::json {
namespace {

using ::testing::HasSubstr;

Value must_parse(std::string_view text) {
  auto result = parse(text);
  EXPECT_TRUE(result.ok()) << text << ": " << (result.ok() ? "" : result.error().message);
  return result.ok() ? *result : Value{};
}

// The error of `text`, which must be refused.
Error refusal(std::string_view text, const ParseLimits& parse_limits = {}) {
  auto result = parse(text, parse_limits);
  EXPECT_FALSE(result.ok()) << "accepted: " << text.substr(0, 80);
  return result.ok() ? Error{} : result.error();
}

std::string repeat(std::string_view part, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part;
  return out;
}

TEST(JsonParseTest, ReadsEveryKindOfValue) {
  const Value value =
      must_parse(" {\"a\": [1, -2.5, true, false, null, \"x\"],\n\t\"b\": {}, \"c\": []} ");
  EXPECT_EQ(write(value), R"({"a":[1,-2.5,true,false,null,"x"],"b":{},"c":[]})");
}

TEST(JsonParseTest, KeepsIntegersExactToTheEdgesOfInt64AndUint64) {
  EXPECT_EQ(must_parse("9223372036854775807").get_int64(), INT64_MAX);
  EXPECT_EQ(must_parse("-9223372036854775808").get_int64(), INT64_MIN);
  EXPECT_EQ(must_parse("9223372036854775808").get_uint64(), 9223372036854775808ULL);
  EXPECT_EQ(must_parse("18446744073709551615").get_uint64(), UINT64_MAX);
  EXPECT_EQ(must_parse("18446744073709551616").get_double(), 18446744073709551616.0);
  EXPECT_EQ(must_parse("-9223372036854775809").get_double(), -9223372036854775808.0);
  EXPECT_EQ(must_parse("9007199254740993").get_int64(), 9007199254740993);
}

TEST(JsonParseTest, ReadsMinusZeroAsADouble) {
  EXPECT_TRUE(std::signbit(must_parse("-0").get_double()));
  EXPECT_TRUE(std::signbit(must_parse("-0.0").get_double()));
  EXPECT_EQ(write(must_parse("-0")), "0");
}

TEST(JsonParseTest, ReadsSeventeenDigitDoublesExactly) {
  // Numbers that boost::json::parse of 1.81 misreads by one unit in the last place.
  EXPECT_EQ(must_parse("0.30000000000000004").get_double(), 0.1 + 0.2);
  EXPECT_EQ(must_parse("6.0221407599999999e23").get_double(), 6.0221407599999999e23);
  EXPECT_EQ(must_parse("2.2250738585072011e-308").get_double(), 2.2250738585072011e-308);
  EXPECT_EQ(must_parse("5e-324").get_double(), 5e-324);
  EXPECT_EQ(must_parse("1.7976931348623157e308").get_double(), std::numeric_limits<double>::max());
}

TEST(JsonParseTest, RefusesNumbersBeyondADoubleAndRoundsTinyOnesToZero) {
  for (const std::string& text : {std::string{"1e999"}, std::string{"-1e999"},
                                  "1" + repeat("0", 400), "1" + repeat("0", 400) + "e-10",
                                  std::string{"0.1e400"}, std::string{"1e99999999999999999999"}}) {
    EXPECT_THAT(refusal(text).message, HasSubstr("beyond what a double can hold"));
  }
  for (const std::string& text :
       {std::string{"1e-999"}, std::string{"0e999"}, "0." + repeat("0", 400) + "1",
        "0." + repeat("0", 400) + "1e+10", std::string{"1e-99999999999999999999"}}) {
    EXPECT_EQ(must_parse(text).get_double(), 0.0) << text;
  }
  EXPECT_TRUE(std::signbit(must_parse("-1e-999").get_double()));
}

TEST(JsonParseTest, RefusesMalformedNumbersAndSaysWhatItExpected) {
  EXPECT_EQ(refusal("01").message,
            "JSON, byte 1: expected no digit after a leading zero, found '1'");
  EXPECT_EQ(refusal("-").message,
            "JSON, byte 1: expected a digit after '-', found the end of the text");
  EXPECT_EQ(refusal("1.").message,
            "JSON, byte 2: expected a digit after the decimal point, found the end of the text");
  EXPECT_EQ(refusal("[1e+]").message, "JSON, byte 4: expected a digit in the exponent, found ']'");
  for (const char* text : {"+1", ".5", "0x10", "NaN", "Infinity", "-Infinity", "1,000", "1_000"}) {
    EXPECT_EQ(refusal(text).code, ErrorCode::kInvalidArgument) << text;
  }
}

TEST(JsonParseTest, NamesThePlaceAndTheExpectationOfEveryError) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "JSON, byte 0: expected a value, found the end of the text"},
      {"  ", "JSON, byte 2: expected a value, found the end of the text"},
      {"{\"a\":1,}", "JSON, byte 7: expected a member name in double quotes, found '}'"},
      {"{a:1}", "JSON, byte 1: expected a member name in double quotes, found 'a'"},
      {"{\"a\" 1}", "JSON, byte 5: expected ':' after a member name, found '1'"},
      {"{\"a\":1 \"b\":2}", "JSON, byte 7: expected ',' or '}' after a member, found '\"'"},
      {"[1 2]", "JSON, byte 3: expected ',' or ']' after an element, found '2'"},
      {"[1,]", "JSON, byte 3: expected a value, found ']'"},
      {"[1", "JSON, byte 2: expected ',' or ']' after an element, found the end of the text"},
      {"{} {}", "JSON, byte 3: expected nothing more after the value, found '{'"},
      {"tru", "JSON, byte 3: expected the literal true, found the end of the text"},
      {"nulL", "JSON, byte 3: expected the literal null, found 'L'"},
      {"\"abc", "JSON, byte 4: expected '\"' at the end of a string, found the end of the text"},
      {"'a'", "JSON, byte 0: expected a value, found '''"},
      {"\"\\x\"", "JSON, byte 2: expected one of \"\\/bfnrtu after '\\', found 'x'"},
      {"\"\\u12g4\"", "JSON, byte 5: expected four hexadecimal digits after \\u, found 'g'"},
      {"\"\\u12",
       "JSON, byte 5: expected four hexadecimal digits after \\u, found the end of the "
       "text"},
      {"// x\n1", "JSON, byte 0: expected a value, found '/'"},
  };
  for (const auto& [text, message] : cases) {
    const Error error = refusal(text);
    EXPECT_EQ(error.message, message);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  }
}

TEST(JsonParseTest, RefusesNulBytesAndByteOrderMarks) {
  using namespace std::string_view_literals;
  EXPECT_EQ(refusal("1\0"sv).message,
            "JSON, byte 1: expected nothing more after the value, found byte 0x00");
  EXPECT_EQ(refusal("\0"sv).message, "JSON, byte 0: expected a value, found byte 0x00");
  EXPECT_THAT(refusal("\"a\0b\""sv).message, HasSubstr("write it as \\u0000"));
  EXPECT_THAT(refusal("\"a\nb\"").message, HasSubstr("write it as \\u000a"));
  EXPECT_THAT(refusal("\xEF\xBB\xBF{}").message, HasSubstr("byte order mark"));
  EXPECT_EQ(must_parse("\"a\\u0000b\"").get_string(), "a\0b"sv);
}

TEST(JsonParseTest, RefusesDuplicateMemberNamesAtAnyDepth) {
  EXPECT_EQ(refusal(R"({"a":1,"a":2})").message,
            "JSON, byte 7: the member name 'a' occurs twice in one object");
  EXPECT_THAT(refusal(R"([[{"x":{"k":1,"other":2,"\u006b":3}}]])").message, HasSubstr("'k'"));
  EXPECT_EQ(write(must_parse(R"({"a":{"a":1},"b":{"a":2}})")), R"({"a":{"a":1},"b":{"a":2}})");
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_THAT(refusal(many + "\"k17\":0}").message, HasSubstr("'k17' occurs twice"));
}

TEST(JsonParseTest, BoundsDepthNodesStringsAndBytes) {
  EXPECT_TRUE(parse(repeat("[", 64) + repeat("]", 64)).ok());
  const Error deep = refusal(repeat("[", 65) + repeat("]", 65));
  EXPECT_EQ(deep.code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(deep.message, "JSON, byte 64: nested 65 levels deep; the limit is 64");
  EXPECT_EQ(refusal(repeat("{\"a\":", 500'000), trusted_limits()).code,
            ErrorCode::kResourceExhausted);

  EXPECT_TRUE(parse("[" + repeat("0,", 9998) + "0]").ok());
  const Error nodes = refusal("[" + repeat("0,", 9999) + "0]");
  EXPECT_EQ(nodes.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(nodes.message, HasSubstr("more than 10000 values"));

  const Error string = refusal("\"" + repeat("x", 262'145) + "\"");
  EXPECT_EQ(string.code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(string.message, "JSON, byte 0: a string of 262145 bytes; the limit is 262144");
  EXPECT_TRUE(parse("\"" + repeat("x", 262'144) + "\"").ok());

  const Error bytes = refusal(repeat(" ", 1024 * 1024) + "1");
  EXPECT_EQ(bytes.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(bytes.message, HasSubstr("1048577 bytes; the limit is 1048576"));
}

TEST(JsonParseTest, TrustedLimitsBoundDepthOnly) {
  EXPECT_TRUE(parse("[" + repeat("0,", 50'000) + "0]", trusted_limits()).ok());
  EXPECT_TRUE(parse(repeat("[", 1024) + repeat("]", 1024), trusted_limits()).ok());
}

TEST(JsonParseTest, DecodesEscapesAndSurrogatePairs) {
  EXPECT_EQ(must_parse(R"("\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\ude00")").get_string(),
            "\"\\/\b\f\n\r\tä€😀");
  EXPECT_EQ(must_parse("\"ä€😀\"").get_string(), "ä€😀");
}

TEST(JsonParseTest, RefusesLoneSurrogates) {
  EXPECT_EQ(refusal(R"("ab\ud800")").message,
            "JSON, byte 3: a high surrogate without the low one behind it is no character");
  EXPECT_THAT(refusal(R"("\ud800\u0041")").message, HasSubstr("high surrogate"));
  EXPECT_THAT(refusal(R"("\ud800\n")").message, HasSubstr("high surrogate"));
  EXPECT_EQ(refusal(R"("\udc00")").message,
            "JSON, byte 1: a low surrogate without the high one before it is no character");
}

TEST(JsonParseTest, RefusesBadUtf8InValuesAndNames) {
  for (const char* bad :
       {"\x80", "\xC0\xAF", "\xC3", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82"}) {
    const std::string text = std::string{"abcdefghijkl"} + bad;
    EXPECT_FALSE(is_utf8(text));
    EXPECT_THAT(refusal("\"" + text + "\"").message, HasSubstr("JSON, byte 13: expected UTF-8"));
    EXPECT_THAT(refusal("{\"" + text + "\":1}").message, HasSubstr("expected UTF-8"));
  }
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain ascii, ä€😀\xF4\x8F\xBF\xBF"));
}

TEST(JsonParseTest, RefusesEveryTruncationOfAText) {
  const std::string text = R"({"a":[1,-2.5e3,"x\u20ac\n"],"b":{"c":null,"d":true}})";
  ASSERT_TRUE(parse(text).ok());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse(text.substr(0, size)).ok()) << size;
  }
}

// Boost's parser is an independent judge of the grammar (not of numbers and not of our limits).
TEST(JsonParseTest, AcceptsAndRefusesDamagedTextsAsBoostDoes) {
  const std::string text =
      R"({"a":[10,-2.5e3,"x\u20ac\n\\"],"b":{"c":null,"d":true,"é":[]}, "e":""})";
  static constexpr std::string_view kBytes = "{}[]\",:0123456789eE+-.\\ntfu \x01\x7F\x80\xC3";
  SeededRandom random(20261122);
  int accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string damaged = text;
    for (std::uint64_t edit = random.below(3) + 1; edit > 0; --edit) {
      const std::size_t at = random.below(damaged.size());
      if (random.below(2) == 0) {
        damaged.erase(at, 1);
      } else {
        damaged[at] = kBytes[random.below(kBytes.size())];
      }
    }
    const auto ours = parse(damaged);
    if (!ours.ok() && (ours.error().message.find("twice") != std::string::npos ||
                       ours.error().message.find("beyond what a double") != std::string::npos)) {
      continue;
    }
    boost::system::error_code error;
    const Value theirs = boost::json::parse(damaged, error);
    ASSERT_EQ(ours.ok(), !error) << damaged << "\n"
                                 << (ours.ok() ? error.message() : ours.error().message);
    accepted += ours.ok() ? 1 : 0;
  }
  EXPECT_GT(accepted, 10'000);
}

TEST(JsonWriteTest, LaysNumbersOutAsEcmaScriptDoes) {
  const std::vector<std::pair<double, std::string>> cases = {
      {0.0, "0"},
      {-0.0, "0"},
      {1.0, "1"},
      {-1.0, "-1"},
      {1.5, "1.5"},
      {-1.5, "-1.5"},
      {100, "100"},
      {0.1, "0.1"},
      {0.000001, "0.000001"},
      {0.0000015, "0.0000015"},
      {1e-7, "1e-7"},
      {1.5e-7, "1.5e-7"},
      {123456.789, "123456.789"},
      {1e20, "100000000000000000000"},
      {1e21, "1e+21"},
      {1.25e21, "1.25e+21"},
      {-1e21, "-1e+21"},
      {1e100, "1e+100"},
      {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {0.1 + 0.2, "0.30000000000000004"},
      {9007199254740991.0, "9007199254740991"},
      {123456789012345680000.0, "123456789012345680000"},
      {4.35, "4.35"},
      {0.00001234, "0.00001234"},
      {2.5e-300, "2.5e-300"},
  };
  for (const auto& [number, text] : cases) {
    EXPECT_EQ(number_to_string(number), text);
    EXPECT_EQ(write(Value(number)), text);
  }
  EXPECT_EQ(number_to_string(std::nan("")), "NaN");
  EXPECT_EQ(number_to_string(-std::numeric_limits<double>::infinity()), "-Infinity");
  EXPECT_EQ(write(Value(std::nan(""))), "null");
  EXPECT_EQ(write(Value(std::numeric_limits<double>::infinity())), "null");
}

TEST(JsonWriteTest, WritesLargeIntegralDoublesSoThatReadingGivesTheSameNumber) {
  EXPECT_EQ(number_to_string(1000000000000000128.0), "1000000000000000100");
  for (const double number : {1000000000000000128.0, -1000000000000000128.0, 9007199254740994.0,
                              9223372036854775808.0, -9223372036854775808.0, 18446744073709549568.0,
                              18446744073709551616.0, -9223372036854777856.0}) {
    EXPECT_TRUE(equal(must_parse(write(Value(number))), Value(number))) << write(Value(number));
  }
}

// The exactness claim of docs/adr/0003: any double, written and read, is the same double.
TEST(JsonWriteTest, RoundTripsAMillionRandomDoubles) {
  SeededRandom random(17);
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto number = std::bit_cast<double>(random.next());
    if (!std::isfinite(number)) continue;
    text.clear();
    write_to(text, Value(number));
    const auto back = parse(text);
    ASSERT_TRUE(back.ok()) << text;
    ASSERT_EQ(back->to_number<double>(), number) << text;
  }
}

TEST(JsonWriteTest, RoundTripsSeventeenDigitTexts) {
  SeededRandom random(18);
  for (int i = 0; i < 100'000; ++i) {
    const auto number = std::bit_cast<double>(random.next());
    if (!std::isfinite(number)) continue;
    char text[64];
    std::snprintf(text, sizeof text, "%.17e", number);
    ASSERT_EQ(must_parse(text).get_double(), number) << text;
  }
}

TEST(JsonWriteTest, EscapesWhatMustBeEscapedAndNothingElse) {
  using namespace std::string_view_literals;
  std::string out;
  write_string_to(out, "\"\\/\b\f\n\r\t\x01\x1F\x7F ä€😀\0z"sv);
  EXPECT_EQ(out, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F ä€😀\\u0000z\"");
  EXPECT_EQ(must_parse(out).get_string(), "\"\\/\b\f\n\r\t\x01\x1F\x7F ä€😀\0z"sv);
}

TEST(JsonWriteTest, EscapesAtEveryPlaceOfALongText) {
  for (const std::string_view special :
       {"\"", "\\", "\n", "\x01", "\x1f", "\x7f", "\"\"", "\xc3\xa4"}) {
    const std::string escaped = write(Value(special));
    const std::string_view inner = std::string_view(escaped).substr(1, escaped.size() - 2);
    for (std::size_t length = 0; length < 70; ++length) {
      for (std::size_t at = 0; at <= length; ++at) {
        const std::string before(at, 'a');
        const std::string after(length - at, 'b');
        std::string expected = "\"";
        expected.append(before).append(inner).append(inner).append(after).append("\"");
        std::string text = before;
        text.append(special).append(special).append(after);
        ASSERT_EQ(write(Value(text)), expected);
      }
    }
  }
  EXPECT_EQ(write(Value(std::string(5000, '\x02'))).size(), 2 + 6 * 5000U);
}

TEST(JsonWriteTest, CanonicalTextIsTheSameForEqualValues) {
  const Value a = must_parse(R"({"b":1.0,"a":{"y":1e2,"x":[0.5]},"ä":-0.0})");
  const Value b = must_parse(R"({"ä":0,"a":{"x":[5e-1],"y":100},"b":1})");
  EXPECT_TRUE(equal(a, b));
  EXPECT_EQ(write_canonical(a), R"({"a":{"x":[0.5],"y":100},"b":1,"ä":0})");
  EXPECT_EQ(write_canonical(a), write_canonical(b));
  EXPECT_EQ(write_canonical(Value(1000000000000000128.0)),
            write_canonical(Value(std::int64_t{1000000000000000128})));
}

TEST(JsonWriteTest, PrettyTextIsIndentedByTwo) {
  EXPECT_EQ(write_pretty(must_parse(R"({"a":[1,{"b":{}}],"c":[]})")),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": {}\n    }\n  ],\n  \"c\": []\n}");
}

TEST(JsonWriteTest, CountsTheBytesThatItWrites) {
  for (const char* text :
       {"null", "[]", R"({"a":[1,-2.5,1e-9,"x\n\u20ac\u0001"],"b":{"c":true}})"}) {
    const Value value = must_parse(text);
    EXPECT_EQ(written_bytes(value), write(value).size());
  }
}

TEST(JsonEqualTest, ComparesNumbersByTheirMathematicalValue) {
  EXPECT_TRUE(equal(Value(std::int64_t{1}), Value(1.0)));
  EXPECT_TRUE(equal(Value(std::uint64_t{7}), Value(std::int64_t{7})));
  EXPECT_TRUE(equal(Value(0.0), Value(-0.0)));
  EXPECT_FALSE(equal(Value(std::int64_t{9007199254740993}), Value(9007199254740992.0)));
  EXPECT_FALSE(equal(Value(std::int64_t{-1}), Value(UINT64_MAX)));
  EXPECT_FALSE(equal(Value(INT64_MAX), Value(9223372036854775808.0)));
  EXPECT_FALSE(equal(Value(1.5), Value(std::int64_t{1})));
}

TEST(JsonEqualTest, IgnoresMemberOrderButNotElementOrder) {
  EXPECT_TRUE(equal(must_parse(R"({"a":1,"b":[2]})"), must_parse(R"({"b":[2],"a":1})")));
  EXPECT_FALSE(equal(must_parse("[1,2]"), must_parse("[2,1]")));
  EXPECT_FALSE(equal(must_parse("[1]"), must_parse("[1,1]")));
  EXPECT_FALSE(equal(must_parse(R"({"a":1})"), must_parse(R"({"b":1})")));
  EXPECT_FALSE(equal(must_parse(R"({"a":1})"), must_parse(R"({"a":1,"b":1})")));
  EXPECT_FALSE(equal(must_parse("\"1\""), must_parse("1")));
  EXPECT_FALSE(equal(must_parse("null"), must_parse("false")));
}

TEST(JsonFindTest, TellsAbsentFromWrongType) {
  const Value value =
      must_parse(R"({"s":"text","n":3.0,"f":1.5,"z":null,"u":18446744073709551615})");
  const Object& object = value.get_object();
  EXPECT_EQ(find(object, "absent"), nullptr);
  ASSERT_NE(find(object, "z"), nullptr);
  EXPECT_EQ(type_name(*find(object, "z")), "null");
  EXPECT_EQ(find_string(object, "s"), "text");
  EXPECT_EQ(find_string(object, "n"), std::nullopt);
  EXPECT_EQ(find_int(object, "n"), 3);
  EXPECT_EQ(find_int(object, "f"), std::nullopt);
  EXPECT_EQ(find_int(object, "u"), std::nullopt);
  EXPECT_EQ(as_int64(Value(-9223372036854775808.0)), INT64_MIN);
  EXPECT_EQ(as_int64(Value(9223372036854775808.0)), std::nullopt);
}

}  // namespace
}  // namespace state_engine::json
