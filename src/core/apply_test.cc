#include "core/apply.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/support/json_literal.h"

namespace state_engine {
namespace {

using testing::json_of;
using testing::operator""_json;

// The value after `op`, as JSON; "gone" if deleted; else the rejection code.
std::string outcome_of(Op op, std::optional<json::Value> current,
                       std::optional<json::Value> operand) {
  const auto outcome = apply_op(op, current ? &*current : nullptr, operand);
  if (const auto* fault = std::get_if<ApplyFault>(&outcome)) {
    EXPECT_FALSE(fault->message.empty());
    return std::string(to_string(fault->code));
  }
  const auto& applied = std::get<Applied>(outcome);
  return applied.deleted ? "gone" : json::write_canonical(applied.value);
}

constexpr std::nullopt_t kMissing = std::nullopt;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

json::Value nested(int depth) {
  json::Value value = 1;
  for (int i = 0; i < depth; ++i) value = json::Array{std::move(value)};
  return value;
}

TEST(ApplyTest, SetCreatesAndReplacesWithAnyType) {
  EXPECT_EQ(outcome_of(Op::kSet, kMissing, "on"), "\"on\"");
  EXPECT_EQ(outcome_of(Op::kSet, "off", R"({"a":[1,2]})"_json), R"({"a":[1,2]})");
  EXPECT_EQ(outcome_of(Op::kSet, 1, nullptr), "null");
}

TEST(ApplyTest, DeleteAndExpireLeaveNothing) {
  EXPECT_EQ(outcome_of(Op::kDelete, 1, kMissing), "gone");
  EXPECT_EQ(outcome_of(Op::kDelete, nullptr, kMissing), "gone");  // null is a value
  EXPECT_EQ(outcome_of(Op::kExpire, kMissing, kMissing), "gone");
}

TEST(ApplyTest, DeleteOfAnAbsentKeyIsNotFound) {
  EXPECT_EQ(outcome_of(Op::kDelete, kMissing, kMissing), "not_found");
}

TEST(ApplyTest, IncrementStartsAtZeroAndKeepsIntegersExact) {
  EXPECT_EQ(outcome_of(Op::kIncrement, kMissing, 5), "5");
  EXPECT_EQ(outcome_of(Op::kIncrement, 40, 2), "42");
  EXPECT_EQ(outcome_of(Op::kIncrement, 9007199254740993, -1), "9007199254740992");
  EXPECT_EQ(outcome_of(Op::kIncrement, kMax - 1, 1), std::to_string(kMax));
  EXPECT_EQ(outcome_of(Op::kIncrement, kMin + 1, -1), std::to_string(kMin));
}

TEST(ApplyTest, IncrementRefusesIntegerOverflow) {
  EXPECT_EQ(outcome_of(Op::kIncrement, kMax, 1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, kMin, -1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, 1, "9223372036854775808"_json), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, "18446744073709551615"_json, 1), "type_mismatch");
}

TEST(ApplyTest, IncrementWithADoubleGivesADouble) {
  EXPECT_EQ(outcome_of(Op::kIncrement, 1, 0.5), "1.5");
  EXPECT_EQ(outcome_of(Op::kIncrement, 1.5, 1), "2.5");
  EXPECT_EQ(outcome_of(Op::kIncrement, kMissing, 0.25), "0.25");
  EXPECT_EQ(outcome_of(Op::kIncrement, 0.1, 0.2), "0.30000000000000004");
  EXPECT_EQ(outcome_of(Op::kIncrement, 1.7e308, 1.7e308), "type_mismatch");
}

// What the log gives when it is folded again is made of the texts: both must come to the same.
TEST(ApplyTest, IncrementOfAValueIsThatOfItsStoredText) {
  const std::vector<json::Value> values = {json::Value(1.0),
                                           json::Value(0.5),
                                           json::Value(9007199254740991.0),
                                           json::Value(1e16),
                                           json::Value(-1e16),
                                           json::Value(1e19),
                                           json::Value(2e19),
                                           json::Value(-1e19),
                                           json::Value(1e300),
                                           json::Value(kMax),
                                           json::Value(kMin),
                                           json::Value(-0.0),
                                           json::Value(9223372036854775808.0),
                                           "18446744073709551615"_json};
  for (const json::Value& value : values) {
    const json::Value stored = json::parse(json::write(value)).value();
    for (const json::Value& by : {json::Value(1), json::Value(2.0), json::Value(1.5)}) {
      SCOPED_TRACE(json::write(value) + " and " + json::write(by));
      EXPECT_EQ(outcome_of(Op::kIncrement, value, by), outcome_of(Op::kIncrement, stored, by));
      EXPECT_EQ(outcome_of(Op::kIncrement, by, value), outcome_of(Op::kIncrement, by, stored));
    }
  }
  EXPECT_EQ(outcome_of(Op::kIncrement, 1e16, 1), "10000000000000001");
}

TEST(ApplyTest, IncrementNeedsNumbersOnBothSides) {
  EXPECT_EQ(outcome_of(Op::kIncrement, "5", 1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, 5, "1"), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, nullptr, 1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kIncrement, true, 1), "type_mismatch");
}

TEST(ApplyTest, PushAppendsOneElement) {
  EXPECT_EQ(outcome_of(Op::kPush, kMissing, 1), "[1]");
  EXPECT_EQ(outcome_of(Op::kPush, "[1]"_json, "[2,3]"_json), "[1,[2,3]]");
  EXPECT_EQ(outcome_of(Op::kPush, "[1]"_json, nullptr), "[1,null]");
}

TEST(ApplyTest, PushNeedsAnArray) {
  EXPECT_EQ(outcome_of(Op::kPush, "{}"_json, 1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kPush, "text", 1), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kPush, nullptr, 1), "type_mismatch");
}

TEST(ApplyTest, MergeNeedsObjects) {
  EXPECT_EQ(outcome_of(Op::kMerge, kMissing, R"({"a":1,"b":null})"_json), R"({"a":1})");
  EXPECT_EQ(outcome_of(Op::kMerge, "[1]"_json, R"({"a":1})"_json), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kMerge, R"({"a":1})"_json, "[1]"_json), "type_mismatch");
  EXPECT_EQ(outcome_of(Op::kMerge, kMissing, "text"), "type_mismatch");
}

TEST(ApplyTest, MergeFollowsTheExamplesOfRfc7396) {
  // Appendix A, the rows whose target and patch are both objects.
  const struct {
    std::string_view target, patch, expected;
  } rows[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(outcome_of(Op::kMerge, json_of(row.target), json_of(row.patch)), row.expected)
        << row.target << " patched with " << row.patch;
  }
}

TEST(ApplyTest, AGrowingValueStaysWithinTheByteLimit) {
  const json::Value half(std::string(limits::kValueBytesMax / 2, 'x'));
  EXPECT_EQ(outcome_of(Op::kPush, json::Array{half}, half), "too_large");
  EXPECT_EQ(outcome_of(Op::kMerge, json::Object{{"a", half}}, json::Object{{"b", half}}),
            "too_large");
  EXPECT_NE(outcome_of(Op::kMerge, json::Object{{"a", half}}, json::Object{{"a", 1}}), "too_large");
}

TEST(ApplyTest, AGrowingValueStaysWithinTheDepthLimit) {
  EXPECT_NE(outcome_of(Op::kPush, json::Array{}, nested(limits::kJsonDepthMax - 1)), "too_large");
  EXPECT_EQ(outcome_of(Op::kPush, json::Array{}, nested(limits::kJsonDepthMax)), "too_large");
  EXPECT_EQ(outcome_of(Op::kSet, kMissing, nested(limits::kJsonDepthMax + 1)), "too_large");
}

TEST(ApplyTest, AGrowingValueStaysReadableAsOneProposal) {
  // What get_state shows can be set again: the input parser takes this many values.
  json::Array full(limits::kJsonNodesMax - 2);
  EXPECT_TRUE(outcome_of(Op::kPush, full, 1) != "too_large");
  full.push_back(1);
  EXPECT_TRUE(outcome_of(Op::kPush, full, 1) == "too_large");
}

TEST(ApplyTest, DoesNotTouchItsInputs) {
  const json::Value current = R"({"a":{"b":1}})"_json;
  const std::optional<json::Value> patch = R"({"a":{"c":2}})"_json;
  (void)apply_op(Op::kMerge, &current, patch);
  EXPECT_EQ(json::write_canonical(current), R"({"a":{"b":1}})");
  EXPECT_EQ(json::write_canonical(*patch), R"({"a":{"c":2}})");
}

}  // namespace
}  // namespace state_engine
