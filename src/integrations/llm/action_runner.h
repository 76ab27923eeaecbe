// ActionRunner: does one action, or says plainly why not.
//
// read -> gate -> propose; when the state moved on in between (version_conflict, or the engine's
// own check of a requirement: precondition_failed), read again and decide again, three times at
// most. Ids of proposals follow from the chat message, so that a message delivered twice acts once.
//
// Threads: as EngineTools. Each call may wait for the engine.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_ACTION_RUNNER_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_ACTION_RUNNER_H_

#include <chrono>
#include <functional>
#include <string>

#include "base/random.h"
#include "base/time.h"
#include "integrations/llm/action.h"
#include "integrations/llm/engine_tools.h"

namespace state_engine::llm {

inline constexpr int kDecisionsMax = 3;  // readings and proposals of one action
inline constexpr int kSendsMax = 3;      // of one proposal with one id, when no answer came

enum class ActionEnd {
  kDone,         // committed
  kAlreadyDone,  // nothing to do, or this message did it before
  kRefused,      // the gate, the policy or the arguments forbid it: nothing happened
  kGaveUp,       // the state moved on each time: nothing happened
  kUncertain,    // the engine did not confirm: it may have happened
};

struct ActionReport {
  ActionEnd end = ActionEnd::kRefused;
  std::string why;  // in plain words, for people and models alike
  int conflicts = 0;
};

class ActionRunner {
 public:
  using Sleep = std::function<bool(std::chrono::milliseconds)>;

  // All references outlive the runner.
  ActionRunner(EngineTools& engine, const Clock& clock, Random& random, Sleep sleep)
      : engine_(engine), clock_(clock), random_(random), sleep_(std::move(sleep)) {}

  // `call_number` counts the calls of one message, so that each has ids of its own.
  ActionReport run(const Action& action, const ChatMessage& chat, const json::Object& arguments,
                   int call_number);

  // Reads what `requirements` name and checks them; for tools of the engine that are gated.
  GateDecision check(const std::vector<Requirement>& requirements);

 private:
  WriteOutcome propose(const json::Object& proposal, std::string_view tool);
  bool pause(std::chrono::milliseconds least);

  EngineTools& engine_;
  const Clock& clock_;
  Random& random_;
  Sleep sleep_;
};

// An id that is the same for each delivery of `chat`.
std::string proposal_id(const ChatMessage& chat, std::string_view what, int call_number,
                        int attempt);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_ACTION_RUNNER_H_
