// Chat Completions as OpenAI's API reference has it in 2026, read leniently: servers differ in what
// they leave out (ids, indices) and in the type of content and arguments.

#include "integrations/llm/chat.h"

#include <fmt/format.h>

namespace state_engine::llm {
namespace {

constexpr std::size_t kErrorTextMax = 300;

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  SE_UNREACHABLE();
}

json::Value encode_call(const ToolCall& call) {
  return json::Object{
      {"id", call.id},
      {"type", "function"},
      {"function", json::Object{{"name", call.name}, {"arguments", call.arguments}}}};
}

json::Value encode_message(const Message& message) {
  json::Object out{{"role", to_string(message.role)}};
  if (message.content.empty() && !message.tool_calls.empty()) {
    out["content"] = nullptr;
  } else {
    out["content"] = message.content;
  }
  if (!message.tool_calls.empty()) {
    json::Array calls;
    for (const ToolCall& call : message.tool_calls) calls.push_back(encode_call(call));
    out["tool_calls"] = std::move(calls);
  }
  if (message.role == Role::kTool) out["tool_call_id"] = message.tool_call_id;
  return out;
}

// Text as servers send it: a string, null, or a list of text parts.
std::string text_of(const json::Value* value) {
  if (value == nullptr) return {};
  if (value->is_string()) return std::string(value->get_string());
  std::string text;
  if (const json::Array* const parts = value->if_array()) {
    for (const json::Value& part : *parts) {
      if (part.is_object()) text += json::find_string(part.get_object(), "text").value_or("");
    }
  }
  return text;
}

ToolCall read_call(const json::Object& source, std::size_t index) {
  ToolCall call;
  call.id = json::find_string(source, "id").value_or("");
  if (call.id.empty()) call.id = fmt::format("call_{}", index);
  const json::Value* const function = json::find(source, "function");
  if (function == nullptr || !function->is_object()) return call;
  call.name = json::find_string(function->get_object(), "name").value_or("");
  const json::Value* const arguments = json::find(function->get_object(), "arguments");
  if (arguments == nullptr) return call;
  // Some servers send the arguments as an object instead of as text.
  call.arguments =
      arguments->is_string() ? std::string(arguments->get_string()) : json::write(*arguments);
  return call;
}

Error no_completion(std::string what) {
  return {ErrorCode::kInternal, "the language model sent no usable answer: " + std::move(what)};
}

}  // namespace

json::Object encode_request(const ChatRequest& request, const ModelSettings& settings) {
  json::Array messages;
  for (const Message& message : request.messages) messages.push_back(encode_message(message));
  json::Object out{{"model", settings.model}, {"messages", std::move(messages)}};
  if (!request.tools.empty()) {
    json::Array tools;
    for (const ToolSpec& tool : request.tools) {
      tools.push_back(json::Object{{"type", "function"},
                                   {"function", json::Object{{"name", tool.name},
                                                             {"description", tool.description},
                                                             {"parameters", tool.parameters}}}});
    }
    out["tools"] = std::move(tools);
    out["tool_choice"] = request.may_call_tools ? "auto" : "none";
  }
  if (settings.temperature) out["temperature"] = *settings.temperature;
  if (settings.max_tokens > 0) out["max_tokens"] = settings.max_tokens;
  out["stream"] = settings.stream;
  if (settings.stream) out["stream_options"] = json::Object{{"include_usage", true}};
  return out;
}

Result<Completion> parse_completion(std::string_view body) {
  json::ParseLimits limits;
  limits.bytes_max = kAnswerBytesMax;
  limits.string_bytes_max = kAnswerBytesMax;
  const auto parsed = json::parse(body, limits);
  if (!parsed.ok()) return no_completion(parsed.error().message);
  const json::Object* const root = parsed->if_object();
  if (root == nullptr) return no_completion("it is no JSON object");
  if (const std::string message = error_message_of(body); !message.empty()) {
    return Error{ErrorCode::kUnavailable, "the language model's server says: " + message};
  }
  const json::Value* const choices = json::find(*root, "choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().empty() ||
      !choices->get_array().front().is_object()) {
    return no_completion("it has no choices");
  }
  const json::Object& choice = choices->get_array().front().get_object();
  const json::Value* const message = json::find(choice, "message");
  if (message == nullptr || !message->is_object()) return no_completion("it has no message");
  Completion out;
  out.finish_reason = json::find_string(choice, "finish_reason").value_or("");
  out.content = cut_text(text_of(json::find(message->get_object(), "content")), kContentBytesMax);
  const json::Value* const calls = json::find(message->get_object(), "tool_calls");
  if (calls != nullptr && calls->is_array()) {
    for (const json::Value& call : calls->get_array()) {
      if (out.tool_calls.size() == kToolCallsMax) break;
      if (!call.is_object()) continue;
      out.tool_calls.push_back(read_call(call.get_object(), out.tool_calls.size()));
    }
  }
  if (const json::Value* const usage = json::find(*root, "usage"); usage && usage->is_object()) {
    out.prompt_tokens = json::find_int(usage->get_object(), "prompt_tokens").value_or(0);
    out.completion_tokens = json::find_int(usage->get_object(), "completion_tokens").value_or(0);
  }
  return out;
}

std::string error_message_of(std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed.ok() || !parsed->is_object()) return {};
  const json::Value* const error = json::find(parsed->get_object(), "error");
  if (error == nullptr || error->is_null()) return {};
  std::string text = error->is_object()
                         ? json::find_string(error->get_object(), "message").value_or("an error")
                         : text_of(error);
  if (text.empty()) text = "an error";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return cut_text(text, kErrorTextMax);
}

std::string cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

}  // namespace state_engine::llm
