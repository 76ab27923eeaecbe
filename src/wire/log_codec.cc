// MutationLogEntry in JSON.

#include "wire/fields.h"
#include "wire/json_codec.h"

namespace state_engine::wire {
namespace {

json::Object encode_read(const std::pair<std::string, std::int64_t>& read) {
  return {{"key", read.first}, {"version", read.second}};
}

Result<std::pair<std::string, std::int64_t>> decode_read(const json::Value& value) {
  const auto object = as_object(value, "the read");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  std::pair<std::string, std::int64_t> out{fields.required_text("key"),
                                           fields.required_integer("version")};
  SE_RETURN_IF_ERROR(fields.status("the read"));
  return out;
}

json::Object encode_rule(const RuleRecord& rule) {
  json::Object out;
  out.reserve(8);
  put(out, "ruleId", rule.rule_id);
  put(out, "ruleHash", rule.rule_hash);
  put(out, "matched", rule.matched);
  put(out, "effects", rule.effects);
  put(out, "derived", rule.derived);
  put(out, "reads", encode_list(rule.reads, encode_read));
  put_optional(out, "error", rule.error);
  put_optional(out, "held", rule.held);
  return out;
}

Result<RuleRecord> decode_rule(const json::Value& value) {
  const auto object = as_object(value, "the rule record");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  RuleRecord out;
  out.rule_id = fields.required_text("ruleId");
  out.rule_hash = fields.text("ruleHash").value_or("");
  out.matched = fields.flag("matched").value_or(false);
  out.effects = static_cast<int>(fields.integer("effects").value_or(0));
  out.derived = static_cast<int>(fields.integer("derived").value_or(0));
  out.reads = read_list(fields, "reads", decode_read);
  out.error = fields.text("error").value_or("");
  out.held = fields.text("held").value_or("");
  SE_RETURN_IF_ERROR(fields.status("the rule record"));
  return out;
}

// Reads what put_proposal wrote. The engine wrote it, so op may be expire and no field is unknown.
Proposal read_proposal(FieldReader& fields) {
  Proposal out;
  out.id = fields.required_text("id");
  if (fields.any("op") == nullptr) fields.add_fault("op is missing");
  out.op = read_op(fields, true).value_or(Op::kSet);
  out.key = fields.text("key").value_or("");
  out.value = read_value(fields, "value");
  out.actor = fields.text("actor").value_or("");
  out.reason = fields.text("reason").value_or("");
  out.expected_version = fields.integer("expectedVersion");
  out.ts = fields.required_time("ts");
  out.ttl = fields.seconds("ttl");
  if (auto metadata = read_value(fields, "metadata"); metadata && metadata->is_object()) {
    out.metadata = std::move(metadata->get_object());
  } else if (metadata && !metadata->is_null()) {
    fields.add_fault("metadata is " + describe(*metadata) + "; expected an object");
  }
  out.correlation_id = fields.text("correlationId").value_or("");
  out.causation_id = fields.text("causationId").value_or("");
  out.traceparent = fields.text("traceparent").value_or("");
  return out;
}

}  // namespace

json::Object encode_log_entry(const LogEntry& entry) {
  json::Object out;
  out.reserve(34);
  put_proposal(out, entry.proposal);
  put(out, "seq", entry.seq);
  put(out, "engineId", entry.engine_id);
  put(out, "principal", entry.principal);
  put(out, "actorVerified", entry.actor_verified);
  put_verdict(out, {entry.accepted, entry.code, entry.error});
  put(out, "previousVersion", entry.previous_version);
  put_optional(out, "resultingVersion", entry.resulting_version);
  put(out, "committedAt", entry.committed_at);
  put(out, "policyRevision", entry.policy_revision);
  put_optional(out, "policyRule", entry.policy_rule);
  put(out, "ruleRevision", entry.rule_revision);
  put_optional(out, "transactionId", entry.transaction_id);
  put(out, "rules", encode_list(entry.rules, encode_rule));
  put(out, "payloadHash", entry.payload_hash);
  if (entry.resulting_value) put(out, "resultingValue", *entry.resulting_value);
  put(out, "salt", entry.salt);
  put(out, "prevHash", entry.prev_hash);
  put(out, "hash", entry.hash);
  return out;
}

Result<LogEntry> decode_log_entry(const json::Value& value) {
  const auto object = as_object(value, "the log entry");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  LogEntry out;
  out.proposal = read_proposal(fields);
  out.seq = fields.required_integer("seq");
  out.engine_id = fields.required_text("engineId");
  out.principal = fields.text("principal").value_or("");
  out.actor_verified = fields.flag("actorVerified").value_or(false);
  Verdict verdict = read_verdict(fields);
  out.accepted = verdict.accepted;
  out.code = verdict.code;
  out.error = std::move(verdict.error);
  out.previous_version = fields.integer("previousVersion").value_or(0);
  out.resulting_version = fields.integer("resultingVersion");
  out.committed_at = fields.required_time("committedAt");
  out.policy_revision = fields.text("policyRevision").value_or("");
  out.policy_rule = fields.text("policyRule").value_or("");
  out.rule_revision = fields.text("ruleRevision").value_or("");
  out.transaction_id = fields.text("transactionId").value_or("");
  out.rules = read_list(fields, "rules", decode_rule);
  out.payload_hash = fields.text("payloadHash").value_or("");
  out.resulting_value = read_value(fields, "resultingValue");
  out.salt = fields.text("salt").value_or("");
  out.prev_hash = fields.required_text("prevHash");
  out.hash = fields.required_text("hash");
  SE_RETURN_IF_ERROR(fields.status("the log entry"));
  return out;
}

}  // namespace state_engine::wire
