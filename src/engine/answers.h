// Answers: results made from proposals and from records.

#ifndef STATE_ENGINE_ENGINE_ANSWERS_H_
#define STATE_ENGINE_ENGINE_ANSWERS_H_

#include <optional>
#include <string>

#include "core/policy.h"
#include "core/types.h"
#include "ports/state_store.h"

namespace state_engine {

// The answer that the record of a decided mutation gives, marked as a duplicate. `current` is
// attached if the record is a version conflict.
MutationResult answer_from(const LogEntry& entry, SnapshotPtr current);

// An answer without a record: nothing was decided.
MutationResult plain_answer(const Proposal& proposal, RejectionCode code, std::string error);

// The id belongs to another proposal.
MutationResult id_reused_answer(const std::string& id, const std::string& key);

// The event of an accepted entry; `prev` is what readers saw before, null = nothing.
ChangeEvent change_event(const LogEntry& entry, json::Value prev);

// Takes out what a dry run cannot know: seq and commit time, of derived mutations too.
void make_dry(MutationResult& result);

// Checks `expectedVersion` against `current` (null or a tombstone: absent). Absent matches 0; a
// tombstone also matches its own version.
std::optional<PolicyDenial> version_denial(const Proposal& proposal, const Snapshot* current,
                                           Timestamp now);

// `proposal` with every field cut to what a log record may hold, so that hostile input costs
// little once it is rejected. A valid proposal comes back unchanged.
Proposal bounded(const Proposal& proposal);

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_ANSWERS_H_
