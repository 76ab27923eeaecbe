// Rejection codes: the one table of why a mutation did not happen, and what to do about it.
//
// The codes are stable: programs may compare them. docs/errors.md is generated from this table
// (`state-engine errors --markdown`), and MCP, CLI and logs show the same words.

#ifndef STATE_ENGINE_CORE_CODES_H_
#define STATE_ENGINE_CORE_CODES_H_

#include <optional>
#include <span>
#include <string_view>

namespace state_engine {

enum class RejectionCode {
  kNone,  // accepted
  kInvalidProposal,
  kKeyNotAllowed,
  kActorNotAllowed,
  kInvalidValue,
  kTypeMismatch,
  kNotFound,
  kVersionConflict,
  kPreconditionFailed,
  kTooLarge,
  kRateLimited,
  kIdReused,
  kRuleBudgetExceeded,
  kTransactionAborted,
  kDeadLetter,
  kUnavailable,
};

struct RejectionInfo {
  RejectionCode code;
  std::string_view name;     // "version_conflict"
  std::string_view meaning;  // one sentence
  std::string_view remedy;   // what the caller does next
  bool logged;               // takes a seq and a log record
  bool retry_same_id;        // the same proposal may be sent again with the same id
  int exit_code;             // of the CLI
};

// Every code but kNone, in declaration order.
std::span<const RejectionInfo> rejection_table();

// REQUIRES: code != kNone.
const RejectionInfo& info(RejectionCode code);

// "" for kNone.
std::string_view to_string(RejectionCode code);
std::optional<RejectionCode> parse_rejection_code(std::string_view name);

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_CODES_H_
