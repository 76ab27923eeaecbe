// The content type decides if there is one; else JSON is tried first, since that is what the
// platform sends, and protobuf only if the body is no JSON at all.

#include "wire/bus_proposal.h"

#include <fmt/format.h>

#include "base/limits.h"
#include "core/validate.h"
#include "wire/base64.h"
#include "wire/binary_codec.h"

namespace state_engine::wire {
namespace {

constexpr std::size_t kDeadLetterBytesKept = 4096;

bool has(const json::Object& object, std::string_view name) {
  return json::find(object, name) != nullptr;
}

// What other shapes of the platform are seen on this subject, for an error that helps.
std::string foreign_shape(const json::Object& object) {
  if (has(object, "op") && has(object, "key")) return "";
  if (has(object, "v") && (has(object, "routing") || has(object, "identity"))) {
    return "this is an InternalEventV2, not a MutationProposal: publish the proposal itself here; ";
  }
  if (has(object, "mutations")) {
    return "this is a list of mutations, not a MutationProposal: publish one message for each; ";
  }
  return "";
}

// The beginning of a body as JSON text can hold it.
json::Value excerpt(std::string_view body) {
  std::string_view head = body.substr(0, kDeadLetterBytesKept);
  for (int cut = 0; cut < 4 && !json::is_utf8(head) && !head.empty(); ++cut) head.remove_suffix(1);
  if (json::is_utf8(head)) return json::Value(std::string(head));
  return json::Value("base64:" + to_base64(body.substr(0, kDeadLetterBytesKept)));
}

BusProposal dead_letter(std::string_view body, Timestamp arrived, std::string why) {
  BusProposal out;
  out.proposal.id = dead_letter_id(body);
  out.proposal.value = excerpt(body);
  out.proposal.ts = arrived;
  out.fault = RejectionCode::kDeadLetter;
  out.fault_text = std::move(why);
  return out;
}

BusProposal judge(DecodedProposal decoded, std::string_view body, Timestamp arrived,
                  const std::string& shape) {
  BusProposal out;
  const bool reserved = decoded.has_id && is_reserved_id(decoded.proposal.id);
  const bool own_id = decoded.has_id && !reserved;
  std::string fault = decoded.fault_text(!decoded.has_id);
  if (reserved) fault = "ids of this form are the engine's own; use another, for example a UUID";
  out.proposal = std::move(decoded.proposal);
  if (!own_id) out.proposal.id = dead_letter_id(body);
  if (!decoded.has_ts) out.proposal.ts = arrived;
  if (fault.empty()) return out;
  out.fault = RejectionCode::kInvalidProposal;
  out.fault_text = shape + fault;
  return out;
}

bool names_protobuf(std::string_view content_type) {
  return content_type.find("protobuf") != std::string_view::npos;
}

// Nearly any bytes are some protobuf message: only one with an id and a key is a proposal.
std::optional<DecodedProposal> try_protobuf(std::string_view body, const ProposalRules& rules) {
  auto decoded = proposal_from_binary(body, rules);
  if (!decoded.ok() || !decoded->has_id || decoded->proposal.key.empty()) return std::nullopt;
  return std::move(*decoded);
}

}  // namespace

BusProposal read_bus_proposal(std::string_view body, std::string_view content_type,
                              Timestamp arrived, const ProposalRules& rules) {
  if (body.size() > limits::kProposalBytesMax) {
    return dead_letter(body, arrived,
                       fmt::format("the message has {} bytes; the limit is {}", body.size(),
                                   limits::kProposalBytesMax));
  }
  if (names_protobuf(content_type)) {
    if (auto decoded = try_protobuf(body, rules)) return judge(*decoded, body, arrived, "");
    return dead_letter(body, arrived, "the body is no protobuf MutationProposal with id and key");
  }
  const auto value = json::parse(body);
  if (!value.ok()) {
    if (auto decoded = try_protobuf(body, rules)) return judge(*decoded, body, arrived, "");
    return dead_letter(body, arrived, "the body is no JSON: " + value.error().message);
  }
  auto decoded = decode_proposal(*value, rules);
  if (!decoded.ok()) return dead_letter(body, arrived, decoded.error().message);
  return judge(std::move(*decoded), body, arrived, foreign_shape(value->get_object()));
}

}  // namespace state_engine::wire
