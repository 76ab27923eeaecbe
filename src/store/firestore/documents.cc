// A value that was set is stored once: `value`. Operations that compute one (increment, push,
// merge) also keep the outcome, as text in `resultingValueJson`, which nobody queries.

#include "store/firestore/documents.h"

#include <fmt/format.h>

#include "base/hex.h"
#include "core/chain.h"
#include "core/codes.h"
#include "store/firestore/ids.h"

namespace state_engine::firestore {
namespace {

constexpr std::string_view kAccepted = "accepted";
constexpr std::string_view kRejected = "rejected";

json::Object to_object(std::optional<json::Value> value) {
  if (!value || !value->is_object()) return {};
  return std::move(value->get_object());
}

json::Value rule_json(const RuleRecord& rule) {
  json::Object object{{"ruleId", rule.rule_id},
                      {"ruleHash", rule.rule_hash},
                      {"matched", rule.matched},
                      {"effects", rule.effects},
                      {"derived", rule.derived}};
  json::Array reads;
  for (const auto& [key, version] : rule.reads) {
    reads.push_back(json::Array{json::Value(key), json::Value(version)});
  }
  object["reads"] = std::move(reads);
  if (!rule.error.empty()) object["error"] = rule.error;
  if (!rule.held.empty()) object["held"] = rule.held;
  return object;
}

RuleRecord rule_from(const json::Object& object) {
  RuleRecord rule;
  rule.rule_id = json::find_string(object, "ruleId").value_or("");
  rule.rule_hash = json::find_string(object, "ruleHash").value_or("");
  const json::Value* matched = json::find(object, "matched");
  rule.matched = matched != nullptr && matched->is_bool() && matched->get_bool();
  rule.effects = static_cast<int>(json::find_int(object, "effects").value_or(0));
  rule.derived = static_cast<int>(json::find_int(object, "derived").value_or(0));
  rule.error = json::find_string(object, "error").value_or("");
  rule.held = json::find_string(object, "held").value_or("");
  const json::Value* reads = json::find(object, "reads");
  if (reads == nullptr || !reads->is_array()) return rule;
  for (const json::Value& pair : reads->get_array()) {
    if (!pair.is_array() || pair.get_array().size() != 2 || !pair.get_array()[0].is_string()) {
      continue;
    }
    rule.reads.emplace_back(std::string(pair.get_array()[0].get_string()),
                            json::as_int64(pair.get_array()[1]).value_or(0));
  }
  return rule;
}

void write_rules(const std::vector<RuleRecord>& rules, FieldWriter& out) {
  if (rules.empty()) return;
  json::Array array;
  for (const RuleRecord& rule : rules) array.push_back(rule_json(rule));
  out.text("rulesJson", json::write(array));
}

void read_rules(FieldReader& in, std::vector<RuleRecord>& rules) {
  const auto array = in.json("rules");
  if (!array || !array->is_array()) return;
  for (const json::Value& item : array->get_array()) {
    if (item.is_object()) rules.push_back(rule_from(item.get_object()));
  }
}

// The reference keeps the reason in metadata.source; a source of the proposer's own needs a place
// where it is not mistaken for that.
void write_state_metadata(const Snapshot& snapshot, FieldWriter& out) {
  json::Object metadata{{"source", snapshot.reason}};
  for (const auto& member : snapshot.metadata)
    metadata.insert_or_assign(member.key(), member.value());
  out.json("metadata", metadata);
  if (snapshot.metadata.contains("source")) {
    out.text("ownMetadataJson", json::write(snapshot.metadata));
  }
}

void read_state_metadata(FieldReader& in, Snapshot& snapshot) {
  json::Object metadata = to_object(in.json("metadata"));
  if (!in.has("reason")) {
    snapshot.reason = json::find_string(metadata, "source").value_or("");
  }
  metadata.erase("source");
  snapshot.metadata = std::move(metadata);
  if (auto own = in.json("ownMetadata")) snapshot.metadata = to_object(std::move(own));
}

void write_proposal(const Proposal& proposal, FieldWriter& out) {
  out.text("id", proposal.id);
  out.text("op", to_string(proposal.op));
  out.text("key", proposal.key);
  if (proposal.value) out.json("value", *proposal.value);
  out.text("actor", proposal.actor);
  out.text("reason", proposal.reason);
  if (proposal.expected_version) out.integer("expectedVersion", *proposal.expected_version);
  out.time("ts", proposal.ts);
  if (proposal.ttl) out.seconds("ttl", *proposal.ttl);
  if (!proposal.metadata.empty()) out.json("metadata", json::Value(proposal.metadata));
  out.text_unless_empty("correlationId", proposal.correlation_id);
  out.text_unless_empty("causationId", proposal.causation_id);
  out.text_unless_empty("traceparent", proposal.traceparent);
}

void read_proposal(FieldReader& in, Proposal& proposal) {
  proposal.id = in.has("id") ? in.text("id") : std::string(in.document_id());
  proposal.op = parse_op(in.text("op")).value_or(Op::kSet);
  proposal.key = in.text("key");
  proposal.value = in.json("value");
  proposal.actor = in.text("actor");
  proposal.reason = in.text("reason");
  proposal.expected_version = in.integer("expectedVersion");
  proposal.ts = in.time("ts").value_or(Timestamp{});
  proposal.ttl = in.seconds("ttl");
  proposal.metadata = to_object(in.json("metadata"));
  proposal.correlation_id = in.text("correlationId");
  proposal.causation_id = in.text("causationId");
  proposal.traceparent = in.text("traceparent");
}

// What makes ordered queries possible with the automatic indexes alone.
void write_orders(const LogEntry& entry, FieldWriter& out) {
  out.text("engineSeq", sortable(entry.engine_id, entry.seq));
  out.text("keySeq", sortable(entry.proposal.key, entry.seq));
  out.text("actorSeq", sortable(entry.proposal.actor, entry.seq));
  if (!entry.proposal.causation_id.empty()) {
    out.text("causationSeq", sortable(entry.proposal.causation_id, entry.seq));
  }
  if (!entry.transaction_id.empty()) {
    out.text("transactionSeq", sortable(entry.transaction_id, entry.seq));
  }
}

void read_verdict(FieldReader& in, LogEntry& entry) {
  entry.accepted = in.text("status") != kRejected;
  entry.error = in.text("error");
  entry.code = parse_rejection_code(in.text("code")).value_or(RejectionCode::kNone);
  entry.resulting_version = in.integer("resultingVersion");
  entry.committed_at = in.time("committedAt").value_or(Timestamp{});
  if (entry.accepted || entry.code != RejectionCode::kNone) return;
  // The reference gives texts only.
  entry.code = entry.error == "Key not allowed"               ? RejectionCode::kKeyNotAllowed
               : entry.error.starts_with("Version mismatch:") ? RejectionCode::kVersionConflict
                                                              : RejectionCode::kInvalidProposal;
}

// What the reference leaves out follows from what it wrote: there, every operation sets.
void complete_foreign(LogEntry& entry) {
  entry.engine_id = "reference";
  entry.principal = "nats";
  entry.actor_verified = false;
  entry.previous_version = entry.resulting_version.value_or(1) - 1;
  if (entry.accepted) entry.resulting_value = entry.proposal.value;
  entry.payload_hash = payload_hash(entry.proposal);
}

}  // namespace

Status write_snapshot(const Snapshot& snapshot, std::string_view engine_id, Document& out) {
  FieldWriter fields(out);
  fields.json("value", snapshot.value);
  fields.integer("version", snapshot.version);
  fields.time("updatedAt", snapshot.updated_at);
  fields.text("updatedBy", snapshot.updated_by);
  if (snapshot.ttl) {
    fields.seconds("ttl", *snapshot.ttl);
  } else {
    fields.null("ttl");
  }
  write_state_metadata(snapshot, fields);
  fields.text("key", snapshot.key);
  if (json::is_utf8(snapshot.key) && !is_plain_id(snapshot.key)) {
    fields.text("hashedKey", snapshot.key);
  }
  fields.integer("seq", snapshot.seq);
  fields.text("engineId", engine_id);
  fields.text("mutationId", snapshot.mutation_id);
  fields.text("reason", snapshot.reason);
  if (snapshot.expires_at) {
    fields.time("expiresAt", *snapshot.expires_at);
    fields.integer("expiresAtMs", to_ms(*snapshot.expires_at));
  }
  if (snapshot.deleted) fields.boolean("deleted", true);
  return fields.status();
}

Result<SnapshotPtr> read_snapshot(const Document& document) {
  FieldReader fields(document);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->key = fields.has("key") ? fields.text("key") : std::string(fields.document_id());
  snapshot->value = fields.json("value").value_or(nullptr);
  snapshot->version = fields.integer("version").value_or(0);
  snapshot->updated_at = fields.time("updatedAt").value_or(Timestamp{});
  snapshot->updated_by = fields.text("updatedBy");
  snapshot->ttl = fields.seconds("ttl");
  snapshot->seq = fields.integer("seq").value_or(0);
  snapshot->mutation_id = fields.text("mutationId");
  snapshot->reason = fields.text("reason");
  snapshot->deleted = fields.boolean("deleted", false);
  if (const auto ms = fields.integer("expiresAtMs")) {
    snapshot->expires_at = timestamp_from_ms(*ms);
  } else if (snapshot->ttl && !snapshot->deleted) {
    snapshot->expires_at = snapshot->updated_at + *snapshot->ttl;
  }
  read_state_metadata(fields, *snapshot);
  SE_RETURN_IF_ERROR(fields.status());
  return SnapshotPtr(std::move(snapshot));
}

Status write_entry(const LogEntry& entry, Document& out) {
  FieldWriter fields(out);
  write_proposal(entry.proposal, fields);
  fields.time("committedAt", entry.committed_at);
  fields.text("status", entry.accepted ? kAccepted : kRejected);
  fields.text_unless_empty("error", entry.error);
  if (entry.resulting_version) fields.integer("resultingVersion", *entry.resulting_version);
  fields.text_unless_empty("code", to_string(entry.code));
  fields.integer("seq", entry.seq);
  fields.text("engineId", entry.engine_id);
  fields.text("principal", entry.principal);
  fields.boolean("actorVerified", entry.actor_verified);
  fields.integer("previousVersion", entry.previous_version);
  fields.text("policyRevision", entry.policy_revision);
  fields.text_unless_empty("policyRule", entry.policy_rule);
  fields.text_unless_empty("ruleRevision", entry.rule_revision);
  fields.text_unless_empty("transactionId", entry.transaction_id);
  fields.text("payloadHash", entry.payload_hash);
  if (entry.resulting_value &&
      (!entry.proposal.value || !json::equal(*entry.resulting_value, *entry.proposal.value))) {
    fields.text("resultingValueJson", json::write(*entry.resulting_value));
  }
  fields.text("salt", entry.salt);
  fields.text("prevHash", entry.prev_hash);
  fields.text("hash", entry.hash);
  write_rules(entry.rules, fields);
  write_orders(entry, fields);
  return fields.status();
}

Result<LogEntry> read_entry(const Document& document) {
  FieldReader fields(document);
  LogEntry entry;
  read_proposal(fields, entry.proposal);
  read_verdict(fields, entry);
  if (!fields.has("hash")) {
    SE_RETURN_IF_ERROR(fields.status());
    complete_foreign(entry);
    return entry;
  }
  entry.seq = fields.integer("seq").value_or(0);
  entry.engine_id = fields.text("engineId");
  entry.principal = fields.text("principal");
  entry.actor_verified = fields.boolean("actorVerified", true);
  entry.previous_version = fields.integer("previousVersion").value_or(0);
  entry.policy_revision = fields.text("policyRevision");
  entry.policy_rule = fields.text("policyRule");
  entry.rule_revision = fields.text("ruleRevision");
  entry.transaction_id = fields.text("transactionId");
  entry.payload_hash = fields.text("payloadHash");
  entry.salt = fields.text("salt");
  entry.prev_hash = fields.text("prevHash");
  entry.hash = fields.text("hash");
  read_rules(fields, entry.rules);
  const bool deletes = entry.proposal.op == Op::kDelete || entry.proposal.op == Op::kExpire;
  if (entry.accepted && !deletes) {
    entry.resulting_value = fields.json("resultingValue");
    if (!entry.resulting_value) entry.resulting_value = entry.proposal.value;
  }
  SE_RETURN_IF_ERROR(fields.status());
  return entry;
}

Status write_effect(const Effect& effect, std::string_view engine_id, std::int64_t position,
                    Document& out) {
  FieldWriter fields(out);
  fields.text("id", effect.id);
  fields.text("ruleId", effect.rule_id);
  fields.text("causeId", effect.cause_id);
  fields.integer("causeSeq", effect.cause_seq);
  fields.text("type", effect.type);
  fields.text("payload", effect.payload);
  fields.text_unless_empty("correlationId", effect.correlation_id);
  fields.time("createdAt", effect.created_at);
  fields.text("engineId", engine_id);
  fields.integer("position", position);
  fields.text("state", to_string(EffectState::kPending));
  fields.text("queue", sortable(engine_id, position));
  fields.integer("pendingSinceMs", to_ms(effect.created_at));
  return fields.status();
}

Result<OutboxRow> read_effect(const Document& document) {
  FieldReader fields(document);
  OutboxRow row;
  row.effect.id = fields.text("id");
  row.effect.rule_id = fields.text("ruleId");
  row.effect.cause_id = fields.text("causeId");
  row.effect.cause_seq = fields.integer("causeSeq").value_or(0);
  row.effect.type = fields.text("type");
  row.effect.payload = fields.text("payload");
  row.effect.correlation_id = fields.text("correlationId");
  row.effect.created_at = fields.time("createdAt").value_or(Timestamp{});
  row.position = fields.integer("position").value_or(0);
  const std::string state = fields.text("state");
  for (const EffectState known : {EffectState::kSent, EffectState::kNoSubscriber}) {
    if (state == to_string(known)) row.state = known;
  }
  row.delivered_at = fields.time("deliveredAt");
  if (row.effect.id.empty()) return fields.damaged("it has no id");
  return row;
}

Status write_rule_state(const RuleState& state, Document& out) {
  FieldWriter fields(out);
  fields.text("ruleId", state.rule_id);
  fields.text("key", state.key);
  fields.boolean("truth", state.truth);
  if (state.since) fields.time("since", *state.since);
  if (state.deadline) fields.time("deadline", *state.deadline);
  if (state.cooldown_until) fields.time("cooldownUntil", *state.cooldown_until);
  return fields.status();
}

Result<RuleState> read_rule_state(const Document& document) {
  const FieldReader fields(document);
  RuleState state;
  state.rule_id = fields.text("ruleId");
  state.key = fields.text("key");
  state.truth = fields.boolean("truth", false);
  state.since = fields.time("since");
  state.deadline = fields.time("deadline");
  state.cooldown_until = fields.time("cooldownUntil");
  if (state.rule_id.empty()) return fields.damaged("it names no rule");
  return state;
}

std::string rule_state_id(std::string_view rule_id, std::string_view key) {
  return "h_" + sha256_hex(fmt::format("{}\n{}", rule_id, key));
}

}  // namespace state_engine::firestore
