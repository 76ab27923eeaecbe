// InternalEventV2 has grown over versions of the platform: identity and channel are looked for
// where each of them has put it.

#include "integrations/llm/chat_event.h"

#include <initializer_list>

#include <fmt/format.h>

#include "base/hex.h"
#include "integrations/llm/chat.h"

namespace state_engine::llm {
namespace {

constexpr int kCandidatePriority = 10;
constexpr std::size_t kIdBytesMax = 256;

// The text at a path of members, or "".
std::string text_at(const json::Object& root, std::initializer_list<std::string_view> path) {
  const json::Object* object = &root;
  std::size_t left = path.size();
  for (const std::string_view name : path) {
    if (--left == 0) return json::find_string(*object, name).value_or("");
    const json::Value* const next = json::find(*object, name);
    if (next == nullptr || !next->is_object()) return {};
    object = &next->get_object();
  }
  return {};
}

using Paths = std::initializer_list<std::initializer_list<std::string_view>>;

// The first of `paths` that holds a text, on one line.
std::string first_text(const json::Object& root, Paths paths, std::size_t bytes_max) {
  for (const auto& path : paths) {
    if (std::string text = text_at(root, path); !text.empty()) return one_line(text, bytes_max);
  }
  return {};
}

// The texts of a list at a path of two members.
void add_roles(const json::Object& event, std::string_view first, std::string_view second,
               std::vector<std::string>& roles) {
  constexpr std::size_t kRolesMax = 32;
  const json::Value* value = json::find(event, first);
  if (value != nullptr && value->is_object() && !second.empty()) {
    value = json::find(value->get_object(), second);
  }
  if (value == nullptr || !value->is_object()) return;
  const json::Value* const list = json::find(value->get_object(), "roles");
  if (list == nullptr || !list->is_array()) return;
  for (const json::Value& role : list->get_array()) {
    if (role.is_string() && roles.size() < kRolesMax) roles.emplace_back(role.get_string());
  }
}

ChatMessage read_chat(const json::Object& event, const BusMessage& message) {
  ChatMessage chat;
  chat.correlation_id =
      first_text(event, {{"correlationId"}, {"envelope", "correlationId"}}, kIdBytesMax);
  chat.id = first_text(event, {{"message", "id"}}, kIdBytesMax);
  if (chat.id.empty()) chat.id = chat.correlation_id;
  if (chat.id.empty()) chat.id = message.message_id;
  if (chat.id.empty()) chat.id = sha256_hex(message.body);
  chat.platform = first_text(
      event, {{"identity", "external", "platform"}, {"ingress", "connector"}, {"source"}}, 64);
  chat.channel =
      first_text(event, {{"egress", "channel"}, {"ingress", "channel"}, {"channel"}}, 128);
  chat.user_id = first_text(
      event,
      {{"identity", "external", "id"}, {"identity", "user", "id"}, {"user", "id"}, {"userId"}},
      128);
  chat.user_name = first_text(event,
                              {{"identity", "external", "displayName"},
                               {"identity", "user", "displayName"},
                               {"user", "displayName"}},
                              64);
  if (chat.user_name.empty()) chat.user_name = chat.user_id;
  add_roles(event, "identity", "user", chat.roles);
  add_roles(event, "identity", "external", chat.roles);
  add_roles(event, "user", "", chat.roles);
  return chat;
}

json::Object candidate_of(const ChatEvent& event, std::string_view bot_name, std::string_view text,
                          Timestamp now) {
  return {{"id", fmt::format("{}:{}", event.chat.id, bot_name)},
          {"kind", "text"},
          {"source", bot_name},
          {"createdAt", format_rfc3339(now)},
          {"status", "proposed"},
          {"priority", kCandidatePriority},
          {"text", text}};
}

bool is_pending(const json::Object& step) {
  const std::string status = json::find_string(step, "status").value_or("PENDING");
  return status == "PENDING";
}

// Marks the bot's own step as done and returns where the next one wants the event, or "".
std::string advance_slip(json::Object& event, Timestamp now) {
  json::Value* const routing = event.if_contains("routing");
  if (routing == nullptr || !routing->is_object()) return {};
  json::Value* const slip = routing->get_object().if_contains("slip");
  if (slip == nullptr || !slip->is_array()) return {};
  bool own_done = false;
  for (json::Value& item : slip->get_array()) {
    if (!item.is_object() || !is_pending(item.get_object())) continue;
    json::Object& step = item.get_object();
    std::string topic = json::find_string(step, "nextTopic").value_or("");
    if (!own_done && (topic == kChatSubject || json::find_string(step, "id") == "llm-bot")) {
      own_done = true;
      step["status"] = "OK";
      step["endedAt"] = format_rfc3339(now);
      continue;
    }
    // A step back to the bot would go round for ever.
    if (topic.starts_with("internal.") && topic != kChatSubject) return topic;
  }
  return {};
}

void fill_egress(json::Object& event, const ChatEvent& source) {
  const json::Value* const given = event.if_contains("egress");
  if (given != nullptr && given->is_object()) return;
  const std::string connector = source.chat.platform.empty() ? "system" : source.chat.platform;
  json::Object egress{{"destination", connector}, {"connector", connector}};
  if (!source.chat.channel.empty()) egress["channel"] = source.chat.channel;
  event["egress"] = std::move(egress);
}

}  // namespace

Result<ChatEvent> read_chat_event(const BusMessage& message) {
  auto parsed = json::parse(message.body);
  if (!parsed.ok()) return invalid_argument("the message is no JSON: " + parsed.error().message);
  if (!parsed->is_object()) return invalid_argument("the message is no JSON object");
  ChatEvent out;
  out.event = std::move(parsed->get_object());
  const std::string role = text_at(out.event, {"message", "role"});
  if (!role.empty() && role != "user") {
    return invalid_argument("message.role is no user's, so there is nothing to answer");
  }
  std::string text = text_at(out.event, {"message", "text"});
  if (text.empty()) text = text_at(out.event, {"payload", "text"});
  if (text.empty()) return invalid_argument("message.text is missing");
  out.chat = read_chat(out.event, message);
  out.chat.text = cut_text(text, kChatTextMax);
  const auto sent_at = parse_rfc3339(text_at(out.event, {"ingress", "ingressAt"}));
  if (sent_at.ok()) out.sent_at = *sent_at;
  return out;
}

BusMessage answer_message(const ChatEvent& event, std::string_view bot_name, std::string_view text,
                          Timestamp now) {
  json::Object out = event.event;
  if (!out.contains("v")) out["v"] = "2";
  json::Value* candidates = out.if_contains("candidates");
  if (candidates == nullptr || !candidates->is_array()) {
    out["candidates"] = json::Array{};
    candidates = out.if_contains("candidates");
  }
  candidates->get_array().push_back(candidate_of(event, bot_name, text, now));
  fill_egress(out, event);
  std::string subject = advance_slip(out, now);
  if (subject.empty()) {
    subject = subjects::kEgress;
    if (json::Value* const routing = out.if_contains("routing"); routing && routing->is_object()) {
      routing->get_object()["stage"] = "response";
    }
  }
  const std::string id = sha256_hex(event.chat.platform + "\n" + event.chat.id).substr(0, 32);
  return {std::move(subject),
          json::write(out),
          "bot-answer-" + id,
          {{"type", json::find_string(event.event, "type").value_or("chat.message.v1")},
           {"source", std::string(bot_name)},
           {"correlationId", event.chat.correlation_id}}};
}

}  // namespace state_engine::llm
