#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/json_codec.h"
#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DecodedProposal decode(std::string_view text, const ProposalRules& rules = {}) {
  const auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << value.error().message;
  auto decoded = decode_proposal(*value, rules);
  EXPECT_TRUE(decoded.ok()) << decoded.error().message;
  return decoded.ok() ? *decoded : DecodedProposal{};
}

// A proposal as the platform's Twitch ingress publishes it.
constexpr std::string_view kReference = R"({
  "id": "0d6d7ba0-3a3c-4a26-8f39-1d6a4f0d4c2e", "op": "set", "key": "stream.state", "value": "on",
  "actor": "ingress-egress:twitch", "reason": "stream.online", "ts": "2025-11-22T12:00:00.250Z",
  "metadata": {"streamId": "41375541868", "broadcasterId": "1971641"}})";

TEST(ProposalCodecTest, ReadsTheReferencesProposal) {
  const DecodedProposal decoded = decode(kReference);
  EXPECT_TRUE(decoded.has_id);
  EXPECT_TRUE(decoded.has_ts);
  EXPECT_THAT(decoded.faults, IsEmpty());
  const Proposal& proposal = decoded.proposal;
  EXPECT_EQ(proposal.id, "0d6d7ba0-3a3c-4a26-8f39-1d6a4f0d4c2e");
  EXPECT_EQ(proposal.op, Op::kSet);
  EXPECT_EQ(proposal.key, "stream.state");
  EXPECT_EQ(*proposal.value, json::Value("on"));
  EXPECT_EQ(proposal.actor, "ingress-egress:twitch");
  EXPECT_EQ(proposal.ts, samples::noon());
  EXPECT_FALSE(proposal.expected_version.has_value());
  EXPECT_FALSE(proposal.ttl.has_value());
  EXPECT_EQ(json::write(proposal.metadata),
            R"({"streamId":"41375541868","broadcasterId":"1971641"})");
}

TEST(ProposalCodecTest, WritesTheReferencesShape) {
  EXPECT_EQ(json::write(encode_proposal(samples::proposal())),
            R"({"id":"6f1c7a52-0b7e-4f43-9f0e-2d4b6f7a9c11","op":"set","key":"stream.state",)"
            R"("value":"on","actor":"ingress-egress:twitch","reason":"stream.online",)"
            R"("expectedVersion":3,"ts":"2025-11-22T12:00:00.250Z","ttl":1.5,)"
            R"("metadata":{"streamId":"41375541868","broadcasterId":"1971641"},)"
            R"("correlationId":"c-1"})");
}

TEST(ProposalCodecTest, CollectsEveryFaultWithWhatItSawAndExpected) {
  const DecodedProposal decoded =
      decode(R"({"id":7,"op":"replace","key":12,"actor":["a"],"reason":null,"expectedVersion":1.5,)"
             R"("ts":"yesterday","ttl":0,"metadata":"m","correlationId":true})");
  EXPECT_FALSE(decoded.has_id);
  EXPECT_EQ(decoded.id_fault, "id is 7; expected a string");
  EXPECT_THAT(decoded.faults,
              ElementsAre("op is 'replace'; expected set, delete, increment, push or merge",
                          "key is 12; expected a string", "actor is an array; expected a string",
                          "reason is missing; expected a string",
                          "expectedVersion is 1.5; expected an integer",
                          HasSubstr("ts is 'yesterday'; expected an RFC 3339 time"),
                          "ttl is 0; expected a number of seconds greater than 0",
                          "correlationId is true; expected a string",
                          "metadata is 'm'; expected an object"));
  EXPECT_TRUE(decoded.fault_text(true).starts_with("id is 7; expected a string; op is 'replace'"));
  EXPECT_TRUE(decoded.fault_text(false).starts_with("op is 'replace'"));
}

TEST(ProposalCodecTest, ReportsAMissingIdApartSoThatCallersCanMakeOne) {
  const DecodedProposal decoded =
      decode(R"({"op":"set","key":"k","value":1,"actor":"a","reason":"r"})");
  EXPECT_FALSE(decoded.has_id);
  EXPECT_FALSE(decoded.has_ts);
  EXPECT_THAT(decoded.id_fault, HasSubstr("id is missing"));
  EXPECT_THAT(decoded.faults, IsEmpty());
  EXPECT_THAT(decode("{\"id\":\"" + std::string(129, 'x') + "\"}").id_fault,
              HasSubstr("129 characters"));
}

TEST(ProposalCodecTest, ANullValueIsAValueButAMissingOneIsAFault) {
  const DecodedProposal null =
      decode(R"({"id":"i","op":"set","key":"k","value":null,"actor":"a","reason":"r"})");
  EXPECT_THAT(null.faults, IsEmpty());
  ASSERT_TRUE(null.proposal.value.has_value());
  EXPECT_TRUE(null.proposal.value->is_null());
  const DecodedProposal missing =
      decode(R"({"id":"i","op":"push","key":"k","actor":"a","reason":"r"})");
  EXPECT_THAT(missing.faults, ElementsAre("value is missing; op push needs one"));
  const DecodedProposal deletion =
      decode(R"({"id":"i","op":"delete","key":"k","value":null,"actor":"a","reason":"r"})");
  EXPECT_THAT(deletion.faults, IsEmpty());
  EXPECT_FALSE(deletion.proposal.value.has_value());
}

TEST(ProposalCodecTest, KeepsUnknownFieldsInMetadata) {
  const DecodedProposal decoded =
      decode(R"({"id":"i","op":"set","key":"k","value":1,"actor":"a","reason":"r","source":"bot",)"
             R"("metadata":{"a":1,"trace":"kept"},"trace":"dropped","extra":{"deep":[true]}})");
  EXPECT_THAT(decoded.faults, IsEmpty());
  EXPECT_EQ(json::write(decoded.proposal.metadata),
            R"({"a":1,"trace":"kept","source":"bot","extra":{"deep":[true]}})");
}

TEST(ProposalCodecTest, TakesNumbersAsTextAndSnakeCaseNames) {
  const DecodedProposal decoded =
      decode(R"({"id":"i","op":"set","key":"k","value":1,"actor":"a","reason":"r",)"
             R"("expected_version":"9007199254740993","ttl":"0.25","correlation_id":"c"})");
  EXPECT_THAT(decoded.faults, IsEmpty());
  EXPECT_EQ(decoded.proposal.expected_version, 9007199254740993);
  EXPECT_EQ(decoded.proposal.ttl, std::chrono::milliseconds{250});
  EXPECT_EQ(decoded.proposal.correlation_id, "c");
  EXPECT_THAT(decoded.proposal.metadata, IsEmpty());
}

// A precondition that is silently dropped would turn a safe write into an unsafe one.
TEST(ProposalCodecTest, RefusesAFieldGivenUnderBothNames) {
  const DecodedProposal decoded =
      decode(R"({"id":"i","op":"set","key":"k","value":1,"actor":"a","reason":"r",)"
             R"("expectedVersion":1,"expected_version":2})");
  EXPECT_THAT(decoded.faults, ElementsAre("expectedVersion is given twice, also as "
                                          "expected_version; expected one of them"));
}

TEST(ProposalCodecTest, ValueJsonWinsOverValue) {
  // {"big":18446744073709551615}
  const DecodedProposal decoded =
      decode(R"({"id":"i","op":"set","key":"k","value":1,"actor":"a","reason":"r",)"
             R"("valueJson":"eyJiaWciOjE4NDQ2NzQ0MDczNzA5NTUxNjE1fQ=="})");
  EXPECT_THAT(decoded.faults, IsEmpty());
  EXPECT_EQ(json::write(*decoded.proposal.value), R"({"big":18446744073709551615})");
  EXPECT_THAT(decoded.proposal.metadata, IsEmpty());
  EXPECT_THAT(decode(R"({"valueJson":"!!"})").faults,
              ::testing::Contains("valueJson is not base64; expected base64 of JSON text"));
  EXPECT_THAT(decode(R"({"valueJson":"ew=="})").faults,
              ::testing::Contains(HasSubstr("valueJson: JSON, byte 1")));
}

TEST(ProposalCodecTest, DoorsMayGiveTheActorAndADefaultOp) {
  const DecodedProposal decoded = decode(R"({"key":"k","value":1,"reason":"r"})",
                                         {.needs_actor = false, .default_op = Op::kSet});
  EXPECT_THAT(decoded.faults, IsEmpty());
  EXPECT_EQ(decoded.proposal.op, Op::kSet);
  EXPECT_EQ(decoded.proposal.actor, "");
}

TEST(ProposalCodecTest, RefusesExpireFromOutside) {
  EXPECT_THAT(
      decode(R"({"op":"expire"})").faults,
      ::testing::Contains("op is 'expire', which only the engine itself commits; use delete"));
}

TEST(ProposalCodecTest, RoundsTinyTtlsUpToAMillisecond) {
  EXPECT_EQ(decode(R"({"ttl":0.0001})").proposal.ttl, std::chrono::milliseconds{1});
  EXPECT_EQ(decode(R"({"ttl":3600})").proposal.ttl, std::chrono::hours{1});
  EXPECT_THAT(decode(R"({"ttl":1e300})").faults, ::testing::Contains(HasSubstr("ttl is 1e+300")));
}

TEST(ProposalCodecTest, WhatIsNoObjectIsNoProposal) {
  for (const char* text : {"[]", "\"x\"", "null", "3"}) {
    const auto decoded = decode_proposal(*json::parse(text));
    ASSERT_FALSE(decoded.ok()) << text;
    EXPECT_THAT(decoded.error().message, HasSubstr("expected an object"));
  }
  // Other messages of the platform on the same subject are objects, but no proposals.
  EXPECT_GE(decode(R"({"v":"2","type":"chat","ingress":{}})").faults.size(), 4U);
}

}  // namespace
}  // namespace state_engine::wire
