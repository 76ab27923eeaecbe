// BotObserver: what the bot does, for metrics and health. Labels are bounded: ends and kinds, never
// texts, users or what a model wrote.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_BOT_OBSERVER_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_BOT_OBSERVER_H_

#include <chrono>
#include <cstdint>
#include <string_view>

namespace state_engine::llm {

// Threads: one of the bot's; implementations guard what others read.
class BotObserver {
 public:
  virtual ~BotObserver() = default;

  // A chat message is answered or dropped: "answered", "no_model", "bounds", "stale", "duplicate",
  // "malformed", "overflow".
  virtual void on_message(std::string_view /*end*/, std::chrono::nanoseconds /*took*/) {}
  // The model was asked.
  virtual void on_completion(bool /*ok*/, std::chrono::nanoseconds /*took*/,
                             std::int64_t /*prompt_tokens*/, std::int64_t /*completion_tokens*/) {}
  // `tool` is a configured name, or "unknown"; `end` "ok", "error", "refused", "done",
  // "already_done", "gave_up", "uncertain", "malformed".
  virtual void on_tool(std::string_view /*tool*/, std::string_view /*end*/) {}
  virtual void on_conflicts(int /*count*/) {}
  // An answer could not be handed over.
  virtual void on_lost_answer() {}
  // The engine or the model can be used, or why not.
  virtual void on_engine(bool /*up*/, std::string_view /*why*/) {}
  virtual void on_model(bool /*up*/, std::string_view /*why*/) {}
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_BOT_OBSERVER_H_
