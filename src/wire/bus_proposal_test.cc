#include "wire/bus_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "core/validate.h"
#include "wire/binary_codec.h"
#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const Timestamp kArrived = timestamp_from_ms(1'760'000'000'000);

BusProposal read(std::string_view body, std::string_view content_type = "") {
  BusProposal out = read_bus_proposal(body, content_type, kArrived);
  EXPECT_EQ(id_fault(out.proposal.id), std::nullopt) << "the id is always usable";
  return out;
}

constexpr std::string_view kGood =
    R"({"id":"m1","op":"set","key":"k","value":1,"actor":"a","reason":"r"})";

TEST(BusProposalTest, JsonWithoutTsGetsTheTimeOfArrival) {
  const BusProposal read_back = read(kGood);
  EXPECT_EQ(read_back.fault, RejectionCode::kNone) << read_back.fault_text;
  EXPECT_EQ(read_back.proposal.id, "m1");
  EXPECT_EQ(read_back.proposal.ts, kArrived);
}

TEST(BusProposalTest, ProtobufIsReadWithAndWithoutItsContentType) {
  const std::string body = proposal_to_binary(read(kGood).proposal);
  for (const std::string_view type : {"", "application/x-protobuf"}) {
    const BusProposal out = read(body, type);
    EXPECT_EQ(out.fault, RejectionCode::kNone) << out.fault_text;
    EXPECT_EQ(out.proposal.key, "k");
  }
}

TEST(BusProposalTest, ForeignShapesAreInvalidAndSaySo) {
  const BusProposal event = read(
      R"({"v":"2","correlationId":"c","routing":{"slip":[]},"identity":{},"type":"state.mutate"})");
  EXPECT_EQ(event.fault, RejectionCode::kInvalidProposal);
  EXPECT_THAT(event.fault_text, HasSubstr("InternalEventV2"));
  EXPECT_THAT(event.proposal.id, StartsWith("dead-"));
  const BusProposal batch = read(R"({"mutations":[{"type":"set","key":"k","value":1}]})");
  EXPECT_EQ(batch.fault, RejectionCode::kInvalidProposal);
  EXPECT_THAT(batch.fault_text, HasSubstr("list of mutations"));
}

TEST(BusProposalTest, AFaultyProposalKeepsItsUsableId) {
  const BusProposal out = read(R"({"id":"m9","op":"set","key":7,"value":1,"actor":"a"})");
  EXPECT_EQ(out.fault, RejectionCode::kInvalidProposal);
  EXPECT_EQ(out.proposal.id, "m9");
  EXPECT_THAT(out.fault_text, HasSubstr("key is"));
  EXPECT_THAT(out.fault_text, HasSubstr("reason"));
}

TEST(BusProposalTest, AReservedIdIsReplaced) {
  const std::string body = R"({"id":"rule-0123456789abcdef0123456789abcdef","op":"set","key":"k",)"
                           R"("value":1,"actor":"a","reason":"r"})";
  const BusProposal out = read(body);
  EXPECT_EQ(out.fault, RejectionCode::kInvalidProposal);
  EXPECT_EQ(out.proposal.id, dead_letter_id(body));
}

TEST(BusProposalTest, WhatCannotBeReadIsADeadLetterWithItsBeginning) {
  const std::string huge(limits::kProposalBytesMax + 1, 'x');
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  for (const std::string& body :
       {std::string("hello"), std::string(), std::string("[1,2]"), std::string("{\"id\":"),
        std::string("\xff\xfe\x00\x01", 4), huge, deep, std::string("{\"a\":1,\"a\":2}")}) {
    const BusProposal out = read(body);
    EXPECT_EQ(out.fault, RejectionCode::kDeadLetter) << body.substr(0, 20);
    EXPECT_EQ(out.proposal.id, dead_letter_id(body));
    ASSERT_TRUE(out.proposal.value && out.proposal.value->is_string());
    EXPECT_LE(out.proposal.value->get_string().size(), 6000U);
    EXPECT_FALSE(out.fault_text.empty());
  }
  EXPECT_EQ(read("hello").proposal.value->get_string(), "hello");
}

TEST(BusProposalTest, AnExcerptEndsBetweenCharacters) {
  std::string body = "x";
  while (body.size() < 5000) body += "ä";
  const BusProposal out = read(body);
  const std::string text(out.proposal.value->get_string());
  EXPECT_TRUE(json::is_utf8(text));
  EXPECT_EQ(body.substr(0, text.size()), text);
}

}  // namespace
}  // namespace state_engine::wire
