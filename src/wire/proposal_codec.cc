// MutationProposal in JSON. The only message that strangers write, so every fault is collected and
// nothing that they send is lost: what no field takes goes into metadata.

#include <fmt/format.h>

#include "base/hex.h"
#include "core/validate.h"
#include "wire/fields.h"
#include "wire/json_codec.h"

namespace state_engine::wire {
namespace {

void read_id(FieldReader& fields, DecodedProposal& out) {
  const json::Value* const value = fields.any("id");
  if (value == nullptr || value->is_null()) {
    out.id_fault = "id is missing; expected a string of 1 to 128 characters, for example a UUID";
  } else if (!value->is_string()) {
    out.id_fault = fmt::format("id is {}; expected a string", describe(*value));
  } else if (auto fault = id_fault(value->get_string())) {
    out.id_fault = std::move(*fault);
  } else {
    out.proposal.id = value->get_string();
    out.has_id = true;
  }
}

void read_operation(FieldReader& fields, const ProposalRules& rules, Proposal& proposal) {
  const json::Value* const given = fields.any("op");
  const bool is_absent = given == nullptr || given->is_null();
  const auto op = is_absent ? rules.default_op : read_op(fields, false);
  if (op) {
    proposal.op = *op;
  } else if (is_absent) {
    fields.add_fault("op is missing; expected set, delete, increment, push or merge");
  }
  proposal.value = read_value(fields, "value");
  if (proposal.op == Op::kDelete) proposal.value.reset();
  if (op && *op != Op::kDelete && fields.any("value") == nullptr && !proposal.value) {
    fields.add_fault(fmt::format("value is missing; op {} needs one", to_string(*op)));
  }
}

void read_metadata(FieldReader& fields, Proposal& proposal) {
  const auto metadata = read_value(fields, "metadata");
  if (metadata && metadata->is_object()) {
    proposal.metadata = metadata->get_object();
  } else if (metadata && !metadata->is_null()) {
    fields.add_fault(fmt::format("metadata is {}; expected an object", describe(*metadata)));
  }
  for (const auto* member : fields.unread()) {
    proposal.metadata.emplace(member->key(), member->value());
  }
}

}  // namespace

std::string DecodedProposal::fault_text(bool with_id) const {
  std::string out = with_id ? id_fault : "";
  if (!out.empty() && !faults.empty()) out += "; ";
  return out + join(faults);
}

Result<DecodedProposal> decode_proposal(const json::Value& value, const ProposalRules& rules) {
  const auto object = as_object(value, "the proposal");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  DecodedProposal out;
  Proposal& proposal = out.proposal;
  read_id(fields, out);
  read_operation(fields, rules, proposal);
  proposal.key = fields.required_text("key");
  proposal.actor =
      rules.needs_actor ? fields.required_text("actor") : fields.text("actor").value_or("");
  proposal.reason = fields.required_text("reason");
  proposal.expected_version = fields.integer("expectedVersion");
  if (const auto ts = fields.time("ts")) {
    proposal.ts = *ts;
    out.has_ts = true;
  }
  proposal.ttl = fields.seconds("ttl");
  proposal.correlation_id = fields.text("correlationId").value_or("");
  proposal.causation_id = fields.text("causationId").value_or("");
  proposal.traceparent = fields.text("traceparent").value_or("");
  read_metadata(fields, proposal);
  out.faults = std::move(fields.faults());
  return out;
}

json::Object encode_proposal(const Proposal& proposal) {
  json::Object out;
  out.reserve(14);
  put_proposal(out, proposal);
  return out;
}

std::string dead_letter_id(std::string_view body) {
  return "dead-" + sha256_hex(body).substr(0, 32);
}

}  // namespace state_engine::wire
