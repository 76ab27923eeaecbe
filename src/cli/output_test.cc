#include "cli/output.h"

#include <gtest/gtest.h>

namespace state_engine::cli {
namespace {

TEST(OutputTest, AlignsColumnsByCharactersNotBytes) {
  TextTable table({"KEY", "VALUE", "BY"});
  table.add({"a", "\"é\"", "ada"});
  table.add({"longer.key", "12345", "bob"});
  EXPECT_EQ(table.str({}),
            "KEY         VALUE  BY\n"
            "a           \"é\"    ada\n"
            "longer.key  12345  bob\n");
}

TEST(OutputTest, ShortensTheWidestColumnToFitATerminal) {
  TextTable table({"KEY", "VALUE"});
  table.add({"stream.state", std::string(200, 'x')});
  const std::string text = table.str({false, 40});
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 40U) << text;
    at = end + 1;
  }
  EXPECT_NE(text.find("stream.state"), std::string::npos);
  EXPECT_NE(text.find("xxx..."), std::string::npos);
}

TEST(OutputTest, CutsNothingOnAPipe) {
  TextTable table({"VALUE"});
  table.add({std::string(5000, 'x')});
  EXPECT_NE(table.str({}).find(std::string(5000, 'x')), std::string::npos);
}

TEST(OutputTest, ColoursOnlyIfTheStyleSaysSo) {
  EXPECT_EQ(paint({false, 0}, Tone::kBad, "no"), "no");
  EXPECT_EQ(paint({true, 0}, Tone::kBad, "no"), "\x1b[31mno\x1b[0m");
  EXPECT_EQ(paint({true, 0}, Tone::kPlain, "no"), "no");
}

TEST(OutputTest, MakesControlCharactersVisible) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\td\x7f"), "a\\x1b[31mb\\nc\\td\\x7f");
  EXPECT_EQ(printable("C1: \xc2\x9b"), "C1: \\x9b");
  EXPECT_EQ(printable("é 😀"), "é 😀");
}

TEST(OutputTest, ShortensAtCharacterBoundaries) {
  EXPECT_EQ(shorten("ééééééé", 5), "éé...");
  EXPECT_EQ(shorten("short", 5), "short");
  EXPECT_EQ(display_width("e\xcc\x81"), 1U);
}

TEST(OutputTest, TakesAValueThatIsNotJsonAsAString) {
  EXPECT_EQ(parse_value_argument("on"), json::Value("on"));
  EXPECT_EQ(parse_value_argument("Pixel art"), json::Value("Pixel art"));
  EXPECT_EQ(parse_value_argument("12"), json::Value(12));
  EXPECT_EQ(parse_value_argument("\"12\""), json::Value("12"));
  EXPECT_EQ(parse_value_argument("true"), json::Value(true));
  EXPECT_EQ(json::write(parse_value_argument(R"({"a":[1,2]})")), R"({"a":[1,2]})");
  EXPECT_EQ(parse_value_argument(""), json::Value(""));
}

TEST(OutputTest, ShowsTimesToTheSecond) {
  EXPECT_EQ(short_time("2026-11-22T18:30:00.250Z"), "2026-11-22 18:30:00");
  EXPECT_EQ(short_time("soon"), "soon");
}

}  // namespace
}  // namespace state_engine::cli
