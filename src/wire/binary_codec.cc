// Each pair goes core <-> JSON value <-> message. A second, direct mapping for every type would be
// faster and could drift from the first; binary bodies are rare, so the one mapping wins.

#include "wire/binary_codec.h"

#include <limits>

#include <fmt/format.h>
#include <state_engine/v1/change_event.pb.h>
#include <state_engine/v1/effect.pb.h>
#include <state_engine/v1/mutation_log_entry.pb.h>
#include <state_engine/v1/mutation_proposal.pb.h>
#include <state_engine/v1/mutation_result.pb.h>
#include <state_engine/v1/state_snapshot.pb.h>

#include "base/limits.h"
#include "wire/message_json.h"

namespace state_engine::wire {
namespace {

// REQUIRES: `object` is what an encode_* of the same message gave, so it fits the schema.
template <typename Message>
std::string to_binary(const json::Object& object) {
  Message message;
  const Status status = json_to_message(object, message);
  SE_ASSERT(status.ok());
  return message.SerializeAsString();
}

template <typename Message>
Result<json::Value> from_binary(std::string_view bytes) {
  Message message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return invalid_argument(fmt::format("{} bytes are no protobuf message {}", bytes.size(),
                                        Message::descriptor()->full_name()));
  }
  auto object = message_to_json(message);
  if (!object.ok()) return std::move(object).error();
  return json::Value(std::move(object).value());
}

// What the JSON reader counts while it parses: the values in `value`, itself included.
std::size_t node_count(const json::Value& value) {
  std::size_t count = 1;
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) count += node_count(element);
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) count += node_count(member.value());
  }
  return count;
}

// The limits of a JSON proposal, for bodies that come in the binary encoding.
Status check_limits(const json::Value& proposal) {
  const std::size_t nodes = node_count(proposal);
  if (nodes <= limits::kJsonNodesMax) return {};
  return Error{
      ErrorCode::kResourceExhausted,
      fmt::format("the proposal has {} values; the limit is {}", nodes, limits::kJsonNodesMax)};
}

template <typename Message, typename T>
Result<T> decode_binary(std::string_view bytes, Result<T> (*decode)(const json::Value&)) {
  auto value = from_binary<Message>(bytes);
  if (!value.ok()) return std::move(value).error();
  return decode(*value);
}

}  // namespace

std::string proposal_to_binary(const Proposal& proposal) {
  return to_binary<v1::MutationProposal>(encode_proposal(proposal));
}

Result<DecodedProposal> proposal_from_binary(std::string_view bytes, const ProposalRules& rules) {
  if (bytes.size() > limits::kProposalBytesMax) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("the proposal has {} bytes; the limit is {}", bytes.size(),
                             limits::kProposalBytesMax)};
  }
  auto value = from_binary<v1::MutationProposal>(bytes);
  if (!value.ok()) return std::move(value).error();
  SE_RETURN_IF_ERROR(check_limits(*value));
  // proto3 has no absent string: an empty id is a missing one.
  json::Object& object = value->get_object();
  for (const char* name : {"id", "key", "actor", "reason"}) {
    if (object.at(name).get_string().empty()) object.erase(name);
  }
  return decode_proposal(*value, rules);
}

std::string snapshot_to_binary(const Snapshot& snapshot) {
  return to_binary<v1::StateSnapshot>(encode_snapshot(snapshot));
}

Result<Snapshot> snapshot_from_binary(std::string_view bytes) {
  return decode_binary<v1::StateSnapshot>(bytes, decode_snapshot);
}

std::string effect_to_binary(const Effect& effect) {
  return to_binary<v1::Effect>(encode_effect(effect));
}

Result<Effect> effect_from_binary(std::string_view bytes) {
  return decode_binary<v1::Effect>(bytes, decode_effect);
}

std::string result_to_binary(const MutationResult& result) {
  return to_binary<v1::MutationResult>(encode_result(result));
}

Result<MutationResult> result_from_binary(std::string_view bytes) {
  return decode_binary<v1::MutationResult>(bytes, decode_result);
}

std::string transaction_result_to_binary(const TransactionResult& result) {
  return to_binary<v1::TransactionResult>(encode_transaction_result(result));
}

Result<TransactionResult> transaction_result_from_binary(std::string_view bytes) {
  return decode_binary<v1::TransactionResult>(bytes, decode_transaction_result);
}

std::string log_entry_to_binary(const LogEntry& entry) {
  return to_binary<v1::MutationLogEntry>(encode_log_entry(entry));
}

Result<LogEntry> log_entry_from_binary(std::string_view bytes) {
  return decode_binary<v1::MutationLogEntry>(bytes, decode_log_entry);
}

std::string change_to_binary(const ChangeEvent& change) {
  return to_binary<v1::ChangeEvent>(encode_change(change));
}

Result<ChangeEvent> change_from_binary(std::string_view bytes) {
  return decode_binary<v1::ChangeEvent>(bytes, decode_change);
}

}  // namespace state_engine::wire
