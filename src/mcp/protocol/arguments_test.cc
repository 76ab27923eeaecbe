#include "mcp/protocol/arguments.h"

#include <gtest/gtest.h>

namespace state_engine::mcp {
namespace {

json::Object object(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok());
  return parsed->get_object();
}

TEST(ArgumentReaderTest, ReadsEveryKindOfArgument) {
  const json::Object arguments =
      object(R"({"s":"x","i":5,"f":3.0,"b":true,"l":["a","b"],"o":{"k":1},"v":null,"n":1.5})");
  ArgumentReader reader(arguments, "t");
  EXPECT_EQ(reader.required_string("s"), "x");
  EXPECT_EQ(reader.required_int("i", 1, 5), 5);
  EXPECT_EQ(reader.optional_int("f"), 3);
  EXPECT_EQ(reader.optional_bool("b"), true);
  EXPECT_EQ(reader.required_string_list("l"), (std::vector<std::string>{"a", "b"}));
  ASSERT_NE(reader.optional_object("o"), nullptr);
  ASSERT_NE(reader.required_value("v"), nullptr);
  EXPECT_TRUE(reader.optional_value("v")->is_null());
  EXPECT_EQ(reader.optional_number("n"), 1.5);
  EXPECT_EQ(reader.optional_string("absent"), std::nullopt);
  EXPECT_EQ(reader.finish(), std::nullopt);
}

TEST(ArgumentReaderTest, NullCountsAsAbsentForOptionalArgumentsOnly) {
  const json::Object arguments = object(R"({"a":null,"b":null})");
  ArgumentReader reader(arguments, "t");
  EXPECT_EQ(reader.optional_int("a"), std::nullopt);
  reader.required_int("b");
  const auto fault = reader.finish();
  ASSERT_TRUE(fault.has_value());
  EXPECT_NE(fault->find("'b' must be an integer, got null"), std::string::npos) << *fault;
  EXPECT_EQ(fault->find("'a' must"), std::string::npos) << *fault;
}

TEST(ArgumentReaderTest, TypesAreStrict) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"i":"5"})", "must be an integer, got string \"5\""},
      {R"({"i":1.5})", "must be an integer, got number 1.5"},
      {R"({"i":true})", "must be an integer, got boolean true"},
      {R"({"i":11})", "must be from 1 to 10, got 11"},
      {R"({"i":0})", "must be from 1 to 10, got 0"},
      {R"({"i":[1]})", "must be an integer, got array"},
  };
  for (const auto& [text, expected] : cases) {
    const json::Object arguments = object(text);
    ArgumentReader reader(arguments, "t");
    reader.required_int("i", 1, 10);
    const auto fault = reader.finish();
    ASSERT_TRUE(fault.has_value()) << text;
    EXPECT_NE(fault->find(expected), std::string::npos) << *fault;
  }
}

TEST(ArgumentReaderTest, CollectsEveryFaultAndNamesWhatIsAllowed) {
  const json::Object arguments = object(R"({"op":"swap","limt":5,"key":""})");
  ArgumentReader reader(arguments, "propose");
  reader.required_string("op", {.bytes_max = 10, .one_of = {"set", "delete"}});
  reader.required_string("key", {.bytes_min = 1});
  reader.optional_int("limit");
  const auto fault = reader.finish();
  ASSERT_TRUE(fault.has_value());
  EXPECT_NE(fault->find("'op' must be one of \"set\", \"delete\"; got string \"swap\""),
            std::string::npos)
      << *fault;
  EXPECT_NE(fault->find("'key' must not be empty"), std::string::npos) << *fault;
  EXPECT_NE(fault->find("unknown argument 'limt'; allowed: 'op', 'key', 'limit'"),
            std::string::npos)
      << *fault;
}

TEST(ArgumentReaderTest, NestedObjectsReportTheirPath) {
  const json::Object arguments = object(R"({"mutations":[{"key":"a"},{"key":1,"x":2}]})");
  ArgumentReader reader(arguments, "t");
  const auto items = reader.required_object_list("mutations", 1, 64);
  ASSERT_EQ(items.size(), 2U);
  for (std::size_t i = 0; i < items.size(); ++i) {
    ArgumentReader nested(*items[i], "t", "mutations[" + std::to_string(i) + "].");
    nested.required_string("key");
    reader.add_faults_of(nested);
  }
  const auto fault = reader.finish();
  ASSERT_TRUE(fault.has_value());
  EXPECT_NE(fault->find("'mutations[1].key' must be a string, got number 1"), std::string::npos)
      << *fault;
  EXPECT_NE(fault->find("unknown argument 'mutations[1].x'"), std::string::npos) << *fault;
}

}  // namespace
}  // namespace state_engine::mcp
