// One fault at a time: the first one found is what the proposer has to mend first.

#include "core/validate.h"

#include <fmt/format.h>

#include "base/limits.h"
#include "core/keys.h"

namespace state_engine {
namespace {

using Fault = std::optional<ProposalFault>;

ProposalFault invalid(std::string message) {
  return {RejectionCode::kInvalidProposal, std::move(message)};
}

ProposalFault too_large(std::string_view field, std::size_t actual, std::size_t most) {
  return {RejectionCode::kTooLarge,
          fmt::format("{} has {} bytes; at most {} are allowed", field, actual, most)};
}

Fault text_fault(std::string_view field, std::string_view text, std::size_t most) {
  if (text.size() > most) return too_large(field, text.size(), most);
  if (!json::is_utf8(text)) return invalid(fmt::format("{} is not valid UTF-8", field));
  return std::nullopt;
}

Fault trace_fault(const Proposal& proposal) {
  if (auto fault = text_fault("correlationId", proposal.correlation_id, limits::kTraceBytesMax)) {
    return fault;
  }
  if (auto fault = text_fault("causationId", proposal.causation_id, limits::kTraceBytesMax)) {
    return fault;
  }
  return text_fault("traceparent", proposal.traceparent, limits::kTraceBytesMax);
}

Fault value_fault(const Proposal& proposal) {
  const bool needs_value = proposal.op != Op::kDelete && proposal.op != Op::kExpire;
  if (needs_value && !proposal.value) {
    return invalid(fmt::format("value is missing; op {} needs one", to_string(proposal.op)));
  }
  if (!proposal.value) return std::nullopt;
  const std::size_t bytes = json::written_bytes(*proposal.value);
  if (bytes > limits::kValueBytesMax) return too_large("value", bytes, limits::kValueBytesMax);
  return std::nullopt;
}

Fault number_fault(const Proposal& proposal) {
  if (proposal.expected_version && *proposal.expected_version < 0) {
    return invalid(fmt::format("expectedVersion is {}; expected 0 (key absent) or a version from 1",
                               *proposal.expected_version));
  }
  if (proposal.ttl && proposal.ttl->count() <= 0) {
    return invalid("ttl must be greater than 0 seconds");
  }
  // Ten thousand years: beyond it RFC 3339 has no text for the deadline.
  if (proposal.ttl && *proposal.ttl > std::chrono::hours{24 * 366 * 1000}) {
    return invalid("ttl is longer than 1000 years; leave it out for a value that stays");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> id_fault(std::string_view id) {
  if (id.empty()) return "id is empty; expected 1 to 128 characters, for example a UUID";
  if (!json::is_utf8(id)) return "id is not valid UTF-8";
  std::size_t chars = 0;
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return "id holds a control character";
    if ((byte & 0xc0) != 0x80) ++chars;
  }
  if (chars > limits::kIdCharsMax) {
    return fmt::format("id has {} characters; at most {} are allowed", chars, limits::kIdCharsMax);
  }
  return std::nullopt;
}

bool is_reserved_id(std::string_view id) {
  for (const std::string_view prefix : {"expire-", "rule-", "for-"}) {
    if (!id.starts_with(prefix) || id.size() != prefix.size() + 32) continue;
    return id.substr(prefix.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }
  return false;
}

bool is_reserved_actor(std::string_view actor) {
  return actor == "state-engine" || actor.starts_with("rule:");
}

std::optional<ProposalFault> validate(const Proposal& proposal) {
  if (auto fault = id_fault(proposal.id)) return invalid(*fault);
  if (proposal.key.size() > limits::kKeyBytesMax) {
    return too_large("key", proposal.key.size(), limits::kKeyBytesMax);
  }
  if (auto fault = key_fault(proposal.key)) return invalid(*fault);
  if (proposal.actor.empty()) return invalid("actor is missing");
  if (auto fault = text_fault("actor", proposal.actor, limits::kActorBytesMax)) return fault;
  if (proposal.reason.empty()) {
    return invalid("reason is missing; say in a few words why the state changes");
  }
  if (auto fault = text_fault("reason", proposal.reason, limits::kReasonBytesMax)) return fault;
  if (auto fault = trace_fault(proposal)) return fault;
  if (auto fault = number_fault(proposal)) return fault;
  if (auto fault = value_fault(proposal)) return fault;
  const std::size_t metadata = json::written_bytes(proposal.metadata);
  if (metadata > limits::kValueBytesMax) {
    return too_large("metadata", metadata, limits::kValueBytesMax);
  }
  return std::nullopt;
}

}  // namespace state_engine
