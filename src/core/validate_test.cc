#include "core/validate.h"

#include <functional>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace state_engine {
namespace {

Proposal valid() {
  Proposal proposal;
  proposal.id = "m1";
  proposal.key = "stream.state";
  proposal.value = "on";
  proposal.actor = "ingress";
  proposal.reason = "went live";
  return proposal;
}

std::string code_of(const std::function<void(Proposal&)>& change) {
  Proposal proposal = valid();
  change(proposal);
  const auto fault = validate(proposal);
  if (!fault) return "";
  EXPECT_FALSE(fault->message.empty());
  return std::string(to_string(fault->code));
}

TEST(ValidateTest, AcceptsAPlainProposal) { EXPECT_FALSE(validate(valid())); }

TEST(ValidateTest, RefusesEachMissingField) {
  EXPECT_EQ(code_of([](Proposal& p) { p.id.clear(); }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.key.clear(); }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.actor.clear(); }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.reason.clear(); }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.value.reset(); }), "invalid_proposal");
  for (const Op op : {Op::kIncrement, Op::kPush, Op::kMerge}) {
    EXPECT_EQ(code_of([&](Proposal& p) { p.op = op, p.value.reset(); }), "invalid_proposal");
  }
}

TEST(ValidateTest, DeleteNeedsNoValueAndNullIsAValue) {
  EXPECT_EQ(code_of([](Proposal& p) { p.op = Op::kDelete, p.value.reset(); }), "");
  EXPECT_EQ(code_of([](Proposal& p) { p.value = nullptr; }), "");
}

TEST(ValidateTest, AcceptsEachFieldAtItsLimitAndRefusesOneMore) {
  using limits::kActorBytesMax, limits::kReasonBytesMax, limits::kTraceBytesMax;
  const auto row = [](std::string Proposal::*field, std::size_t most) {
    EXPECT_EQ(code_of([&](Proposal& p) { p.*field = std::string(most, 'x'); }), "");
    EXPECT_EQ(code_of([&](Proposal& p) { p.*field = std::string(most + 1, 'x'); }), "too_large");
  };
  row(&Proposal::key, limits::kKeyBytesMax);
  row(&Proposal::actor, kActorBytesMax);
  row(&Proposal::reason, kReasonBytesMax);
  row(&Proposal::correlation_id, kTraceBytesMax);
  row(&Proposal::causation_id, kTraceBytesMax);
  row(&Proposal::traceparent, kTraceBytesMax);
}

TEST(ValidateTest, BoundsValueAndMetadataByTheirWrittenSize) {
  const std::string most(limits::kValueBytesMax - 2, 'x');  // two quotes
  EXPECT_EQ(code_of([&](Proposal& p) { p.value = most; }), "");
  EXPECT_EQ(code_of([&](Proposal& p) { p.value = most + "x"; }), "too_large");
  EXPECT_EQ(code_of([&](Proposal& p) { p.metadata["m"] = most; }), "too_large");
}

TEST(ValidateTest, RefusesImpossibleNumbers) {
  using std::chrono::milliseconds;
  EXPECT_EQ(code_of([](Proposal& p) { p.expected_version = -1; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.expected_version = 0; }), "");
  EXPECT_EQ(code_of([](Proposal& p) { p.ttl = milliseconds{0}; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.ttl = milliseconds{-5}; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.ttl = milliseconds{1}; }), "");
  EXPECT_EQ(code_of([](Proposal& p) { p.ttl = milliseconds::max(); }), "invalid_proposal");
}

TEST(ValidateTest, RefusesTextThatIsNotUtf8) {
  EXPECT_EQ(code_of([](Proposal& p) { p.reason = "\xc3("; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.actor = "\xff"; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.id = "\xff"; }), "invalid_proposal");
  EXPECT_EQ(code_of([](Proposal& p) { p.correlation_id = "\xff"; }), "invalid_proposal");
}

TEST(ValidateTest, IdsAreOneTo128CharactersWithoutControls) {
  EXPECT_FALSE(id_fault("x"));
  EXPECT_FALSE(id_fault(std::string(128, 'x')));
  EXPECT_TRUE(id_fault(std::string(129, 'x')));
  EXPECT_TRUE(id_fault(""));
  EXPECT_TRUE(id_fault("a\nb"));
  EXPECT_TRUE(id_fault(std::string("a\0b", 3)));
  EXPECT_TRUE(id_fault("a\x7f"));
  std::string accented;
  for (int i = 0; i < 128; ++i) accented += "é";
  EXPECT_FALSE(id_fault(accented)) << "characters are counted, not bytes";
  EXPECT_TRUE(id_fault(accented + "é"));
}

TEST(ValidateTest, AnIdOfAnyLengthCanBeACause) {
  // Expiries and derived mutations carry their cause's id in causationId.
  std::string longest;
  for (std::size_t i = 0; i < limits::kIdCharsMax; ++i) longest += "\xf0\x9f\x8e\xae";
  ASSERT_FALSE(id_fault(longest));
  EXPECT_EQ(code_of([&](Proposal& p) { p.causation_id = longest; }), "");
}

TEST(ValidateTest, ReservedIdsAreThoseOfTheEngineAlone) {
  const std::string hex(32, 'a');
  EXPECT_TRUE(is_reserved_id("expire-" + hex));
  EXPECT_TRUE(is_reserved_id("rule-" + hex));
  EXPECT_FALSE(is_reserved_id("rule-" + hex + "0"));
  EXPECT_FALSE(is_reserved_id("rule-" + std::string(32, 'g')));
  EXPECT_FALSE(is_reserved_id("rule-of-thumb"));
  EXPECT_FALSE(is_reserved_id("dead-" + hex));
}

TEST(ValidateTest, ReservedActorsAreTheEngineAndItsRules) {
  EXPECT_TRUE(is_reserved_actor("state-engine"));
  EXPECT_TRUE(is_reserved_actor("rule:go-live"));
  EXPECT_FALSE(is_reserved_actor("state-engine-2"));
  EXPECT_FALSE(is_reserved_actor("ruler"));
}

}  // namespace
}  // namespace state_engine
