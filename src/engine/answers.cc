// One place makes answers, so that a repetition gives what the first delivery gave.

#include "engine/answers.h"

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine {
namespace {

// The longest prefix of `text` of at most `most` bytes that ends between characters.
std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
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

Proposal bounded(const Proposal& proposal) {
  Proposal out = proposal;
  out.key = cut(out.key, limits::kKeyBytesMax);
  out.actor = cut(out.actor, limits::kActorBytesMax);
  out.reason = cut(out.reason, limits::kReasonBytesMax);
  out.correlation_id = cut(out.correlation_id, limits::kTraceBytesMax);
  out.causation_id = cut(out.causation_id, limits::kTraceBytesMax);
  out.traceparent = cut(out.traceparent, limits::kTraceBytesMax);
  if (out.value && json::written_bytes(*out.value) > limits::kValueBytesMax) out.value.reset();
  if (json::written_bytes(out.metadata) > limits::kValueBytesMax) out.metadata.clear();
  return out;
}

}  // namespace state_engine
