// Chat messages on the bus: InternalEventV2 in from internal.llmbot.v1, the answer out.
//
// The answer is the event itself with one candidate more; its text is what the platform's egress
// delivers. Fields that this program does not know stay as they are.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_CHAT_EVENT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_CHAT_EVENT_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "integrations/llm/chat_text.h"
#include "ports/bus.h"

namespace state_engine::llm {

inline constexpr std::string_view kChatSubject = subjects::kLlmBot;
inline constexpr std::size_t kChatTextMax = 2'000;  // bytes of one message; longer ones are cut

struct ChatEvent {
  ChatMessage chat;
  json::Object event;                // as it came
  std::optional<Timestamp> sent_at;  // when it entered the platform
};

// Errors: kInvalidArgument, saying what is missing.
Result<ChatEvent> read_chat_event(const BusMessage& message);

// The answer as a message: to the next step of the event's routing slip, else to egress. The id is
// the same each time the same event is answered.
BusMessage answer_message(const ChatEvent& event, std::string_view bot_name, std::string_view text,
                          Timestamp now);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_CHAT_EVENT_H_
