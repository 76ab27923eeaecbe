// Protobuf bodies: the core types in the binary encoding of proto/state_engine/v1.
//
// They go through the JSON forms of json_codec.h, so that one mapping decides what a field means.
// Errors of *_from_binary: kInvalidArgument for bytes that are no such message, and as decode_*;
// kResourceExhausted for a proposal beyond the limits that JSON text has.

#ifndef STATE_ENGINE_WIRE_BINARY_CODEC_H_
#define STATE_ENGINE_WIRE_BINARY_CODEC_H_

#include <string>
#include <string_view>

#include "base/result.h"
#include "core/types.h"
#include "wire/json_codec.h"

namespace state_engine::wire {

std::string proposal_to_binary(const Proposal& proposal);
Result<DecodedProposal> proposal_from_binary(std::string_view bytes,
                                             const ProposalRules& rules = {});

std::string snapshot_to_binary(const Snapshot& snapshot);
Result<Snapshot> snapshot_from_binary(std::string_view bytes);

std::string effect_to_binary(const Effect& effect);
Result<Effect> effect_from_binary(std::string_view bytes);

std::string result_to_binary(const MutationResult& result);
Result<MutationResult> result_from_binary(std::string_view bytes);

std::string transaction_result_to_binary(const TransactionResult& result);
Result<TransactionResult> transaction_result_from_binary(std::string_view bytes);

std::string log_entry_to_binary(const LogEntry& entry);
Result<LogEntry> log_entry_from_binary(std::string_view bytes);

std::string change_to_binary(const ChangeEvent& change);
Result<ChangeEvent> change_from_binary(std::string_view bytes);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_BINARY_CODEC_H_
