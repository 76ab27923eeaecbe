// Structural checks of a proposal, before policy: presence, form and size of its fields.

#ifndef STATE_ENGINE_CORE_VALIDATE_H_
#define STATE_ENGINE_CORE_VALIDATE_H_

#include <optional>
#include <string>
#include <string_view>

#include "core/types.h"

namespace state_engine {

struct ProposalFault {
  RejectionCode code = RejectionCode::kInvalidProposal;  // or kTooLarge
  std::string message;                                   // names the field, seen and expected
};

// Returns the first fault of `proposal`, or nothing. Does not look at state or policy.
std::optional<ProposalFault> validate(const Proposal& proposal);

// Returns what is wrong with a mutation id, or nothing: 1-128 characters, no control characters.
std::optional<std::string> id_fault(std::string_view id);

// True for ids of the form that the engine gives to expiries, derived mutations and firings
// ("expire-", "rule-" or "for-" and 32 hex digits). Proposers may not use them: they could block
// the engine's own.
bool is_reserved_id(std::string_view id);

// True for actors that only the engine itself may use: "state-engine" and "rule:*".
bool is_reserved_actor(std::string_view actor);

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_VALIDATE_H_
