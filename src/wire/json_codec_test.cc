// Golden shapes of the wire, and round trips of random values through both encodings.

#include "wire/json_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/binary_codec.h"
#include "wire/wire_random_samples.h"
#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

using samples::RandomSamples;
using ::testing::HasSubstr;

TEST(JsonCodecTest, SnapshotHasTheDocumentedShape) {
  Snapshot snapshot = samples::snapshot();
  EXPECT_EQ(json::write(encode_snapshot(snapshot)),
            R"({"key":"stream.state","value":"on","version":4,)"
            R"("updatedAt":"2025-11-22T12:00:00.250Z","updatedBy":"ingress-egress:twitch",)"
            R"("ttl":null,"seq":17,"mutationId":"m-17","reason":"stream.online",)"
            R"("metadata":{"streamId":"41375541868"}})");
  snapshot.ttl = std::chrono::milliseconds{60'000};
  snapshot.expires_at = snapshot.updated_at + *snapshot.ttl;
  EXPECT_THAT(json::write(encode_snapshot(snapshot)),
              HasSubstr(R"("ttl":60,"expiresAt":"2025-11-22T12:01:00.250Z","seq")"));
}

TEST(JsonCodecTest, ResultHasTheDocumentedShape) {
  EXPECT_EQ(json::write(encode_result(samples::accepted_result())),
            R"({"mutationId":"m-17","status":"accepted","key":"stream.state","op":"set",)"
            R"("version":4,"previousVersion":3,"seq":17,)"
            R"("committedAt":"2025-11-22T12:00:00.250Z","duplicate":false,"unconditional":false,)"
            R"("effects":[{"id":"fx-0123456789abcdef0123456789abcdef","ruleId":"stream-online",)"
            R"("causeId":"m-17","causeSeq":17,"type":"system.stream.online",)"
            R"("payload":{"message":"Stream detected online","type":"system.stream.online"},)"
            R"("correlationId":"c-1","createdAt":"2025-11-22T12:00:00.250Z"}]})");
  const std::string conflict = json::write(encode_result(samples::conflict_result()));
  EXPECT_THAT(conflict, HasSubstr(R"("status":"rejected","code":"version_conflict",)"
                                  R"("error":"Version mismatch: expected 3, found 4")"));
  EXPECT_THAT(conflict, HasSubstr(R"("current":{"key":"stream.state","value":"on","version":4)"));
}

TEST(JsonCodecTest, ChangeHasTheDocumentedShape) {
  EXPECT_EQ(json::write(encode_change(samples::change())),
            R"({"seq":17,"engineId":"e-1","key":"stream.state","op":"set","version":4,)"
            R"("value":"on","prev":"off","actor":"ingress-egress:twitch",)"
            R"("reason":"stream.online","mutationId":"m-17","correlationId":"c-1",)"
            R"("committedAt":"2025-11-22T12:00:00.250Z"})");
}

TEST(JsonCodecTest, LogEntryBeginsWithItsProposal) {
  const std::string text = json::write(encode_log_entry(samples::log_entry()));
  const std::string proposal = json::write(encode_proposal(samples::proposal()));
  EXPECT_TRUE(text.starts_with(proposal.substr(0, proposal.size() - 1))) << text;
  EXPECT_THAT(text, HasSubstr(R"("status":"accepted","previousVersion":3,"resultingVersion":4)"));
  EXPECT_THAT(text, HasSubstr(R"("reads":[{"key":"obs.scene","version":2}])"));
}

TEST(JsonCodecTest, WritesSnapshotsDirectlyAsTheEncoderDoes) {
  RandomSamples random(1, false);
  for (int i = 0; i < 500; ++i) {
    const Snapshot snapshot = random.snapshot();
    std::string text;
    write_snapshot_to(text, snapshot);
    ASSERT_EQ(text, json::write(encode_snapshot(snapshot)));
  }
}

TEST(JsonCodecTest, DecodersListEveryFaultyField) {
  const auto snapshot = decode_snapshot(*json::parse(R"({"version":"x","updatedAt":7,"ttl":-1})"));
  ASSERT_FALSE(snapshot.ok());
  EXPECT_EQ(snapshot.error().message,
            "the snapshot: key is missing; expected a string; version is 'x'; expected an integer; "
            "updatedAt is 7; expected an RFC 3339 time such as '2026-11-22T18:30:00.000Z'; "
            "ttl is -1; expected a number of seconds greater than 0");
  const auto result = decode_result(*json::parse(
      R"({"mutationId":"m","status":"maybe","code":"no_such_code","derived":[{"status":3}]})"));
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message,
              HasSubstr("status is 'maybe'; expected accepted or rejected"));
  EXPECT_THAT(result.error().message, HasSubstr("code is 'no_such_code'"));
  EXPECT_THAT(result.error().message, HasSubstr("derived[0]: the result: mutationId is missing"));
  EXPECT_FALSE(decode_change(json::Value(3)).ok());
  EXPECT_FALSE(decode_log_entry(json::Value("x")).ok());
}

TEST(JsonCodecTest, DecodersTakeInt64AsText) {
  const auto change = decode_change(*json::parse(
      R"({"seq":"9007199254740993","engineId":"e","key":"k","op":"set","version":"2","value":1,)"
      R"("prev":null,"actor":"a","reason":"r","mutation_id":"m",)"
      R"("committedAt":"2025-11-22T12:00:00Z"})"));
  ASSERT_TRUE(change.ok()) << change.error().message;
  EXPECT_EQ(change->seq, 9007199254740993);
  EXPECT_EQ(change->version, 2);
  EXPECT_EQ(change->mutation_id, "m");
}

TEST(JsonCodecTest, DeadLetterIdIsADigestOfTheBody) {
  EXPECT_EQ(dead_letter_id("abc"), "dead-ba7816bf8f01cfea414140de5dae2223");
  EXPECT_EQ(dead_letter_id("").size(), 37U);
}

// core -> JSON text -> core -> binary -> core: nothing changes, integers beyond 2^53 and deep
// values included.
template <typename T, typename Make>
void check_round_trips(Make make, json::Object (*encode)(const T&),
                       Result<T> (*decode)(const json::Value&), std::string (*to_binary)(const T&),
                       Result<T> (*from_binary)(std::string_view)) {
  RandomSamples random(20261122, false);
  for (int i = 0; i < 400; ++i) {
    const std::string text = json::write(encode((random.*make)()));
    const auto value = json::parse(text, json::trusted_limits());
    ASSERT_TRUE(value.ok()) << value.error().message;
    const auto decoded = decode(*value);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message << "\n" << text;
    ASSERT_EQ(json::write(encode(*decoded)), text);
    const auto back = from_binary(to_binary(*decoded));
    ASSERT_TRUE(back.ok()) << back.error().message << "\n" << text;
    // Members of a google.protobuf.Struct have no order.
    ASSERT_EQ(json::write_canonical(encode(*back)), json::write_canonical(encode(*decoded)));
  }
}

TEST(RoundTripTest, SnapshotsSurviveBothEncodings) {
  check_round_trips<Snapshot>(&RandomSamples::snapshot, encode_snapshot, decode_snapshot,
                              snapshot_to_binary, snapshot_from_binary);
}
TEST(RoundTripTest, EffectsSurviveBothEncodings) {
  check_round_trips<Effect>(&RandomSamples::effect, encode_effect, decode_effect, effect_to_binary,
                            effect_from_binary);
}
TEST(RoundTripTest, ResultsSurviveBothEncodings) {
  RandomSamples random(5, false);
  for (int i = 0; i < 400; ++i) {
    const std::string text = json::write(encode_result(random.result(2)));
    const auto decoded = decode_result(*json::parse(text, json::trusted_limits()));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    ASSERT_EQ(json::write(encode_result(*decoded)), text);
    const auto back = result_from_binary(result_to_binary(*decoded));
    ASSERT_TRUE(back.ok()) << back.error().message;
    ASSERT_EQ(json::write_canonical(encode_result(*back)),
              json::write_canonical(encode_result(*decoded)));
  }
}
TEST(RoundTripTest, TransactionResultsSurviveBothEncodings) {
  check_round_trips<TransactionResult>(
      &RandomSamples::transaction_result, encode_transaction_result, decode_transaction_result,
      transaction_result_to_binary, transaction_result_from_binary);
}
TEST(RoundTripTest, LogEntriesSurviveBothEncodings) {
  check_round_trips<LogEntry>(&RandomSamples::log_entry, encode_log_entry, decode_log_entry,
                              log_entry_to_binary, log_entry_from_binary);
}
TEST(RoundTripTest, ChangesSurviveBothEncodings) {
  check_round_trips<ChangeEvent>(&RandomSamples::change, encode_change, decode_change,
                                 change_to_binary, change_from_binary);
}

TEST(RoundTripTest, ProposalsSurviveBothEncodings) {
  RandomSamples random(6, false);
  for (int i = 0; i < 1000; ++i) {
    const Proposal proposal = random.proposal();
    const std::string text = json::write(encode_proposal(proposal));
    const auto decoded = decode_proposal(*json::parse(text, json::trusted_limits()));
    ASSERT_TRUE(decoded.ok() && decoded->has_id && decoded->has_ts && decoded->faults.empty())
        << text << (decoded.ok() ? decoded->fault_text(true) : "");
    ASSERT_EQ(json::write(encode_proposal(decoded->proposal)), text);
    const auto back = proposal_from_binary(proposal_to_binary(proposal));
    ASSERT_TRUE(back.ok() && back->has_id && back->faults.empty()) << text;
    ASSERT_EQ(json::write_canonical(encode_proposal(back->proposal)),
              json::write_canonical(encode_proposal(proposal)));
  }
}

TEST(BinaryCodecTest, RefusesBytesThatAreNoMessage) {
  const auto garbage = snapshot_from_binary("\xFF\xFF\xFF\xFF");
  ASSERT_FALSE(garbage.ok());
  EXPECT_EQ(garbage.error().message,
            "4 bytes are no protobuf message state_engine.v1.StateSnapshot");
  EXPECT_FALSE(proposal_from_binary("not a message").ok());
}

TEST(BinaryCodecTest, BoundsProposalsAsTheJsonReaderDoes) {
  Proposal proposal = samples::proposal();
  json::Array many;
  for (int i = 0; i < 10'001; ++i) many.emplace_back(0);
  proposal.value = many;
  const auto too_many = proposal_from_binary(proposal_to_binary(proposal));
  ASSERT_FALSE(too_many.ok());
  EXPECT_EQ(too_many.error().code, ErrorCode::kResourceExhausted);
  proposal.value = json::Value(boost::json::string(std::string(1024 * 1024, 'x')));
  EXPECT_EQ(proposal_from_binary(proposal_to_binary(proposal)).error().code,
            ErrorCode::kResourceExhausted);
}

TEST(BinaryCodecTest, MissingFieldsOfAProposalAreFaultsAsInJson) {
  const auto decoded = proposal_from_binary("");
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_FALSE(decoded->has_id);
  EXPECT_THAT(decoded->fault_text(true),
              ::testing::AllOf(HasSubstr("id is missing"), HasSubstr("op is missing"),
                               HasSubstr("key is missing"), HasSubstr("actor is missing"),
                               HasSubstr("reason is missing")));
}

}  // namespace
}  // namespace state_engine::wire
