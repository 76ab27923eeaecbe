#include "config/yaml_document.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace state_engine::config {
namespace {

std::string read(std::string_view text) {
  std::vector<YamlFault> faults;
  const YamlDocument document = YamlDocument::parse(text, faults);
  EXPECT_TRUE(faults.empty()) << faults.front().message;
  return json::write(document.value());
}

std::vector<std::string> faults_of(std::string_view text) {
  std::vector<YamlFault> faults;
  YamlDocument::parse(text, faults);
  std::vector<std::string> out;
  for (const YamlFault& fault : faults) {
    out.push_back(std::to_string(fault.position.line) + ": " + fault.message);
  }
  return out;
}

TEST(YamlDocumentTest, OnlyTrueAndFalseAreBooleans) {
  EXPECT_EQ(read("[true, false, on, off, yes, no, y, n]"),
            R"([true,false,"on","off","yes","no","y","n"])");
}

TEST(YamlDocumentTest, ReadsNumbersOfTheCoreSchema) {
  EXPECT_EQ(read("[0, -7, +7, 0x1F, 0o17, 1.5, .5, 1., 1e3, 12345678901234567890]"),
            "[0,-7,7,31,15,1.5,0.5,1,1000,12345678901234567890]");
}

TEST(YamlDocumentTest, LeavesWhatOnlyLooksLikeANumberAString) {
  EXPECT_EQ(read("[1_000, 0b1, 1:30, 1.2.3, 0x, 0x-1, e3, '+', 2026-11-22, -]"),
            R"(["1_000","0b1","1:30","1.2.3","0x","0x-1","e3","+","2026-11-22","-"])");
}

TEST(YamlDocumentTest, QuotedScalarsAreStrings) {
  EXPECT_EQ(read(R"(["1", 'true', "null", "", "\u00e9"])"), R"(["1","true","null","","é"])");
}

TEST(YamlDocumentTest, ReadsNulls) {
  EXPECT_EQ(read("{a: , b: ~, c: null}"), R"({"a":null,"b":null,"c":null})");
}

TEST(YamlDocumentTest, ReadsJson) {
  EXPECT_EQ(read(R"({"a":{"b":[1,"x",true]}})"), R"({"a":{"b":[1,"x",true]}})");
}

TEST(YamlDocumentTest, AliasesRepeatTheirAnchor) {
  EXPECT_EQ(read("a: &x {k: [1]}\nb: *x\n"), R"({"a":{"k":[1]},"b":{"k":[1]}})");
}

TEST(YamlDocumentTest, MergesMapsAndPrefersExplicitMembers) {
  EXPECT_EQ(read("base: &b {k: 1, l: 2}\nmine:\n  <<: *b\n  l: 3\n"),
            R"({"base":{"k":1,"l":2},"mine":{"k":1,"l":3}})");
}

TEST(YamlDocumentTest, RefusesDuplicateKeysAndNamesBothLines) {
  EXPECT_THAT(faults_of("a: 1\nb: 2\na: 3\n"),
              testing::ElementsAre("3: 'a' appears twice; the first is at line 1"));
}

TEST(YamlDocumentTest, RefusesInfinitiesAndUnknownTags) {
  EXPECT_THAT(
      faults_of("- .inf\n- 1e999\n- !ruby x\n"),
      testing::ElementsAre("1: .inf is no number that JSON can hold; expected a finite one",
                           "2: 1e999 is no number that JSON can hold; expected a finite one",
                           "3: unknown tag '!ruby'; remove it"));
}

TEST(YamlDocumentTest, RefusesASecondDocument) {
  EXPECT_THAT(faults_of("a: 1\n---\nb: 2\n"),
              testing::ElementsAre("3: a second document begins here; expected only one"));
}

TEST(YamlDocumentTest, NamesTheLineOfASyntaxError) {
  const auto faults = faults_of("a: 1\nb: [1, 2\nc: 3\n");
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_THAT(faults[0], testing::HasSubstr("this is not YAML"));
  EXPECT_FALSE(faults[0].starts_with("0:"));
}

TEST(YamlDocumentTest, BoundsAliasBombs) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) text += ", " + before;
    text += "]\n";
  }
  EXPECT_THAT(faults_of(text),
              testing::ElementsAre(testing::HasSubstr("aliases make this larger")));
}

TEST(YamlDocumentTest, RefusesAnAliasInsideItsOwnAnchor) {
  EXPECT_THAT(faults_of("a: &x [*x]\n"),
              testing::ElementsAre(testing::HasSubstr("inside its own anchor")));
}

TEST(YamlDocumentTest, BoundsDepth) {
  EXPECT_THAT(faults_of(std::string(300, '[') + std::string(300, ']')),
              testing::ElementsAre("1: nested deeper than 200 levels"));
}

TEST(YamlDocumentTest, RefusesTextThatIsNotUtf8) {
  EXPECT_THAT(faults_of("a: \xff\n"), testing::ElementsAre("0: the file is not UTF-8 text"));
}

TEST(YamlDocumentTest, LocatesMembersAndItems) {
  std::vector<YamlFault> faults;
  const auto document = YamlDocument::parse("list:\n  - a: 1\n    b: 2\n  - c\n", faults);
  EXPECT_EQ(document.locate({"list", "0", "b"}).line, 3);
  EXPECT_EQ(document.locate({"list", "1"}).line, 4);
  EXPECT_EQ(document.locate({"list", "0", "missing"}).line, 2);
  EXPECT_EQ(document.display({"list", "0", "b"}), "list[0].b");
}

TEST(YamlDocumentTest, SplitsPaths) {
  EXPECT_EQ(split_display_path("policy[2].rate.burst"), (Path{"policy", "2", "rate", "burst"}));
  EXPECT_EQ(split_json_pointer("/3/when/a~1b/m~0n"), (Path{"3", "when", "a/b", "m~n"}));
}

}  // namespace
}  // namespace state_engine::config
