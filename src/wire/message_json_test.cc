// Our JSON form against protobuf's own parser and printer, both directions, within what those can
// say: integers within 2^53 and values up to 30 levels.

#include "wire/message_json.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <state_engine/v1/change_event.pb.h>
#include <state_engine/v1/egress_event.pb.h>
#include <state_engine/v1/mutation_log_entry.pb.h>
#include <state_engine/v1/mutation_proposal.pb.h>
#include <state_engine/v1/mutation_result.pb.h>
#include <state_engine/v1/state_snapshot.pb.h>

#include "wire/egress.h"
#include "wire/json_codec.h"
#include "wire/wire_random_samples.h"
#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::MessageToJsonString;
using samples::RandomSamples;
using ::testing::HasSubstr;

// Checks that both readers understand both writers of `ours`, the JSON form of a Message.
template <typename Message>
void check_against_protobuf(const json::Object& ours) {
  const std::string text = json::write(ours);
  Message read_by_us;
  const Status status = json_to_message(ours, read_by_us);
  ASSERT_TRUE(status.ok()) << status.error().message << "\n" << text;

  Message read_by_protobuf;
  const auto parsed = JsonStringToMessage(text, &read_by_protobuf);
  ASSERT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << text;
  ASSERT_TRUE(MessageDifferencer::Equals(read_by_us, read_by_protobuf))
      << text << "\n"
      << read_by_us.DebugString() << "\n"
      << read_by_protobuf.DebugString();

  std::string printed;
  ASSERT_TRUE(MessageToJsonString(read_by_us, &printed).ok());
  const auto reread = json::parse(printed);
  ASSERT_TRUE(reread.ok()) << reread.error().message;
  Message again;
  ASSERT_TRUE(json_to_message(reread->get_object(), again).ok()) << printed;
  ASSERT_TRUE(MessageDifferencer::Equals(read_by_us, again)) << printed;

  const auto back = message_to_json(read_by_us);
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(json::write_canonical(*back), json::write_canonical(ours));
}

// What protobuf's printer writes of a message, our decoder reads as the same core value.
template <typename Message, typename T>
void check_decoder(const json::Object& ours, json::Object (*encode)(const T&),
                   Result<T> (*decode)(const json::Value&)) {
  Message message;
  ASSERT_TRUE(json_to_message(ours, message).ok());
  std::string printed;
  ASSERT_TRUE(MessageToJsonString(message, &printed).ok());
  const auto decoded = decode(*json::parse(printed));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message << "\n" << printed;
  ASSERT_EQ(json::write_canonical(encode(*decoded)), json::write_canonical(ours));
}

TEST(MessageJsonTest, ProposalsAgreeWithProtobufsJson) {
  RandomSamples random(11, true);
  for (int i = 0; i < 500; ++i) {
    check_against_protobuf<v1::MutationProposal>(encode_proposal(random.proposal()));
    if (HasFatalFailure()) return;
  }
}

TEST(MessageJsonTest, SnapshotsAgreeWithProtobufsJson) {
  RandomSamples random(12, true);
  for (int i = 0; i < 300; ++i) {
    const json::Object ours = encode_snapshot(random.snapshot());
    check_against_protobuf<v1::StateSnapshot>(ours);
    if (HasFatalFailure()) return;
    check_decoder<v1::StateSnapshot>(ours, encode_snapshot, decode_snapshot);
    if (HasFatalFailure()) return;
  }
}

TEST(MessageJsonTest, ResultsAgreeWithProtobufsJson) {
  RandomSamples random(13, true);
  for (int i = 0; i < 300; ++i) {
    const json::Object result = encode_result(random.result(2));
    check_against_protobuf<v1::MutationResult>(result);
    if (HasFatalFailure()) return;
    check_decoder<v1::MutationResult>(result, encode_result, decode_result);
    if (HasFatalFailure()) return;
    check_against_protobuf<v1::TransactionResult>(
        encode_transaction_result(random.transaction_result()));
    if (HasFatalFailure()) return;
  }
}

TEST(MessageJsonTest, LogEntriesAndChangesAgreeWithProtobufsJson) {
  RandomSamples random(14, true);
  for (int i = 0; i < 300; ++i) {
    const json::Object entry = encode_log_entry(random.log_entry());
    check_against_protobuf<v1::MutationLogEntry>(entry);
    if (HasFatalFailure()) return;
    check_decoder<v1::MutationLogEntry>(entry, encode_log_entry, decode_log_entry);
    if (HasFatalFailure()) return;
    const json::Object change = encode_change(random.change());
    check_against_protobuf<v1::ChangeEvent>(change);
    if (HasFatalFailure()) return;
    check_decoder<v1::ChangeEvent>(change, encode_change, decode_change);
    if (HasFatalFailure()) return;
  }
}

TEST(MessageJsonTest, EgressEventsAgreeWithProtobufsJson) {
  RandomSamples random(15, true);
  for (int i = 0; i < 300; ++i) {
    check_against_protobuf<v1::EgressEvent>(encode_egress_event(random.effect()));
    if (HasFatalFailure()) return;
  }
}

TEST(MessageJsonTest, PutsWhatProtobufCannotHoldIntoTheCompanion) {
  json::Object big{{"value", 9007199254740993}};
  v1::MutationProposal message;
  ASSERT_TRUE(json_to_message(big, message).ok());
  EXPECT_FALSE(message.has_value());
  EXPECT_EQ(message.value_json(), "9007199254740993");
  EXPECT_EQ(message_to_json(message)->at("value"), json::Value(9007199254740993));

  json::Value deep(1);
  for (int i = 0; i < 31; ++i) deep = json::Array{deep};
  v1::MutationProposal deeper;
  ASSERT_TRUE(json_to_message({{"value", deep}}, deeper).ok());
  EXPECT_EQ(deeper.value_json(), json::write(deep));
  v1::MutationProposal deep_enough;
  ASSERT_TRUE(json_to_message({{"value", deep.get_array()[0]}}, deep_enough).ok());
  EXPECT_TRUE(deep_enough.has_value());
  v1::MutationProposal reread;
  EXPECT_TRUE(reread.ParseFromString(deep_enough.SerializeAsString()));
}

TEST(MessageJsonTest, TheCompanionWinsWhenBothArePresent) {
  v1::StateSnapshot message;
  message.mutable_value()->set_number_value(1);
  message.set_value_json("{\"n\":18446744073709551615}");
  EXPECT_EQ(json::write(message_to_json(message)->at("value")), "{\"n\":18446744073709551615}");
  message.set_value_json("{broken");
  const auto broken = message_to_json(message);
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.error().message, HasSubstr("value: JSON, byte 1"));
}

TEST(MessageJsonTest, RefusesWhatTheSchemaDoesNotKnow) {
  v1::StateSnapshot message;
  EXPECT_EQ(json_to_message({{"nope", 1}}, message).error().message,
            "StateSnapshot has no field nope");
  EXPECT_EQ(json_to_message({{"version", "1x"}}, message).error().message,
            "version is '1x'; expected an integer");
  v1::MutationResult result;
  EXPECT_THAT(json_to_message({{"status", "perhaps"}}, result).error().message,
              HasSubstr("status is 'perhaps'; expected a value of MutationStatus"));
  EXPECT_THAT(json_to_message({{"current", {{"seq", true}}}}, result).error().message,
              HasSubstr("current: seq is true; expected an integer"));
}

TEST(MessageJsonTest, RefusesNumbersAndTimesThatJsonCannotSay) {
  v1::StateSnapshot infinite;
  infinite.mutable_value()->set_number_value(std::numeric_limits<double>::infinity());
  EXPECT_THAT(message_to_json(infinite).error().message,
              HasSubstr("value: a number is not finite"));
  v1::StateSnapshot late;
  late.mutable_updated_at()->set_seconds(999'999'999'999'999);
  EXPECT_THAT(message_to_json(late).error().message, HasSubstr("updatedAt: a time is outside"));
}

}  // namespace
}  // namespace state_engine::wire
