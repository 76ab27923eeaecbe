#include "core/chain.h"

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/json_literal.h"

namespace state_engine {
namespace {

using testing::operator""_json;

LogEntry sample() {
  LogEntry entry;
  Proposal& proposal = entry.proposal;
  proposal.id = "m1";
  proposal.op = Op::kMerge;
  proposal.key = "stream.state";
  proposal.value = R"({"a":1})"_json;
  proposal.actor = "ingress";
  proposal.reason = "because";
  proposal.expected_version = 3;
  proposal.ts = timestamp_from_ms(1000);
  proposal.ttl = std::chrono::milliseconds{5000};
  proposal.metadata["m"] = 1;
  proposal.correlation_id = "c";
  proposal.causation_id = "p";
  proposal.traceparent = "t";
  entry.seq = 7;
  entry.engine_id = "engine";
  entry.principal = "nats";
  entry.accepted = true;
  entry.previous_version = 3;
  entry.resulting_version = 4;
  entry.committed_at = timestamp_from_ms(2000);
  entry.policy_revision = "pr";
  entry.policy_rule = "stream.*";
  entry.rule_revision = "rr";
  entry.transaction_id = "tx";
  entry.rules.push_back({"r1", "rh", true, 1, 2, {{"obs.scene", 5}}, ""});
  entry.payload_hash = "ph";
  entry.resulting_value = R"({"a":1,"b":2})"_json;
  entry.salt = "00ff";
  entry.prev_hash = genesis_hash();
  return entry;
}

using Change = std::function<void(LogEntry&)>;

std::string hash_with(const Change& change) {
  LogEntry entry = sample();
  change(entry);
  return entry_hash(entry);
}

TEST(ChainTest, EveryFieldOfAnEntryIsCovered) {
  const std::vector<std::pair<const char*, Change>> changes = {
      {"nothing", [](LogEntry&) {}},
      {"id", [](LogEntry& e) { e.proposal.id = "m2"; }},
      {"op", [](LogEntry& e) { e.proposal.op = Op::kSet; }},
      {"key", [](LogEntry& e) { e.proposal.key = "x"; }},
      {"value", [](LogEntry& e) { e.proposal.value = 2; }},
      {"no value", [](LogEntry& e) { e.proposal.value.reset(); }},
      {"null value", [](LogEntry& e) { e.proposal.value = nullptr; }},
      {"actor", [](LogEntry& e) { e.proposal.actor = "x"; }},
      {"reason", [](LogEntry& e) { e.proposal.reason = "x"; }},
      {"expectedVersion", [](LogEntry& e) { e.proposal.expected_version = 9; }},
      {"no expectedVersion", [](LogEntry& e) { e.proposal.expected_version.reset(); }},
      {"ts", [](LogEntry& e) { e.proposal.ts = timestamp_from_ms(1001); }},
      {"ttl", [](LogEntry& e) { e.proposal.ttl = std::chrono::milliseconds{1}; }},
      {"no ttl", [](LogEntry& e) { e.proposal.ttl.reset(); }},
      {"metadata", [](LogEntry& e) { e.proposal.metadata["n"] = 2; }},
      {"correlation", [](LogEntry& e) { e.proposal.correlation_id = "x"; }},
      {"causation", [](LogEntry& e) { e.proposal.causation_id = "x"; }},
      {"traceparent", [](LogEntry& e) { e.proposal.traceparent = "x"; }},
      {"seq", [](LogEntry& e) { e.seq = 8; }},
      {"engineId", [](LogEntry& e) { e.engine_id = "x"; }},
      {"principal", [](LogEntry& e) { e.principal = "x"; }},
      {"actorVerified", [](LogEntry& e) { e.actor_verified = false; }},
      {"status", [](LogEntry& e) { e.accepted = false; }},
      {"code", [](LogEntry& e) { e.code = RejectionCode::kNotFound; }},
      {"error", [](LogEntry& e) { e.error = "x"; }},
      {"previousVersion", [](LogEntry& e) { e.previous_version = 2; }},
      {"resultingVersion", [](LogEntry& e) { e.resulting_version = 5; }},
      {"no resultingVersion", [](LogEntry& e) { e.resulting_version.reset(); }},
      {"committedAt", [](LogEntry& e) { e.committed_at = timestamp_from_ms(2001); }},
      {"policyRevision", [](LogEntry& e) { e.policy_revision = "x"; }},
      {"policyRule", [](LogEntry& e) { e.policy_rule = "x"; }},
      {"ruleRevision", [](LogEntry& e) { e.rule_revision = "x"; }},
      {"transactionId", [](LogEntry& e) { e.transaction_id = "x"; }},
      {"no rules", [](LogEntry& e) { e.rules.clear(); }},
      {"rule id", [](LogEntry& e) { e.rules[0].rule_id = "x"; }},
      {"rule hash", [](LogEntry& e) { e.rules[0].rule_hash = "x"; }},
      {"rule matched", [](LogEntry& e) { e.rules[0].matched = false; }},
      {"rule effects", [](LogEntry& e) { e.rules[0].effects = 0; }},
      {"rule derived", [](LogEntry& e) { e.rules[0].derived = 0; }},
      {"rule read key", [](LogEntry& e) { e.rules[0].reads[0].first = "x"; }},
      {"rule read version", [](LogEntry& e) { e.rules[0].reads[0].second = 6; }},
      {"rule error", [](LogEntry& e) { e.rules[0].error = "x"; }},
      {"rule held", [](LogEntry& e) { e.rules[0].held = "x"; }},
      {"payloadHash", [](LogEntry& e) { e.payload_hash = "x"; }},
      {"resultingValue", [](LogEntry& e) { e.resulting_value = 3; }},
      {"no resultingValue", [](LogEntry& e) { e.resulting_value.reset(); }},
      {"salt", [](LogEntry& e) { e.salt = "01ff"; }},
      {"prevHash", [](LogEntry& e) { e.prev_hash = std::string(64, '1'); }},
  };
  std::set<std::string> hashes;
  for (const auto& [name, change] : changes) {
    const std::string hash = hash_with(change);
    EXPECT_EQ(hash.size(), 64u);
    EXPECT_TRUE(hashes.insert(hash).second) << name << " is not covered";
  }
}

TEST(ChainTest, TheEntrysOwnHashIsNotCovered) {
  EXPECT_EQ(hash_with([](LogEntry& e) { e.hash = "anything"; }), entry_hash(sample()));
}

TEST(ChainTest, TextCannotMoveBetweenFields) {
  EXPECT_NE(hash_with([](LogEntry& e) { e.proposal.actor = "a\",\"x\":\"b"; }),
            hash_with([](LogEntry& e) { e.proposal.actor = "a"; }));
}

TEST(ChainTest, AnErasedValueLeavesTheHashAsItWas) {
  const LogEntry whole = sample();
  LogEntry erased = whole;
  erased.proposal.value.reset();
  erased.resulting_value.reset();
  const ErasedDigests kept{value_digest(whole.salt, *whole.proposal.value),
                           value_digest(whole.salt, *whole.resulting_value)};
  EXPECT_NE(entry_hash(erased), entry_hash(whole));
  EXPECT_EQ(entry_hash(erased, kept), entry_hash(whole));
}

TEST(ChainTest, TheSaltHidesEqualValues) {
  EXPECT_NE(value_digest("00", 1), value_digest("01", 1));
  EXPECT_EQ(value_digest("00", R"({"b":1,"a":2})"_json),
            value_digest("00", R"({"a":2,"b":1})"_json));
}

Proposal proposal(const std::function<void(Proposal&)>& change = [](Proposal&) {}) {
  Proposal out = sample().proposal;
  change(out);
  return out;
}

TEST(PayloadHashTest, CoversWhatIsProposedAndNothingElse) {
  const std::string same = payload_hash(proposal());
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.id = "x"; })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.ts = timestamp_from_ms(9); })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.reason = "x"; })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.metadata.clear(); })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.correlation_id = "x"; })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.causation_id = "x"; })), same);
  EXPECT_EQ(payload_hash(proposal([](Proposal& p) { p.traceparent = "x"; })), same);

  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.actor = "x"; })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.op = Op::kSet; })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.key = "x"; })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.value = 1; })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.value.reset(); })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.expected_version = 0; })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.expected_version.reset(); })), same);
  EXPECT_NE(payload_hash(proposal([](Proposal& p) { p.ttl.reset(); })), same);
}

TEST(PayloadHashTest, DoesNotDependOnHowTheValueWasWritten) {
  const auto of = [](json::Value value) {
    return payload_hash(proposal([&](Proposal& p) { p.value = std::move(value); }));
  };
  EXPECT_EQ(of(R"({"b":1,"a":2})"_json), of(R"({"a":2,"b":1})"_json));
  EXPECT_EQ(of(1), of(1.0));
  EXPECT_NE(of(1), of("1"));
  EXPECT_NE(of(R"([1,2])"_json), of(R"([2,1])"_json));
}

TEST(PayloadHashTest, OfAMemberCoversAllMembersAndItsPlace) {
  const std::vector<Proposal> both{proposal(), proposal()};
  std::vector<Proposal> other = both;
  other[1].value = 9;
  EXPECT_NE(payload_hash(both, 0), payload_hash(both, 1));
  EXPECT_NE(payload_hash(both, 0), payload_hash(other, 0));
  EXPECT_NE(payload_hash(both, 0), payload_hash(std::span(both).first(1), 0));
  EXPECT_NE(payload_hash(std::span(both).first(1), 0), payload_hash(both[0]));
}

TEST(IdTest, IdsFollowFromTheirCauseAlone) {
  EXPECT_EQ(derived_mutation_id("m", "r", 0), derived_mutation_id("m", "r", 0));
  EXPECT_NE(derived_mutation_id("m", "r", 0), derived_mutation_id("m", "r", 1));
  EXPECT_NE(derived_mutation_id("mr", "", 0), derived_mutation_id("m", "r", 0));
  EXPECT_NE(effect_id("m", "r1", 1), effect_id("m", "r", 11));
  EXPECT_NE(expiry_id("k", 1), expiry_id("k", 2));
  EXPECT_NE(expiry_id("k1", 1), expiry_id("k", 11));
  EXPECT_TRUE(derived_mutation_id("m", "r", 0).starts_with("rule-"));
  EXPECT_EQ(effect_id("m", "r", 0).size(), 3u + 32u);
  EXPECT_TRUE(expiry_id("k", 1).starts_with("expire-"));
}

}  // namespace
}  // namespace state_engine
