// MutationResult, TransactionResult and Effect in JSON.

#include <memory>

#include <fmt/format.h>

#include "wire/fields.h"
#include "wire/json_codec.h"

namespace state_engine::wire {
namespace {

void put_retry_after(json::Object& out,
                     const std::optional<std::chrono::milliseconds>& retry_after) {
  if (retry_after) put(out, "retryAfterMs", std::int64_t{retry_after->count()});
}

std::optional<std::chrono::milliseconds> read_retry_after(FieldReader& fields) {
  const auto ms = fields.integer("retryAfterMs");
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds{*ms};
}

// `derived` and `effects`, left out when empty.
template <typename AnyResult>
void put_consequences(json::Object& out, const AnyResult& result) {
  if (!result.derived.empty()) put(out, "derived", encode_list(result.derived, encode_result));
  if (!result.effects.empty()) put(out, "effects", encode_list(result.effects, encode_effect));
}

template <typename AnyResult>
void read_consequences(FieldReader& fields, AnyResult& result) {
  result.derived = read_list(fields, "derived", decode_result);
  result.effects = read_list(fields, "effects", decode_effect);
}

}  // namespace

json::Object encode_effect(const Effect& effect) {
  json::Object out;
  out.reserve(8);
  put(out, "id", effect.id);
  put(out, "ruleId", effect.rule_id);
  put(out, "causeId", effect.cause_id);
  put(out, "causeSeq", effect.cause_seq);
  put(out, "type", effect.type);
  // The payload is JSON text by invariant; were it not, its text would still be shown.
  auto payload = json::parse(effect.payload, json::trusted_limits());
  put(out, "payload", payload.ok() ? std::move(payload).value() : json::Value(effect.payload));
  put_optional(out, "correlationId", effect.correlation_id);
  put(out, "createdAt", effect.created_at);
  return out;
}

Result<Effect> decode_effect(const json::Value& value) {
  const auto object = as_object(value, "the effect");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  Effect out;
  out.id = fields.required_text("id");
  out.rule_id = fields.text("ruleId").value_or("");
  out.cause_id = fields.required_text("causeId");
  out.cause_seq = fields.integer("causeSeq").value_or(0);
  out.type = fields.text("type").value_or("");
  out.payload = json::write_canonical(read_value(fields, "payload").value_or(nullptr));
  out.correlation_id = fields.text("correlationId").value_or("");
  out.created_at = fields.required_time("createdAt");
  SE_RETURN_IF_ERROR(fields.status("the effect"));
  return out;
}

json::Object encode_result(const MutationResult& result) {
  json::Object out;
  out.reserve(14);
  put(out, "mutationId", result.mutation_id);
  put_verdict(out, {result.accepted, result.code, result.error});
  put(out, "key", result.key);
  put(out, "op", to_string(result.op));
  put_optional(out, "version", result.version);
  put_optional(out, "previousVersion", result.previous_version);
  put_optional(out, "seq", result.seq);
  put_optional(out, "committedAt", result.committed_at);
  put(out, "duplicate", result.duplicate);
  put(out, "unconditional", result.unconditional);
  if (result.current) put(out, "current", encode_snapshot(*result.current));
  put_retry_after(out, result.retry_after);
  if (result.dry_run) put(out, "dryRun", true);
  put_consequences(out, result);
  return out;
}

Result<MutationResult> decode_result(const json::Value& value) {
  const auto object = as_object(value, "the result");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  MutationResult out;
  out.mutation_id = fields.required_text("mutationId");
  Verdict verdict = read_verdict(fields);
  out.accepted = verdict.accepted;
  out.code = verdict.code;
  out.error = std::move(verdict.error);
  out.key = fields.text("key").value_or("");
  out.op = read_op(fields, true).value_or(Op::kSet);
  out.version = fields.integer("version");
  out.previous_version = fields.integer("previousVersion");
  out.seq = fields.integer("seq");
  out.committed_at = fields.time("committedAt");
  out.duplicate = fields.flag("duplicate").value_or(false);
  out.unconditional = fields.flag("unconditional").value_or(false);
  if (const json::Value* current = fields.any("current"); current && !current->is_null()) {
    auto snapshot = decode_snapshot(*current);
    if (snapshot.ok()) {
      out.current = std::make_shared<const Snapshot>(std::move(snapshot).value());
    } else {
      fields.add_fault(fmt::format("current: {}", snapshot.error().message));
    }
  }
  out.retry_after = read_retry_after(fields);
  out.dry_run = fields.flag("dryRun").value_or(false);
  read_consequences(fields, out);
  SE_RETURN_IF_ERROR(fields.status("the result"));
  return out;
}

json::Object encode_transaction_result(const TransactionResult& result) {
  json::Object out;
  out.reserve(11);
  put(out, "transactionId", result.transaction_id);
  put_verdict(out, {result.accepted, result.code, result.error});
  if (result.failed_index) put(out, "failedIndex", *result.failed_index);
  put(out, "members", encode_list(result.members, encode_result));
  put(out, "duplicate", result.duplicate);
  if (result.dry_run) put(out, "dryRun", true);
  put_retry_after(out, result.retry_after);
  put_consequences(out, result);
  return out;
}

Result<TransactionResult> decode_transaction_result(const json::Value& value) {
  const auto object = as_object(value, "the transaction result");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  TransactionResult out;
  out.transaction_id = fields.required_text("transactionId");
  Verdict verdict = read_verdict(fields);
  out.accepted = verdict.accepted;
  out.code = verdict.code;
  out.error = std::move(verdict.error);
  if (const auto index = fields.integer("failedIndex")) {
    out.failed_index = static_cast<int>(*index);
  }
  out.members = read_list(fields, "members", decode_result);
  out.duplicate = fields.flag("duplicate").value_or(false);
  out.dry_run = fields.flag("dryRun").value_or(false);
  out.retry_after = read_retry_after(fields);
  read_consequences(fields, out);
  SE_RETURN_IF_ERROR(fields.status("the transaction result"));
  return out;
}

}  // namespace state_engine::wire
