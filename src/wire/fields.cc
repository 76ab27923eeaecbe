// Parts of messages that several codecs share; one place per rule of the wire.

#include "wire/fields.h"

#include <fmt/format.h>

#include "wire/base64.h"

namespace state_engine::wire {

json::Value encode_seconds(std::chrono::milliseconds duration) {
  const std::int64_t ms = duration.count();
  if (ms % 1000 == 0) return ms / 1000;
  return static_cast<double>(ms) / 1000;
}

void put_proposal(json::Object& out, const Proposal& proposal) {
  put(out, "id", proposal.id);
  put(out, "op", to_string(proposal.op));
  put(out, "key", proposal.key);
  if (proposal.value) put(out, "value", *proposal.value);
  put(out, "actor", proposal.actor);
  put(out, "reason", proposal.reason);
  put_optional(out, "expectedVersion", proposal.expected_version);
  put(out, "ts", proposal.ts);
  if (proposal.ttl) put(out, "ttl", encode_seconds(*proposal.ttl));
  if (!proposal.metadata.empty()) put(out, "metadata", proposal.metadata);
  put_optional(out, "correlationId", proposal.correlation_id);
  put_optional(out, "causationId", proposal.causation_id);
  put_optional(out, "traceparent", proposal.traceparent);
}

std::optional<Op> read_op(FieldReader& fields, bool allow_expire) {
  const auto text = fields.text("op");
  if (!text) return std::nullopt;
  const auto op = parse_op(*text);
  if (op == Op::kExpire && !allow_expire) {
    fields.add_fault("op is 'expire', which only the engine itself commits; use delete");
    return std::nullopt;
  }
  if (!op) {
    fields.add_fault(fmt::format("op is {}; expected set, delete, increment, push or merge",
                                 describe(json::Value(*text))));
  }
  return op;
}

std::optional<json::Value> read_value(FieldReader& fields, std::string_view name) {
  const json::Value* const plain = fields.any(name);
  const std::string companion = std::string{name} + "Json";
  const auto encoded = fields.text(companion);
  if (!encoded) return plain == nullptr ? std::nullopt : std::optional<json::Value>{*plain};
  const auto text = from_base64(*encoded);
  if (!text) {
    fields.add_fault(fmt::format("{} is not base64; expected base64 of JSON text", companion));
    return std::nullopt;
  }
  auto value = json::parse(*text);
  if (!value.ok()) {
    fields.add_fault(fmt::format("{}: {}", companion, value.error().message));
    return std::nullopt;
  }
  return std::move(value).value();
}

Verdict read_verdict(FieldReader& fields) {
  Verdict verdict;
  const std::string status = fields.required_text("status");
  verdict.accepted = status == "accepted";
  if (!status.empty() && status != "accepted" && status != "rejected") {
    fields.add_fault(
        fmt::format("status is {}; expected accepted or rejected", describe(json::Value(status))));
  }
  const auto code = fields.text("code");
  if (code && !code->empty()) {
    const auto known = parse_rejection_code(*code);
    if (known) verdict.code = *known;
    if (!known) {
      fields.add_fault(
          fmt::format("code is {}; expected one of docs/errors.md", describe(json::Value(*code))));
    }
  }
  if (!verdict.accepted && verdict.code == RejectionCode::kNone && status == "rejected" && !code) {
    fields.add_fault("code is missing; a rejection has one");
  }
  verdict.error = fields.text("error").value_or("");
  return verdict;
}

void put_verdict(json::Object& out, const Verdict& verdict) {
  put(out, "status", verdict.accepted ? "accepted" : "rejected");
  if (verdict.code != RejectionCode::kNone) put(out, "code", to_string(verdict.code));
  put_optional(out, "error", verdict.error);
}

Result<const json::Object*> as_object(const json::Value& value, std::string_view subject) {
  if (value.is_object()) return &value.get_object();
  return invalid_argument(fmt::format("{} is {}; expected an object", subject, describe(value)));
}

}  // namespace state_engine::wire
