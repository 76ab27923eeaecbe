// AgentTurn: one message of a chat and all that follows from it, as a machine without input or
// output: start() and each resume say what to do next.
//
//   ask the model -> run its tool calls -> ask again ... -> answer
//
// Bounds: rounds with tools, calls in one round, and bytes of everything that a model sends. After
// the last round the model is asked once more, without tools. What actions did or did not do is
// told to the user by code, whatever the model says of it.
//
// Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_AGENT_TURN_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_AGENT_TURN_H_

#include <string>
#include <variant>
#include <vector>

#include "integrations/llm/chat.h"
#include "integrations/llm/tool_box.h"

namespace state_engine::llm {

struct AgentLimits {
  int rounds_max = 5;           // rounds with tool calls
  int calls_per_round_max = 8;  // further calls of a round are answered, not run
  std::size_t answer_bytes_max = 450;
  bool tell_done = true;  // add a line for each action that was done, too
};

enum class TurnEnd {
  kAnswered,
  kNoModel,  // the model could not be asked
  kBounds,   // the model did not come to an end
};

class AgentTurn {
 public:
  struct AskModel {
    std::vector<Message> messages;
    bool may_call_tools = true;
  };
  struct RunTools {
    std::vector<ToolCall> calls;
  };
  struct Finish {
    std::string text;  // for the user
    std::string said;  // what the model said, for the history; may be empty
    TurnEnd end = TurnEnd::kAnswered;
  };
  using Step = std::variant<AskModel, RunTools, Finish>;

  // `messages` are the instructions, the history and the new message.
  AgentTurn(AgentLimits limits, std::vector<Message> messages)
      : limits_(limits), messages_(std::move(messages)) {}

  Step start();
  // After AskModel. `state` is what the tools did so far.
  Step on_completion(Result<Completion> completion, const TurnState& state);
  // After RunTools: one text for each call, in order.
  Step on_results(std::vector<std::string> results);

 private:
  Finish finish(std::string said, TurnEnd end, const TurnState& state) const;

  AgentLimits limits_;
  std::vector<Message> messages_;
  std::vector<ToolCall> running_;
  std::vector<ToolCall> declined_;  // over calls_per_round_max
  int rounds_ = 0;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_AGENT_TURN_H_
