// Decoding is strict about what we rely on and blind to the rest: Twitch adds members and kinds.
// Lengths are bounded here, because ids end up in sets and logs.

#include "integrations/twitch/frames.h"

#include <array>
#include <utility>

namespace state_engine::twitch {
namespace {

constexpr std::size_t kIdBytesMax = 256;
constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::chrono::seconds kKeepaliveMax{600};

constexpr std::array<std::pair<std::string_view, FrameKind>, 5> kKinds = {{
    {"session_welcome", FrameKind::kWelcome},
    {"session_keepalive", FrameKind::kKeepalive},
    {"session_reconnect", FrameKind::kReconnect},
    {"notification", FrameKind::kNotification},
    {"revocation", FrameKind::kRevocation},
}};

const json::Object* object_in(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

Status read_session(const json::Object& payload, Frame& frame) {
  const json::Object* session = object_in(payload, "session");
  if (session == nullptr) return invalid_argument("payload.session is missing");
  frame.session_id = json::find_string(*session, "id").value_or("");
  if (frame.kind == FrameKind::kWelcome) {
    if (frame.session_id.empty() || frame.session_id.size() > kIdBytesMax) {
      return invalid_argument("payload.session.id is missing or too long");
    }
    const auto seconds = json::find_int(*session, "keepalive_timeout_seconds");
    if (seconds && (*seconds <= 0 || *seconds > kKeepaliveMax.count())) {
      return invalid_argument("payload.session.keepalive_timeout_seconds is out of range");
    }
    if (seconds) frame.keepalive = std::chrono::seconds{*seconds};
    return {};
  }
  frame.reconnect_url = json::find_string(*session, "reconnect_url").value_or("");
  if (frame.reconnect_url.empty() || frame.reconnect_url.size() > kUrlBytesMax) {
    return invalid_argument("payload.session.reconnect_url is missing or too long");
  }
  return {};
}

}  // namespace

Status decode_payload(const json::Object& payload, Frame& frame) {
  const json::Object* subscription = object_in(payload, "subscription");
  if (subscription == nullptr) return invalid_argument("payload.subscription is missing");
  frame.subscription_type = json::find_string(*subscription, "type").value_or("");
  frame.subscription_status = json::find_string(*subscription, "status").value_or("");
  if (frame.subscription_type.empty() || frame.subscription_type.size() > kIdBytesMax) {
    return invalid_argument("payload.subscription.type is missing or too long");
  }
  if (frame.kind != FrameKind::kNotification) return {};
  if (const json::Object* event = object_in(payload, "event")) {
    frame.notices.push_back({frame.message_id, frame.sent_at, frame.subscription_type, *event});
    return {};
  }
  const json::Value* events = json::find(payload, "events");
  if (events == nullptr || !events->is_array()) {
    return invalid_argument("payload holds neither event nor events");
  }
  for (const json::Value& item : events->get_array()) {
    const json::Object* object = item.if_object();
    const json::Object* data = object == nullptr ? nullptr : object_in(*object, "data");
    const auto id = object == nullptr ? std::nullopt : json::find_string(*object, "id");
    if (data == nullptr || !id || id->empty() || id->size() > kIdBytesMax) {
      return invalid_argument("payload.events holds an item without id and data");
    }
    frame.notices.push_back({*id, frame.sent_at, frame.subscription_type, *data});
  }
  return {};
}

Result<Frame> decode_frame(std::string_view text) {
  auto parsed = json::parse(text);
  if (!parsed.ok()) return parsed.error();
  const json::Object* root = parsed->if_object();
  const json::Object* metadata = root == nullptr ? nullptr : object_in(*root, "metadata");
  const json::Object* payload = root == nullptr ? nullptr : object_in(*root, "payload");
  if (metadata == nullptr || payload == nullptr) {
    return invalid_argument("metadata and payload must be objects");
  }
  Frame frame;
  frame.message_id = json::find_string(*metadata, "message_id").value_or("");
  frame.kind_text = json::find_string(*metadata, "message_type").value_or("");
  if (frame.message_id.empty() || frame.message_id.size() > kIdBytesMax) {
    return invalid_argument("metadata.message_id is missing or too long");
  }
  const auto sent_at =
      parse_rfc3339(json::find_string(*metadata, "message_timestamp").value_or(""));
  if (!sent_at.ok())
    return invalid_argument("metadata.message_timestamp: " + sent_at.error().message);
  frame.sent_at = *sent_at;
  for (const auto& [name, kind] : kKinds) {
    if (name == frame.kind_text) frame.kind = kind;
  }
  switch (frame.kind) {
    case FrameKind::kWelcome:
    case FrameKind::kReconnect:
      SE_RETURN_IF_ERROR(read_session(*payload, frame));
      break;
    case FrameKind::kNotification:
    case FrameKind::kRevocation:
      SE_RETURN_IF_ERROR(decode_payload(*payload, frame));
      break;
    case FrameKind::kKeepalive:
    case FrameKind::kUnknown:
      break;
  }
  return frame;
}

bool SeenMessages::first_time(const std::string& id) {
  if (!ids_.insert(id).second) return false;
  order_.push_back(id);
  if (order_.size() > kIdsMax) {
    ids_.erase(order_.front());
    order_.pop_front();
  }
  return true;
}

Freshness freshness(Timestamp sent_at, Timestamp now) {
  if (sent_at < now - kMessageAgeMax) return Freshness::kStale;
  if (sent_at > now + kMessageAgeMax) return Freshness::kFromTheFuture;
  return Freshness::kFresh;
}

}  // namespace state_engine::twitch
