#include "cli/proposal_lines.h"

#include <sstream>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace state_engine::cli {
namespace {

std::string arguments(const std::string& line) {
  auto out = proposal_arguments(line);
  return out.ok() ? json::write(*out) : "error: " + out.error().message;
}

TEST(ProposalLinesTest, CarriesTheLinesOwnActorAsMetadata) {
  EXPECT_EQ(arguments(R"({"id":"twitch:1","op":"set","key":"stream.state","value":"on",)"
                      R"("actor":"ingress-egress:twitch","reason":"online",)"
                      R"("ts":"2026-01-01T00:00:01.000Z","ttl":21600,"expectedVersion":3,)"
                      R"("metadata":{"streamId":"9001"}})"),
            R"({"id":"twitch:1","op":"set","key":"stream.state","value":"on","reason":"online",)"
            R"("ttl":21600,"expectedVersion":3,"metadata":{"actor":"ingress-egress:twitch",)"
            R"("ts":"2026-01-01T00:00:01.000Z","streamId":"9001"}})");
}

TEST(ProposalLinesTest, MetadataOfTheSenderHasPriority) {
  EXPECT_EQ(arguments(R"({"key":"a","actor":"x","metadata":{"actor":"mine"}})"),
            R"({"key":"a","metadata":{"actor":"mine"}})");
}

TEST(ProposalLinesTest, KeepsANullValueAndDropsOtherNulls) {
  EXPECT_EQ(arguments(R"({"key":"a","value":null,"ttl":null,"expectedVersion":null})"),
            R"({"key":"a","value":null})");
}

TEST(ProposalLinesTest, LeavesFaultyFieldsToTheEngine) {
  EXPECT_EQ(arguments(R"({"key":7,"metadata":"x","op":"replace"})"),
            R"({"key":7,"metadata":"x","op":"replace"})");
}

TEST(ProposalLinesTest, RefusesTextThatIsNoObject) {
  EXPECT_TRUE(arguments("{\"key\":").starts_with("error: "));
  EXPECT_EQ(arguments("[1]"), "error: expected a JSON object, found array");
}

TEST(ProposalLinesTest, CountsLinesAndSkipsEmptyOnes) {
  std::istringstream in("{}\n\n  \r\n{\"a\":1}\nlast");
  ProposalReader reader(in);
  EXPECT_EQ(reader.next()->number, 1);
  EXPECT_EQ(reader.next()->number, 4);
  const auto last = reader.next();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->number, 5);
  EXPECT_EQ(last->text, "last");
  EXPECT_FALSE(reader.next().has_value());
  EXPECT_FALSE(reader.failed());
}

TEST(ProposalLinesTest, BoundsTheMemoryOfAHugeLine) {
  std::istringstream in(std::string(3 * limits::kProposalBytesMax, 'x') + "\n{}\n");
  ProposalReader reader(in);
  EXPECT_EQ(reader.next()->text.size(), limits::kProposalBytesMax + 1);
  EXPECT_EQ(reader.next()->text, "{}");
}

}  // namespace
}  // namespace state_engine::cli
