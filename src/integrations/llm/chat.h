// What a conversation with a language model is made of, and its OpenAI-compatible JSON.
//
// Chat Completions with tools: the request carries the messages and the tools, the answer either
// text or tool calls; the results of tools go back as messages of role "tool".

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_CHAT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_CHAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::llm {

// One call that a model asks for. Everything in it is the model's word, to be checked.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text, if the model kept to the protocol
  std::string fault;      // why it cannot be run ("arguments of 90000 bytes ..."); empty = it may
};

enum class Role { kSystem, kUser, kAssistant, kTool };

struct Message {
  Role role = Role::kUser;
  std::string content;
  std::vector<ToolCall> tool_calls = {};  // of an assistant
  std::string tool_call_id = {};          // of a tool: the call that this answers
};

// What a model is told of a tool.
struct ToolSpec {
  std::string name;  // [A-Za-z0-9_-]{1,64}
  std::string description;
  json::Object parameters;  // JSON Schema of an object
};

struct ChatRequest {
  std::vector<Message> messages;
  std::vector<ToolSpec> tools;
  bool may_call_tools = true;  // false: the tools are named, calling them is not allowed
};

struct Completion {
  std::string content;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;
  std::int64_t prompt_tokens = 0;  // 0: not told
  std::int64_t completion_tokens = 0;
};

struct ModelSettings {
  std::string model;
  bool stream = true;
  std::optional<double> temperature;
  std::int64_t max_tokens = 0;  // 0: the server's default
};

// The body of POST {base}/chat/completions. REQUIRES: all texts are UTF-8.
json::Object encode_request(const ChatRequest& request, const ModelSettings& settings);

// Bounds of what is taken from a model. Larger arguments make a faulty call, a larger answer an
// error.
inline constexpr std::size_t kArgumentBytesMax = 32 * 1024;
inline constexpr std::size_t kContentBytesMax = 64 * 1024;
inline constexpr std::size_t kToolCallsMax = 16;  // of one answer; further ones are dropped
inline constexpr std::size_t kAnswerBytesMax = 2 * 1024 * 1024;

// Reads a whole answer (not streamed). Errors: kUnavailable with the server's words if it is an
// error object; kInternal if it is no completion.
Result<Completion> parse_completion(std::string_view body);

// The `error.message` of an error body, cut to a readable length; empty if there is none.
std::string error_message_of(std::string_view body);

// `text` cut to at most `bytes_max` bytes between characters.
std::string cut_text(std::string_view text, std::size_t bytes_max);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_CHAT_H_
