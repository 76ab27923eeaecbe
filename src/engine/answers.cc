// One place makes answers, so that a repetition gives what the first delivery gave.

#include "engine/answers.h"

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine {
namespace {

// Leaves the longest prefix of at most `most` bytes that ends between characters.
void cut(std::string& text, std::size_t most) {
  if (text.size() <= most) return;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

}  // namespace

MutationResult answer_from(const LogEntry& entry, SnapshotPtr current) {
  MutationResult result;
  result.mutation_id = entry.proposal.id;
  result.accepted = entry.accepted;
  result.code = entry.code;
  result.error = entry.error;
  result.key = entry.proposal.key;
  result.op = entry.proposal.op;
  result.version = entry.resulting_version;
  result.previous_version = entry.previous_version;
  result.seq = entry.seq;
  result.committed_at = entry.committed_at;
  result.duplicate = true;
  result.unconditional = entry.accepted && !entry.proposal.expected_version;
  if (entry.code == RejectionCode::kVersionConflict) result.current = std::move(current);
  return result;
}

MutationResult plain_answer(const Proposal& proposal, RejectionCode code, std::string error) {
  MutationResult result;
  result.mutation_id = proposal.id;
  result.code = code;
  result.error = std::move(error);
  result.key = proposal.key;
  result.op = proposal.op;
  return result;
}

MutationResult id_reused_answer(const std::string& id, const std::string& key) {
  MutationResult result;
  result.mutation_id = id;
  result.code = RejectionCode::kIdReused;
  result.error = "This id was used before for a different proposal; propose with a new id";
  result.key = key;
  return result;
}

void make_dry(MutationResult& result) {
  result.dry_run = true;
  result.seq.reset();
  result.committed_at.reset();
  for (MutationResult& derived : result.derived) make_dry(derived);
}

std::optional<PolicyDenial> version_denial(const Proposal& proposal, const Snapshot* current,
                                           Timestamp now) {
  if (!proposal.expected_version) return std::nullopt;
  const std::int64_t expected = *proposal.expected_version;
  const bool visible = current != nullptr && current->visible_at(now);
  const std::int64_t found = visible ? current->version : 0;
  if (expected == found) return std::nullopt;
  if (!visible && current != nullptr && expected == current->version) return std::nullopt;
  return PolicyDenial{RejectionCode::kVersionConflict,
                      fmt::format("Version mismatch: expected {}, found {}", expected, found)};
}

ChangeEvent change_event(const LogEntry& entry, json::Value prev) {
  ChangeEvent out;
  out.seq = entry.seq;
  out.engine_id = entry.engine_id;
  out.key = entry.proposal.key;
  out.op = entry.proposal.op;
  out.version = entry.resulting_version.value_or(0);
  if (entry.resulting_value) out.value = *entry.resulting_value;
  out.prev = std::move(prev);
  out.actor = entry.proposal.actor;
  out.reason = entry.proposal.reason;
  out.mutation_id = entry.proposal.id;
  out.causation_id = entry.proposal.causation_id;
  out.correlation_id = entry.proposal.correlation_id;
  out.committed_at = entry.committed_at;
  return out;
}

Proposal bounded(const Proposal& proposal) {
  Proposal out = proposal;
  cut(out.key, limits::kKeyBytesMax);
  cut(out.actor, limits::kActorBytesMax);
  cut(out.reason, limits::kReasonBytesMax);
  cut(out.correlation_id, limits::kTraceBytesMax);
  cut(out.causation_id, limits::kTraceBytesMax);
  cut(out.traceparent, limits::kTraceBytesMax);
  if (out.value && json::written_bytes(*out.value) > limits::kValueBytesMax) out.value.reset();
  if (json::written_bytes(out.metadata) > limits::kValueBytesMax) out.metadata.clear();
  return out;
}

}  // namespace state_engine
