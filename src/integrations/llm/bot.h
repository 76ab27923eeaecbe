// Bot: answers chat messages with a language model that has tools.
//
// Conversations are remembered by platform and channel, bounded; tool results are not, so that the
// model cannot take old state for the present.
//
// Threads: one at a time; answer() blocks while model and engine are asked.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_BOT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_BOT_H_

#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "integrations/llm/agent_turn.h"
#include "integrations/llm/bot_observer.h"
#include "integrations/llm/llm_client.h"
#include "integrations/llm/tool_box.h"

namespace state_engine::llm {

struct BotSettings {
  std::string name = "bot";
  std::string instructions;  // of the operator
  AgentLimits limits;
  std::chrono::milliseconds turn_max{120'000};  // then the model is not asked any more
  std::size_t history_messages_max = 20;        // of one conversation
  std::size_t history_bytes_max = 16 * 1024;
  std::size_t conversations_max = 200;  // the one quiet for longest is forgotten first
};

class Bot {
 public:
  // All references outlive the bot.
  Bot(BotSettings settings, LlmClient& model, ToolBox& tools, const Clock& clock,
      BotObserver& observer, Log& log);

  // The answer to `chat`; never empty. Cost: as many requests as the limits allow.
  std::string answer(const ChatMessage& chat);

  const BotSettings& settings() const { return settings_; }

 private:
  struct Conversation {
    std::string name;
    std::deque<Message> messages;
  };

  Conversation& conversation_of(const ChatMessage& chat);
  void remember(Conversation& conversation, Message said, std::string answer);
  AgentTurn::Finish run(const std::vector<Message>& messages, const ChatMessage& chat);
  Result<Completion> ask(const AgentTurn::AskModel& step, const std::vector<ToolSpec>& specs);

  BotSettings settings_;
  LlmClient& model_;
  ToolBox& tools_;
  const Clock& clock_;
  BotObserver& observer_;
  Log& log_;
  std::list<Conversation> conversations_;  // most recent first
};

// The instructions that every bot has, and the operator's.
std::string system_text(const BotSettings& settings);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_BOT_H_
