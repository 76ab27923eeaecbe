// Proposals in the reference's JSON, one a line, as arguments of propose_mutation.
//
// Over MCP the credential says who proposes, so the line's own actor travels as metadata, as do
// the fields that the tool does not take (ts, causationId, traceparent and unknown ones). What is
// wrong with a line is the engine's to say; only text that is no JSON object stops here.

#ifndef STATE_ENGINE_CLI_PROPOSAL_LINES_H_
#define STATE_ENGINE_CLI_PROPOSAL_LINES_H_

#include <iosfwd>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::cli {

struct ProposalLine {
  std::int64_t number = 0;  // in the file, from 1
  std::string text;
};

// Reads lines, skipping empty ones. A line over limits::kProposalBytesMax is cut, so that memory
// stays bounded; it then is no JSON either.
class ProposalReader {
 public:
  explicit ProposalReader(std::istream& in) : in_(in) {}

  // The next line, or nothing at the end of the input.
  std::optional<ProposalLine> next();
  // True if the input broke off with a read error.
  bool failed() const;

 private:
  std::istream& in_;
  std::int64_t number_ = 0;
};

// The tool's arguments for a line. Errors: kInvalidArgument if it is no JSON object.
Result<json::Object> proposal_arguments(const std::string& line);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_PROPOSAL_LINES_H_
