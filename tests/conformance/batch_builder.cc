// Builds batches as the engine would: chained, folded, versions dense.

#include "tests/conformance/batch_builder.h"

#include <stdexcept>
#include <variant>

#include <fmt/format.h>

#include "base/json.h"
#include "core/apply.h"
#include "core/chain.h"

namespace state_engine::test {
namespace {

constexpr std::int64_t kStartMs = 1'760'000'000'000;

bool is_deletion(Op op) { return op == Op::kDelete || op == Op::kExpire; }

}  // namespace

BatchBuilder::BatchBuilder(std::string engine_id)
    : engine_id_(std::move(engine_id)), hash_(genesis_hash()) {}

LogEntry& BatchBuilder::add(const std::string& id, const std::string& key) {
  LogEntry& entry = batch_.entries.emplace_back();
  entry.proposal.id = id;
  entry.proposal.key = key;
  entry.seq = ++seq_;
  entry.engine_id = engine_id_;
  entry.principal = "token:tests";
  entry.prev_hash = hash_;
  entry.salt = fmt::format("{:032x}", seq_);
  entry.proposal.ts = timestamp_from_ms(kStartMs + seq_);
  entry.committed_at = timestamp_from_ms(kStartMs + 5 + seq_);
  const auto found = state_.find(key);
  entry.previous_version = found == state_.end() ? 0 : found->second->version;
  return entry;
}

void BatchBuilder::seal(LogEntry& entry) {
  entry.payload_hash = payload_hash(entry.proposal);
  entry.hash = entry_hash(entry);
  hash_ = entry.hash;
}

const LogEntry& BatchBuilder::accept(const std::string& id, const std::string& key,
                                     std::optional<json::Value> value, const Extra& extra) {
  LogEntry& entry = add(id, key);
  entry.proposal.op = extra.op;
  entry.proposal.value = std::move(value);
  entry.proposal.actor = extra.actor;
  entry.proposal.reason = extra.reason;
  entry.proposal.causation_id = extra.causation_id;
  entry.proposal.ttl = extra.ttl;
  entry.proposal.metadata = extra.metadata;
  entry.transaction_id = extra.transaction_id;
  entry.policy_revision = "policy-1";
  entry.policy_rule = "*";
  entry.rule_revision = "rules-1";
  entry.accepted = true;
  entry.resulting_version = entry.previous_version + 1;
  const auto before = state_.find(key);
  const bool exists = before != state_.end() && !before->second->deleted;
  auto outcome =
      apply_op(extra.op, exists ? &before->second->value : nullptr, entry.proposal.value);
  if (const auto* fault = std::get_if<ApplyFault>(&outcome)) {
    throw std::logic_error("the test asks for an operation that does not apply: " + fault->message);
  }
  if (!is_deletion(extra.op)) entry.resulting_value = std::get<Applied>(outcome).value;
  seal(entry);
  put_snapshot(entry, extra);
  return entry;
}

void BatchBuilder::put_snapshot(const LogEntry& entry, const Extra& extra) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->key = entry.proposal.key;
  if (entry.resulting_value) snapshot->value = *entry.resulting_value;
  snapshot->version = *entry.resulting_version;
  snapshot->updated_at = entry.committed_at;
  snapshot->updated_by = entry.proposal.actor;
  snapshot->ttl = extra.ttl;
  if (extra.ttl) snapshot->expires_at = entry.committed_at + *extra.ttl;
  snapshot->seq = entry.seq;
  snapshot->mutation_id = entry.proposal.id;
  snapshot->reason = entry.proposal.reason;
  snapshot->metadata = extra.metadata;
  snapshot->deleted = is_deletion(extra.op);
  state_[snapshot->key] = snapshot;
  std::erase_if(batch_.snapshots,
                [&](const SnapshotPtr& old) { return old->key == snapshot->key; });
  batch_.snapshots.push_back(std::move(snapshot));
}

const LogEntry& BatchBuilder::reject(const std::string& id, const std::string& key,
                                     RejectionCode code) {
  LogEntry& entry = add(id, key);
  entry.proposal.value = json::Value("refused");
  entry.proposal.actor = "tester";
  entry.proposal.reason = "trying";
  entry.proposal.expected_version = 41;
  entry.code = code;
  entry.error = "Version mismatch: expected 41, found 0";
  entry.policy_revision = "policy-1";
  seal(entry);
  return entry;
}

const Effect& BatchBuilder::effect(const std::string& rule_id, int action) {
  const LogEntry& cause = batch_.entries.back();
  Effect& effect = batch_.effects.emplace_back();
  effect.id = effect_id(cause.proposal.id, rule_id, action);
  effect.rule_id = rule_id;
  effect.cause_id = cause.proposal.id;
  effect.cause_seq = cause.seq;
  effect.type = "system.stream.online";
  effect.payload = R"({"text":"he said \"on\"","n":1})";
  effect.correlation_id = "corr-1";
  effect.created_at = cause.committed_at;
  return effect;
}

void BatchBuilder::amend(const std::function<void(LogEntry&)>& change) {
  change(batch_.entries.back());
  seal(batch_.entries.back());
}

BatchPtr BatchBuilder::take() {
  return std::make_shared<const CommitBatch>(std::exchange(batch_, {}));
}

void expect_same(const LogEntry& found, const LogEntry& wanted) {
  const Proposal& a = found.proposal;
  const Proposal& b = wanted.proposal;
  EXPECT_EQ(found.seq, wanted.seq);
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.value.has_value(), b.value.has_value());
  if (a.value && b.value) {
    EXPECT_TRUE(json::equal(*a.value, *b.value));
  }
  EXPECT_EQ(a.actor, b.actor);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.expected_version, b.expected_version);
  EXPECT_EQ(a.ts, b.ts);
  EXPECT_EQ(a.ttl, b.ttl);
  EXPECT_TRUE(json::equal(a.metadata, b.metadata));
  EXPECT_EQ(a.correlation_id, b.correlation_id);
  EXPECT_EQ(a.causation_id, b.causation_id);
  EXPECT_EQ(a.traceparent, b.traceparent);
  EXPECT_EQ(found.engine_id, wanted.engine_id);
  EXPECT_EQ(found.principal, wanted.principal);
  EXPECT_EQ(found.actor_verified, wanted.actor_verified);
  EXPECT_EQ(found.accepted, wanted.accepted);
  EXPECT_EQ(found.code, wanted.code);
  EXPECT_EQ(found.error, wanted.error);
  EXPECT_EQ(found.previous_version, wanted.previous_version);
  EXPECT_EQ(found.resulting_version, wanted.resulting_version);
  EXPECT_EQ(found.committed_at, wanted.committed_at);
  EXPECT_EQ(found.policy_revision, wanted.policy_revision);
  EXPECT_EQ(found.policy_rule, wanted.policy_rule);
  EXPECT_EQ(found.rule_revision, wanted.rule_revision);
  EXPECT_EQ(found.transaction_id, wanted.transaction_id);
  EXPECT_EQ(found.rules.size(), wanted.rules.size());
  EXPECT_EQ(found.payload_hash, wanted.payload_hash);
  EXPECT_EQ(found.resulting_value.has_value(), wanted.resulting_value.has_value());
  if (found.resulting_value && wanted.resulting_value) {
    EXPECT_TRUE(json::equal(*found.resulting_value, *wanted.resulting_value));
  }
  EXPECT_EQ(found.salt, wanted.salt);
  EXPECT_EQ(found.prev_hash, wanted.prev_hash);
  EXPECT_EQ(found.hash, wanted.hash);
  EXPECT_EQ(entry_hash(found), wanted.hash) << "the entry does not hash as it was written";
}

void expect_same(const Snapshot& found, const Snapshot& wanted) {
  EXPECT_EQ(found.key, wanted.key);
  EXPECT_TRUE(json::equal(found.value, wanted.value)) << found.key;
  EXPECT_EQ(found.version, wanted.version);
  EXPECT_EQ(found.updated_at, wanted.updated_at);
  EXPECT_EQ(found.updated_by, wanted.updated_by);
  EXPECT_EQ(found.ttl, wanted.ttl);
  EXPECT_EQ(found.expires_at, wanted.expires_at);
  EXPECT_EQ(found.seq, wanted.seq);
  EXPECT_EQ(found.mutation_id, wanted.mutation_id);
  EXPECT_EQ(found.reason, wanted.reason);
  EXPECT_TRUE(json::equal(found.metadata, wanted.metadata));
  EXPECT_EQ(found.deleted, wanted.deleted);
}

}  // namespace state_engine::test
