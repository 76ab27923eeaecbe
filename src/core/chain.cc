// The digested text is built by hand in a fixed member order, since it must never change by
// accident.

#include "core/chain.h"

#include <fmt/format.h>

#include "base/hex.h"
#include "core/keys.h"

namespace state_engine {
namespace {

// Appends ,"name": and the JSON string of `text`.
void add(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out += ',';
  json::write_string_to(out, name);
  out += ':';
  json::write_string_to(out, text);
}

void add(std::string& out, std::string_view name, std::int64_t number) {
  if (out.back() != '{') out += ',';
  json::write_string_to(out, name);
  out += ':';
  json::write_to(out, json::Value(number));
}

void add(std::string& out, std::string_view name, bool flag) {
  if (out.back() != '{') out += ',';
  json::write_string_to(out, name);
  out += flag ? ":true" : ":false";
}

void add_json(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out += ',';
  json::write_string_to(out, name);
  out += ':';
  out += text;
}

// The digest of a value of the entry, or what is left of an erased one.
std::string digest_of(const std::string& salt, const std::optional<json::Value>& value,
                      const std::string& erased) {
  return value ? value_digest(salt, *value) : erased;
}

std::string rules_text(const std::vector<RuleRecord>& rules) {
  if (rules.empty()) return "[]";
  json::Array array;
  for (const RuleRecord& rule : rules) {
    json::Array reads;
    for (const auto& [key, version] : rule.reads) reads.push_back(json::Array{key, version});
    json::Object object{{"derived", rule.derived},  {"effects", rule.effects},
                        {"error", rule.error},      {"hash", rule.rule_hash},
                        {"id", rule.rule_id},       {"matched", rule.matched},
                        {"reads", std::move(reads)}};
    // Absent where empty: entries from before there was such a member keep their hash.
    if (!rule.held.empty()) object["held"] = rule.held;
    array.push_back(std::move(object));
  }
  return json::write_canonical(array);
}

void add_proposal(std::string& out, const LogEntry& entry) {
  const Proposal& proposal = entry.proposal;
  add(out, "actor", proposal.actor);
  add(out, "actorVerified", entry.actor_verified);
  add(out, "causationId", proposal.causation_id);
  add(out, "code", to_string(entry.code));
  add(out, "committedAt", to_ms(entry.committed_at));
  add(out, "correlationId", proposal.correlation_id);
  add(out, "engineId", entry.engine_id);
  add(out, "error", entry.error);
  if (proposal.expected_version) add(out, "expectedVersion", *proposal.expected_version);
  add(out, "id", proposal.id);
  add(out, "key", proposal.key);
  add_json(out, "metadata", json::write_canonical(proposal.metadata));
  add(out, "op", to_string(proposal.op));
}

std::string short_digest(std::string_view prefix, const std::string& text) {
  return std::string(prefix) + sha256_hex(text).substr(0, 32);
}

// Parts are length-prefixed, so that no two different lists give the same text.
std::string joined(std::string_view a, std::string_view b, std::int64_t number) {
  return fmt::format("{}:{}{}:{}{}", a.size(), a, b.size(), b, number);
}

void add_payload(std::string& out, const Proposal& proposal) {
  out += '{';
  add(out, "actor", proposal.actor);
  if (proposal.expected_version) add(out, "expectedVersion", *proposal.expected_version);
  add(out, "key", proposal.key);
  add(out, "op", to_string(proposal.op));
  if (proposal.ttl) add(out, "ttl", std::int64_t{proposal.ttl->count()});
  if (proposal.value) add_json(out, "value", json::write_canonical(*proposal.value));
  out += '}';
}

}  // namespace

std::string genesis_hash() { return std::string(64, '0'); }

std::string value_digest(const std::string& salt, const json::Value& value) {
  return sha256_hex(salt + json::write_canonical(value));
}

std::string payload_hash(const Proposal& proposal) {
  std::string text;
  add_payload(text, proposal);
  return sha256_hex(text);
}

std::string payload_hash(std::span<const Proposal> members, std::size_t index) {
  std::string text = fmt::format("{}/{}", index, members.size());
  for (const Proposal& member : members) add_payload(text, member);
  return sha256_hex(text);
}

std::string entry_hash(const LogEntry& entry, const ErasedDigests& erased) {
  std::string out = entry.prev_hash;
  out += '{';
  add_proposal(out, entry);
  add(out, "payloadHash", entry.payload_hash);
  add(out, "policyRevision", entry.policy_revision);
  add(out, "policyRule", entry.policy_rule);
  add(out, "previousVersion", entry.previous_version);
  add(out, "principal", entry.principal);
  add(out, "reason", entry.proposal.reason);
  const std::string proposed = digest_of(entry.salt, entry.proposal.value, erased.proposed);
  // A set leaves the value as it was proposed: the same digest.
  const bool same = entry.proposal.value && entry.resulting_value == entry.proposal.value;
  const std::string resulting =
      same ? proposed : digest_of(entry.salt, entry.resulting_value, erased.resulting);
  if (!resulting.empty()) add(out, "resultDigest", resulting);
  if (entry.resulting_version) add(out, "resultingVersion", *entry.resulting_version);
  add(out, "ruleRevision", entry.rule_revision);
  add_json(out, "rules", rules_text(entry.rules));
  add(out, "seq", entry.seq);
  add(out, "status", entry.accepted ? std::string_view("accepted") : std::string_view("rejected"));
  add(out, "traceparent", entry.proposal.traceparent);
  add(out, "transactionId", entry.transaction_id);
  add(out, "ts", to_ms(entry.proposal.ts));
  if (entry.proposal.ttl) add(out, "ttl", std::int64_t{entry.proposal.ttl->count()});
  if (!proposed.empty()) add(out, "valueDigest", proposed);
  out += '}';
  return sha256_hex(out);
}

std::string derived_mutation_id(std::string_view cause_id, std::string_view rule_id, int action) {
  return short_digest("rule-", joined(cause_id, rule_id, action));
}

std::string effect_id(std::string_view cause_id, std::string_view rule_id, int action) {
  return short_digest("fx-", joined(cause_id, rule_id, action));
}

std::string firing_id(std::string_view rule_id, std::string_view key, Timestamp deadline) {
  return short_digest("for-", joined(rule_id, key, to_ms(deadline)));
}

std::string firing_key(std::string_view rule_id) {
  constexpr std::size_t kPlainIdMax = 128;
  std::string plain = fmt::format("{}{}", kFiringPrefix, rule_id);
  if (rule_id.size() <= kPlainIdMax && !key_fault(plain)) return plain;
  return fmt::format("{}h_{}", kFiringPrefix, sha256_hex(rule_id).substr(0, 32));
}

std::string expiry_id(std::string_view key, std::int64_t version) {
  return short_digest("expire-", fmt::format("{}:{}{}", key.size(), key, version));
}

}  // namespace state_engine
