// ToolBox: what the model may use, and nothing else.
//
// Permission comes from the configuration, never from text: a tool that is not on the list does not
// exist for the model, whatever a chat message or an answer says. Everything that a model sends is
// checked before it goes anywhere, and what was refused or done is noted by code, so that the
// answer to the user does not depend on the model telling the truth.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_TOOL_BOX_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_TOOL_BOX_H_

#include <chrono>
#include <string>
#include <vector>

#include "base/log.h"
#include "integrations/llm/action_runner.h"
#include "integrations/llm/bot_observer.h"

namespace state_engine::llm {

// A tool of the engine that the model may call.
struct AllowedTool {
  std::string name;
  std::vector<Requirement> requirements;
};

struct ToolBoxSettings {
  std::vector<AllowedTool> tools;
  std::vector<Action> actions;
};

// What one chat message has led to so far.
struct TurnState {
  int calls = 0;
  int conflicts = 0;                 // of the engine's writing tools, over all calls
  std::vector<std::string> done;     // for the user: "start_giveaway: done (committed at seq 12)"
  std::vector<std::string> refused;  // "start_giveaway: not done: stream.state is off, ..."
};

class ToolBox {
 public:
  // All references outlive the tool box.
  ToolBox(ToolBoxSettings settings, EngineTools& engine, ActionRunner& runner, const Clock& clock,
          BotObserver& observer, Log& log);

  // What to offer. Asks the engine for its tools now and then; while it cannot be reached, the
  // tools known from before, and the actions always.
  std::vector<ToolSpec> specs();

  // Runs one call; the text is for the model.
  std::string run(const ToolCall& call, const ChatMessage& chat, TurnState& state);

 private:
  std::string run_action(const Action& action, const ToolCall& call, const ChatMessage& chat,
                         TurnState& state);
  std::string run_tool(const AllowedTool& tool, const ToolCall& call, const ChatMessage& chat,
                       TurnState& state);
  std::string write_fault(const std::string& tool, const json::Object& arguments,
                          const TurnState& state) const;
  std::string names() const;

  ToolBoxSettings settings_;
  EngineTools& engine_;
  ActionRunner& runner_;
  const Clock& clock_;
  BotObserver& observer_;
  Log& log_;
  std::vector<ToolSpec> engine_specs_;
  std::chrono::nanoseconds listed_at_{0};
  bool listed_ = false;
};

// True for names that models and servers accept: [A-Za-z0-9_-]{1,64}.
bool is_tool_name(std::string_view name);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_TOOL_BOX_H_
