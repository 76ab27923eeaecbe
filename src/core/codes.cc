// docs/errors.md is generated from this table, and a test compares the two.

#include "core/codes.h"

#include <array>

#include "base/assert.h"

namespace state_engine {
namespace {

constexpr std::array<RejectionInfo, 15> kTable{{
    {RejectionCode::kInvalidProposal, "invalid_proposal",
     "The proposal is malformed: a field is missing, has the wrong type or is out of range.",
     "Correct the field that the message names and propose again with a new id.", true, false, 2},
    {RejectionCode::kKeyNotAllowed, "key_not_allowed", "The key matches no entry of allowedKeys.",
     "Use an allowed key, or ask the operator to add it to allowedKeys.", true, false, 3},
    {RejectionCode::kActorNotAllowed, "actor_not_allowed",
     "The policy does not let this actor do this operation on this key.",
     "Do not retry; propose as an allowed actor or ask the operator.", true, false, 3},
    {RejectionCode::kInvalidValue, "invalid_value",
     "The value breaks the key's JSON Schema, or the ttl exceeds its maximum.",
     "Change the value as the message says and propose again with a new id.", true, false, 1},
    {RejectionCode::kTypeMismatch, "type_mismatch",
     "The operation does not fit the current value: increment needs numbers, push an array, merge "
     "an object.",
     "Read the key, then use set or the operation that fits.", true, false, 1},
    {RejectionCode::kNotFound, "not_found", "There is nothing to delete under this key.",
     "Nothing to do; list keys with a prefix read if the name may be wrong.", true, false, 5},
    {RejectionCode::kVersionConflict, "version_conflict",
     "The key changed since it was read: its version is not expectedVersion.",
     "Decide again on the current snapshot in the answer and propose with its version and a new "
     "id.",
     true, false, 4},
    {RejectionCode::kPreconditionFailed, "precondition_failed",
     "The policy wants another key to have a certain value for this write, and it has not.",
     "Read the key that the message names, and propose with a new id once it is as required.", true,
     false, 4},
    {RejectionCode::kTooLarge, "too_large",
     "A part of the proposal, or its result, exceeds a limit.",
     "Shorten or split it; the message names limit and actual size.", true, false, 1},
    {RejectionCode::kRateLimited, "rate_limited", "The key's rate limit is used up for now.",
     "Wait retryAfterMs, then send the same proposal with the same id.", false, true, 6},
    {RejectionCode::kIdReused, "id_reused", "This id was used before for a different proposal.",
     "Propose with a new id; an id belongs to one payload for ever.", false, false, 1},
    {RejectionCode::kRuleBudgetExceeded, "rule_budget_exceeded",
     "The rules that this change sets off go deeper or fire more often than allowed.",
     "Do not retry; the operator must look at the rules named in the message.", true, false, 1},
    {RejectionCode::kTransactionAborted, "transaction_aborted",
     "Another mutation of the same transaction was rejected, so nothing of it was applied.",
     "Mend the mutation at failedIndex and propose the whole transaction with a new id.", true,
     false, 1},
    {RejectionCode::kDeadLetter, "dead_letter", "A message on the bus could not be decoded.",
     "Fix the producer; the record holds the beginning of the message.", true, false, 1},
    {RejectionCode::kUnavailable, "unavailable",
     "The engine could not decide now: it is overloaded, stopping, or its store does not answer.",
     "Wait retryAfterMs, then send the same proposal with the same id.", false, true, 1},
}};

}  // namespace

std::span<const RejectionInfo> rejection_table() { return kTable; }

const RejectionInfo& info(RejectionCode code) {
  for (const RejectionInfo& row : kTable) {
    if (row.code == code) return row;
  }
  SE_UNREACHABLE();
}

std::string_view to_string(RejectionCode code) {
  return code == RejectionCode::kNone ? std::string_view{} : info(code).name;
}

std::optional<RejectionCode> parse_rejection_code(std::string_view name) {
  for (const RejectionInfo& row : kTable) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

}  // namespace state_engine
