// EngineTools: the engine as the bot sees it, which is by MCP tools only.
//
// And the two things that the bot's own code does with them: read keys, and write with the outcome
// made plain.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_ENGINE_TOOLS_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_ENGINE_TOOLS_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "integrations/llm/chat.h"
#include "integrations/llm/gate.h"

namespace state_engine::llm {

struct ToolAnswer {
  bool is_error = false;
  json::Object structured;  // empty for errors
  std::string text;
};

// Threads: one at a time; calls block, with a deadline.
class EngineTools {
 public:
  virtual ~EngineTools() = default;

  // Errors: kUnavailable (not reached), kDeadlineExceeded (the outcome is unknown),
  // kPermissionDenied, kInvalidArgument, kInternal. A tool's own error is an answer.
  virtual Result<ToolAnswer> call(std::string_view tool, json::Object arguments) = 0;

  // All tools that the engine offers.
  virtual Result<std::vector<ToolSpec>> list() = 0;
};

// Reads `keys` at one revision. Errors: as call().
Result<Reading> read_keys(EngineTools& engine, const std::vector<std::string>& keys);

// What became of a proposal.
struct WriteOutcome {
  enum class Kind {
    kAccepted,
    kMovedOn,   // version_conflict or precondition_failed: read again, decide again
    kRefused,   // will not succeed by trying again
    kLater,     // not decided: the same proposal may be sent again with the same id
    kIdReused,  // the id was decided before, on other content: this was tried before
    kUnknown,   // no answer came: it may have happened
  };
  Kind kind = Kind::kUnknown;
  std::string code;   // of a rejection
  std::string error;  // in words
  std::optional<std::int64_t> seq;
  bool duplicate = false;
  std::chrono::milliseconds retry_after{0};
};

// Reads an answer of propose_mutation or propose_transaction.
WriteOutcome read_write_answer(const Result<ToolAnswer>& answer);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_ENGINE_TOOLS_H_
