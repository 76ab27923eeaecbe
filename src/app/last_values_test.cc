#include "app/last_values.h"

#include <gtest/gtest.h>

namespace state_engine {
namespace {

TEST(LastValuesTest, FindsTheValueOfExactlyThatVersion) {
  LastValues values(1 << 20);
  values.put("a.b", 1, json::Value("one"));
  values.put("a.b", 2, json::Value("two"));
  ASSERT_NE(values.find("a.b", 2), nullptr);
  EXPECT_EQ(*values.find("a.b", 2), json::Value("two"));
  EXPECT_EQ(values.find("a.b", 1), nullptr);
  EXPECT_EQ(values.find("a.c", 2), nullptr);
}

TEST(LastValuesTest, KnowsADeletedKeyAsNull) {
  LastValues values(1 << 20);
  values.put("a.b", 3, json::Value());
  ASSERT_NE(values.find("a.b", 3), nullptr);
  EXPECT_TRUE(values.find("a.b", 3)->is_null());
}

TEST(LastValuesTest, ForgetsTheOldestAndKeepsTheNewest) {
  LastValues values(100'000);
  const std::string text(1000, 'x');
  for (int i = 0; i < 1000; ++i) values.put("k." + std::to_string(i), 1, json::Value(text));
  EXPECT_EQ(values.find("k.0", 1), nullptr);
  EXPECT_EQ(values.find("k.700", 1), nullptr);
  EXPECT_NE(values.find("k.950", 1), nullptr);
  EXPECT_NE(values.find("k.999", 1), nullptr);
}

TEST(LastValuesTest, AHotKeyDoesNotLetTheYoungGenerationGrowForEver) {
  LastValues values(10'000);
  const std::string text(100, 'x');
  values.put("cold", 1, json::Value(text));
  for (int i = 1; i < 1000; ++i) values.put("hot", i, json::Value(text));
  EXPECT_EQ(values.find("cold", 1), nullptr);
  EXPECT_NE(values.find("hot", 999), nullptr);
}

}  // namespace
}  // namespace state_engine
