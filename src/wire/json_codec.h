// JSON forms of the core types, as proto/state_engine/v1 describes them.
//
// encode_* gives the members in the order of the schema; json::write makes the text. decode_* take
// what encode_* gives and what a protobuf JSON printer gives (int64 as strings, snake_case names).
// Errors of decode_*: kInvalidArgument listing every faulty field. Fields that a decoder does not
// know are ignored, except in proposals.

#ifndef STATE_ENGINE_WIRE_JSON_CODEC_H_
#define STATE_ENGINE_WIRE_JSON_CODEC_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "core/types.h"

namespace state_engine::wire {

// What a door accepts in a proposal beyond the bus form.
struct ProposalRules {
  bool needs_actor = true;       // false where the credential says who proposes
  std::optional<Op> default_op;  // for an absent op; without it that is a fault
};

// A proposal as far as it could be read: a field with a fault keeps its default.
struct DecodedProposal {
  Proposal proposal;
  bool has_id = false;              // false: missing or unusable; id_fault says which
  bool has_ts = false;              // false: missing; the caller fills in the time of arrival
  std::string id_fault;             // "" if has_id
  std::vector<std::string> faults;  // of all other fields; "key is 7; expected a string"

  // All faults in one line, for RejectionCode::kInvalidProposal; the id's first, if asked for.
  std::string fault_text(bool with_id) const;
};

// Reads a proposal. Unknown members go into its metadata, where a member of that name has priority.
// The value of a delete is dropped. Structure only: sizes, key form and policy are core's business.
// Errors: kInvalidArgument if `value` is no object; faults of fields are part of the value.
Result<DecodedProposal> decode_proposal(const json::Value& value, const ProposalRules& rules = {});

json::Object encode_proposal(const Proposal& proposal);

json::Object encode_snapshot(const Snapshot& snapshot);
Result<Snapshot> decode_snapshot(const json::Value& value);

// Appends json::write(encode_snapshot(snapshot)) without building it.
void write_snapshot_to(std::string& out, const Snapshot& snapshot);

json::Object encode_effect(const Effect& effect);
Result<Effect> decode_effect(const json::Value& value);

json::Object encode_result(const MutationResult& result);
Result<MutationResult> decode_result(const json::Value& value);

json::Object encode_transaction_result(const TransactionResult& result);
Result<TransactionResult> decode_transaction_result(const json::Value& value);

json::Object encode_log_entry(const LogEntry& entry);
Result<LogEntry> decode_log_entry(const json::Value& value);

json::Object encode_change(const ChangeEvent& change);
Result<ChangeEvent> decode_change(const json::Value& value);

// The id of a message that could not be decoded: "dead-" + 32 hex of SHA-256(body).
std::string dead_letter_id(std::string_view body);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_JSON_CODEC_H_
