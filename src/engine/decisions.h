// What goes into the writer and comes out of it.

#ifndef STATE_ENGINE_ENGINE_DECISIONS_H_
#define STATE_ENGINE_ENGINE_DECISIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "core/policy.h"
#include "core/types.h"

namespace state_engine {

// Who stands behind a proposal, beside the actor it names.
struct Origin {
  std::string principal = "in-process";  // who authenticated
  bool actor_verified = true;            // the actor comes from the credential
};

// Several proposals that apply together or not at all, in order, each seeing the ones before.
// Member ids are `<id>:<i>`; the engine sets them.
struct TransactionProposal {
  std::string id;
  std::vector<Proposal> members;  // 1 to limits::kTransactionMembersMax
};

struct ProposeOptions {
  bool dry_run = false;
  bool fresh_id = false;  // the id was made just now: no earlier record can exist
  // What the door found wrong: the proposal, as far as it could be read, is recorded as rejected.
  std::optional<PolicyDenial> fault = std::nullopt;
};

// An accepted entry that is durable. Valid during the call that tells of it.
struct CommittedChange {
  const LogEntry& entry;
  const Snapshot* before;  // as readers saw it; null = nothing
};

// One proposal of a source that keeps an order.
struct Submission {
  Proposal proposal;
  Origin origin;
  ProposeOptions options = {};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_DECISIONS_H_
