// What a message on the mutation subject asks for: a proposal, in JSON or protobuf, or the record
// that says why it is none.

#ifndef STATE_ENGINE_WIRE_BUS_PROPOSAL_H_
#define STATE_ENGINE_WIRE_BUS_PROPOSAL_H_

#include <optional>
#include <string>
#include <string_view>

#include "core/types.h"
#include "wire/json_codec.h"

namespace state_engine::wire {

struct BusProposal {
  // As far as it could be read; the id is always usable, made of the body if the message has none.
  Proposal proposal;
  RejectionCode fault = RejectionCode::kNone;  // kInvalidProposal or kDeadLetter
  std::string fault_text;
};

// Reads `body`. `content_type` may be empty: JSON is tried first, then protobuf. `arrived` fills in
// a missing ts. Never fails: bodies that are nothing readable become dead letters, with their first
// 4 KiB as value.
BusProposal read_bus_proposal(std::string_view body, std::string_view content_type,
                              Timestamp arrived, const ProposalRules& rules = {});

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_BUS_PROPOSAL_H_
