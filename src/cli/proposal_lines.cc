// A line is passed on as it is wherever possible: the engine's own answer about a faulty field is
// better than a second opinion here, and it is what other doors say too.

#include "cli/proposal_lines.h"

#include <algorithm>
#include <array>
#include <istream>

#include "base/limits.h"

namespace state_engine::cli {
namespace {

// What propose_mutation takes as it is.
constexpr std::array<std::string_view, 8> kToolFields = {
    "key", "op", "value", "reason", "expectedVersion", "ttl", "id", "correlationId"};

bool is_tool_field(std::string_view name) {
  return std::find(kToolFields.begin(), kToolFields.end(), name) != kToolFields.end();
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::optional<ProposalLine> ProposalReader::next() {
  std::string line;
  for (int c = in_.get(); c != std::istream::traits_type::eof(); c = in_.get()) {
    if (c != '\n') {
      if (line.size() <= limits::kProposalBytesMax) line += static_cast<char>(c);
      continue;
    }
    ++number_;
    if (!is_blank(line)) return ProposalLine{number_, std::move(line)};
    line.clear();
  }
  if (is_blank(line)) return std::nullopt;
  return ProposalLine{++number_, std::move(line)};
}

bool ProposalReader::failed() const { return in_.bad(); }

Result<json::Object> proposal_arguments(const std::string& line) {
  auto parsed = json::parse(line);
  if (!parsed.ok()) return std::move(parsed).error();
  if (!parsed->is_object()) {
    return invalid_argument("expected a JSON object, found " +
                            std::string(json::type_name(*parsed)));
  }
  json::Object arguments;
  json::Object metadata;
  for (auto& member : parsed->get_object()) {
    const std::string_view name = member.key();
    // The reference writes null for "no value here"; only `value` may mean it.
    if (member.value().is_null() && name != "value") continue;
    // Metadata that is no object goes along too, for the engine to refuse.
    const bool odd_metadata = name == "metadata" && !member.value().is_object();
    if (is_tool_field(name) || odd_metadata) {
      arguments[name] = member.value();
    } else if (name != "metadata") {
      metadata[name] = member.value();
    }
  }
  // The sender's own metadata has priority over fields that only travel there.
  const json::Value* given = json::find(parsed->get_object(), "metadata");
  if (given != nullptr && given->is_object()) {
    for (const auto& member : given->get_object()) metadata[member.key()] = member.value();
  }
  if (!metadata.empty() && !arguments.contains("metadata")) {
    arguments["metadata"] = std::move(metadata);
  }
  return arguments;
}

}  // namespace state_engine::cli
