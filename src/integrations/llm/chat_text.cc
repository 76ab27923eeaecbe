// One pass over a template: what is filled in is never looked at again, so that a chat message
// cannot bring places of its own.

#include "integrations/llm/chat_text.h"

#include <functional>

#include <fmt/format.h>

#include "integrations/llm/chat.h"

namespace state_engine::llm {
namespace {

constexpr std::string_view kArgument = "arg.";

using Filler = std::function<std::string(std::string_view place)>;

// `text` with what `fill` gives for each {place}.
std::string replace_places(std::string_view text, const Filler& fill) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    const std::size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return out.append(text);
    out.append(text.substr(0, open));
    out += fill(text.substr(open + 1, close - open - 1));
    text.remove_prefix(close + 1);
  }
  return out;
}

bool is_chat_place(std::string_view place) {
  return place == "user.id" || place == "user.name" || place == "channel" || place == "platform";
}

std::string value_at(std::string_view place, const ChatMessage& chat,
                     const json::Object& arguments) {
  if (place == "user.id") return chat.user_id;
  if (place == "user.name") return chat.user_name;
  if (place == "channel") return chat.channel;
  if (place == "platform") return chat.platform;
  const json::Value* const value = json::find(arguments, place.substr(kArgument.size()));
  if (value == nullptr || value->is_null()) return {};
  return value->is_string() ? std::string(value->get_string()) : json::write(*value);
}

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

}  // namespace

std::optional<std::string> template_fault(std::string_view text, const json::Object& parameters) {
  std::optional<std::string> fault;
  replace_places(text, [&](std::string_view place) {
    const bool argument =
        place.starts_with(kArgument) && parameters.contains(place.substr(kArgument.size()));
    if (!argument && !is_chat_place(place) && !fault) {
      fault = fmt::format(
          "unknown place '{{{}}}'; expected {{user.id}}, {{user.name}}, {{channel}}, {{platform}} "
          "or {{arg.NAME}} with a declared parameter",
          place);
    }
    return std::string{};
  });
  return fault;
}

std::string fill_text(std::string_view text, const ChatMessage& chat,
                      const json::Object& arguments) {
  return replace_places(text,
                        [&](std::string_view place) { return value_at(place, chat, arguments); });
}

std::string fill_key(std::string_view text, const ChatMessage& chat,
                     const json::Object& arguments) {
  return replace_places(text, [&](std::string_view place) {
    std::string part = cut_text(value_at(place, chat, arguments), 64);
    for (char& c : part) {
      if (!is_key_character(c)) c = '_';
    }
    return part.empty() ? std::string("_") : part;
  });
}

json::Value fill_value(const json::Value& value, const ChatMessage& chat,
                       const json::Object& arguments) {
  if (value.is_string()) {
    const std::string_view text = value.get_string();
    if (text.starts_with("{arg.") && text.find('}') == text.size() - 1) {
      const json::Value* const found = json::find(arguments, text.substr(5, text.size() - 6));
      return found != nullptr ? *found : json::Value(nullptr);
    }
    return json::Value(fill_text(text, chat, arguments));
  }
  if (const json::Array* const items = value.if_array()) {
    json::Array out;
    for (const json::Value& item : *items) out.push_back(fill_value(item, chat, arguments));
    return out;
  }
  if (const json::Object* const members = value.if_object()) {
    json::Object out;
    for (const auto& member : *members) {
      out[member.key()] = fill_value(member.value(), chat, arguments);
    }
    return out;
  }
  return value;
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte < 0x20 || byte == 0x7f ? ' ' : c);
  }
  return cut_text(out, bytes_max);
}

}  // namespace state_engine::llm
