// ChatMessage: one line of a chat as it reaches the bot, and texts with places for parts of it.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_CHAT_TEXT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_CHAT_TEXT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::llm {

struct ChatMessage {
  std::string id;  // the same for each delivery of the message
  std::string correlation_id;
  std::string platform;
  std::string channel;
  std::string user_id;
  std::string user_name;  // as shown; anybody's choice
  std::string text;
  std::vector<std::string> roles;  // as the platform says: "moderator"
  bool from_operator = false;      // who has the program in hand may ask for everything
};

// A template holds places: {user.id} {user.name} {channel} {platform} {arg.NAME}. A string that is
// nothing but one {arg.NAME} becomes the argument with its type.

// What is wrong with the places of `text`, or nothing. `parameters` are the known argument names.
std::optional<std::string> template_fault(std::string_view text, const json::Object& parameters);

std::string fill_text(std::string_view text, const ChatMessage& chat,
                      const json::Object& arguments);

// The same for a key: what is filled in cannot add segments or characters that keys do not have.
std::string fill_key(std::string_view text, const ChatMessage& chat, const json::Object& arguments);

// The same for every string in `value`; member names stay.
json::Value fill_value(const json::Value& value, const ChatMessage& chat,
                       const json::Object& arguments);

// `text` on one line, without control characters, at most `bytes_max` long.
std::string one_line(std::string_view text, std::size_t bytes_max);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_CHAT_TEXT_H_
