// The engine's answers, read for people and for exit codes.

#ifndef STATE_ENGINE_CLI_TOOL_ANSWERS_H_
#define STATE_ENGINE_CLI_TOOL_ANSWERS_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "cli/engine_link.h"
#include "core/codes.h"

namespace state_engine::cli {

// A proposal's outcome. `result` is the MutationResult or TransactionResult as sent; when the
// engine refused the arguments it holds only status, code and error.
struct Outcome {
  bool accepted = false;
  RejectionCode code = RejectionCode::kNone;
  std::string error;
  json::Object result;

  // "accepted", "duplicate" or the rejection code's name: the rows of summaries.
  std::string label() const;
  int exit_code() const;
};

// Reads the answer of propose_mutation or propose_transaction. A rejection comes as an error whose
// first line is the result in JSON, or as "code: text" if the arguments were refused.
Outcome read_outcome(const ToolAnswer& answer);

// Makes an Error of an answer that is one: "not_found: ..." becomes kNotFound.
Error error_of(const ToolAnswer& answer);

// Calls a read-only tool: the structured answer, or what is wrong.
Result<json::Object> ask(EngineLink& link, std::string_view tool, json::Object arguments);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_TOOL_ANSWERS_H_
