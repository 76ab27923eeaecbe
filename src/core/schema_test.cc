#include "core/schema.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/support/json_literal.h"

namespace state_engine {
namespace {

using ::testing::HasSubstr;
using testing::json_of;

// True if `value` satisfies `schema`.
bool accepts(std::string_view schema, std::string_view value) {
  const auto compiled = ValueSchema::compile(json_of(schema));
  EXPECT_TRUE(compiled.ok()) << (compiled.ok() ? "" : compiled.error().message);
  return compiled.ok() && !(*compiled)->check(json_of(value)).has_value();
}

// Why `schema` is refused at load; empty if it is not.
std::string refusal(std::string_view schema) {
  const auto compiled = ValueSchema::compile(json_of(schema));
  if (compiled.ok()) return "";
  EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidArgument);
  return compiled.error().message;
}

TEST(SchemaTest, ChecksEveryKeywordOfDraft7) {
  const struct {
    const char *schema, *good, *bad;
  } rows[] = {
      {R"({"type":"string"})", R"("x")", "5"},
      {R"({"type":"number"})", "1.5", R"("1.5")"},
      {R"({"type":"integer"})", "5", "5.5"},
      {R"({"type":"boolean"})", "true", R"("true")"},
      {R"({"type":"null"})", "null", "0"},
      {R"({"type":["string","null"]})", "null", "0"},
      {R"({"enum":["on","off"]})", R"("on")", R"("paused")"},
      {R"({"enum":[1,null,{"a":1}]})", R"({"a":1})", R"({"a":2})"},
      {R"({"const":"on"})", R"("on")", R"("off")"},
      {R"({"minimum":3})", "3", "2"},
      {R"({"maximum":3})", "3", "4"},
      {R"({"exclusiveMinimum":3})", "4", "3"},
      {R"({"exclusiveMaximum":3})", "2", "3"},
      {R"({"multipleOf":5})", "10", "7"},
      {R"({"minLength":2})", R"("ab")", R"("a")"},
      {R"({"maxLength":2})", R"("éé")", R"("abc")"},
      {R"({"type":"string","maxLength":9,"pattern":"^[a-z]+$"})", R"("abc")", R"("ABC")"},
      {R"({"items":{"type":"number"}})", "[1,2]", R"([1,"2"])"},
      {R"({"items":[{"type":"number"}],"additionalItems":false})", "[1]", "[1,2]"},
      {R"({"minItems":1})", "[1]", "[]"},
      {R"({"maxItems":1})", "[1]", "[1,2]"},
      {R"({"uniqueItems":true})", "[1,2]", "[1,1]"},
      {R"({"contains":{"const":1}})", "[2,1]", "[2]"},
      {R"({"required":["a"]})", R"({"a":1})", R"({"b":1})"},
      {R"({"properties":{"a":{"type":"number"}}})", R"({"a":1})", R"({"a":"1"})"},
      {R"({"properties":{"a":{}},"additionalProperties":false})", R"({"a":1})", R"({"b":1})"},
      {R"({"patternProperties":{"^n":{"type":"number"}}})", R"({"n1":1})", R"({"n1":"1"})"},
      {R"({"propertyNames":{"maxLength":2}})", R"({"ab":1})", R"({"abc":1})"},
      {R"({"minProperties":1})", R"({"a":1})", "{}"},
      {R"({"maxProperties":1})", R"({"a":1})", R"({"a":1,"b":2})"},
      {R"({"dependencies":{"a":["b"]}})", R"({"a":1,"b":2})", R"({"a":1})"},
      {R"({"allOf":[{"minimum":1},{"maximum":3}]})", "2", "4"},
      {R"({"anyOf":[{"type":"null"},{"minimum":5}]})", "6", "4"},
      {R"({"oneOf":[{"minimum":1},{"minimum":5}]})", "2", "6"},
      {R"({"not":{"type":"string"}})", "1", R"("x")"},
      {R"({"if":{"type":"string"},"then":{"maxLength":1},"else":{"minimum":5}})", "5", "4"},
      {R"({"if":{"type":"string"},"then":{"maxLength":1},"else":{"minimum":5}})", R"("x")",
       R"("xx")"},
  };
  for (const auto& row : rows) {
    EXPECT_TRUE(accepts(row.schema, row.good)) << row.schema << " refuses " << row.good;
    EXPECT_FALSE(accepts(row.schema, row.bad)) << row.schema << " accepts " << row.bad;
  }
}

TEST(SchemaTest, TrueAcceptsAndFalseRefusesEverything) {
  EXPECT_TRUE(accepts("true", "1"));
  EXPECT_FALSE(accepts("false", "1"));
  EXPECT_TRUE(accepts("{}", "null"));
}

TEST(SchemaTest, SaysWhereAValueIsWrong) {
  const auto schema =
      ValueSchema::compile(json_of(R"({"properties":{"count":{"type":"number"}}})"));
  ASSERT_TRUE(schema.ok());
  const auto fault = (*schema)->check(json_of(R"({"count":"many"})"));
  ASSERT_TRUE(fault);
  EXPECT_THAT(*fault, HasSubstr("count"));
}

TEST(SchemaTest, RefusesUnknownKeywordsWithTheirPath) {
  EXPECT_THAT(refusal(R"({"typo":1})"), HasSubstr("/typo"));
  EXPECT_THAT(refusal(R"({"properties":{"a":{"items":{"formt":"x"}}}})"),
              HasSubstr("/properties/a/items/formt"));
  EXPECT_THAT(refusal(R"({"anyOf":[{},{"format":"date"}]})"), HasSubstr("/anyOf/1/format"));
  EXPECT_THAT(refusal(R"({"$defs":{}})"), HasSubstr("$defs"));
}

TEST(SchemaTest, AnnotationsAreKnownAndPropertyNamesAreNotKeywords) {
  EXPECT_EQ(refusal(R"({"title":"t","description":"d","default":1,"examples":[1],"$comment":"c",
                        "properties":{"typo":{},"format":{}}})"),
            "");
}

TEST(SchemaTest, RefusesWhatIsNoSchema) {
  EXPECT_NE(refusal("5"), "");
  EXPECT_NE(refusal(R"({"items":5})"), "");
  EXPECT_NE(refusal(R"({"anyOf":{}})"), "");
  EXPECT_NE(refusal(R"({"properties":[]})"), "");
  EXPECT_NE(refusal(R"({"type":"integr"})"), "");
  EXPECT_NE(refusal(R"({"type":5})"), "");
  EXPECT_NE(refusal(R"({"required":"a"})"), "");
  EXPECT_NE(refusal(R"({"enum":5})"), "");
}

TEST(SchemaTest, APatternNeedsABoundOnItsInput) {
  EXPECT_THAT(refusal(R"({"pattern":"^a"})"), HasSubstr("maxLength"));
  EXPECT_THAT(refusal(R"({"pattern":"^a","maxLength":1025})"), HasSubstr("maxLength"));
  EXPECT_THAT(refusal(R"({"items":{"pattern":"^a"}})"), HasSubstr("/items/pattern"));
  EXPECT_EQ(refusal(R"({"pattern":"^a","maxLength":1024})"), "");
}

TEST(SchemaTest, RefusesAPatternThatIsNoRegularExpressionAtLoad) {
  EXPECT_THAT(refusal(R"({"pattern":"(","maxLength":9})"), HasSubstr("/pattern"));
  EXPECT_THAT(refusal(R"({"pattern":5,"maxLength":9})"), HasSubstr("/pattern"));
  EXPECT_THAT(refusal(R"({"patternProperties":{"[":{}}})"), HasSubstr("/patternProperties"));
}

TEST(SchemaTest, LongStringsNeverReachTheRegularExpression) {
  // Quadratic at best and recursive in std::regex: 200 KiB would overflow the stack.
  const auto schema =
      ValueSchema::compile(json_of(R"({"items":{"pattern":"^(a|b)*$","maxLength":1024}})"));
  ASSERT_TRUE(schema.ok());
  const json::Value value = json::Array{std::string(200'000, 'a')};
  const auto fault = (*schema)->check(value);
  ASSERT_TRUE(fault);
  EXPECT_THAT(*fault, HasSubstr("1024"));
  json::Object names;
  names[std::string(2000, 'a')] = 1;
  EXPECT_TRUE((*schema)->check(names));
  EXPECT_FALSE((*schema)->check(json::Array{std::string(1000, 'a')}));
}

TEST(SchemaTest, FollowsReferencesInsideTheSchemaOnly) {
  const char* schema =
      R"({"definitions":{"n":{"type":"number"}},"items":{"$ref":"#/definitions/n"}})";
  EXPECT_TRUE(accepts(schema, "[1]"));
  EXPECT_FALSE(accepts(schema, R"(["1"])"));
  EXPECT_THAT(refusal(R"({"$ref":"other.json"})"), HasSubstr("$ref"));
  EXPECT_THAT(refusal(R"({"$ref":"https://example.com/schema#"})"), HasSubstr("$ref"));
  EXPECT_THAT(refusal(R"({"$ref":5})"), HasSubstr("$ref"));
  EXPECT_NE(refusal(R"({"$ref":"#/definitions/none"})"), "");
}

TEST(SchemaTest, FollowsRecursiveReferences) {
  const char* tree = R"({"type":"object","required":["name"],
                         "properties":{"name":{"type":"string"},"child":{"$ref":"#"}}})";
  EXPECT_TRUE(accepts(tree, R"({"name":"a","child":{"name":"b","child":{"name":"c"}}})"));
  EXPECT_FALSE(accepts(tree, R"({"name":"a","child":{"name":"b","child":{"name":3}}})"));
}

TEST(SchemaTest, RefusesAReferenceThatLeadsOnlyToItself) {
  EXPECT_NE(refusal(R"({"$ref":"#"})"), "");
  EXPECT_NE(
      refusal(R"({"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}},
                        "$ref":"#/definitions/a"})"),
      "");
  EXPECT_NE(refusal(R"({"allOf":[{"$ref":"#"}]})"), "");
}

}  // namespace
}  // namespace state_engine
