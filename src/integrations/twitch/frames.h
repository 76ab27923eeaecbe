// EventSub messages as values, decoded from WebSocket frames and webhook bodies.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_FRAMES_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_FRAMES_H_

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace state_engine::twitch {

// Something happened on Twitch.
struct Notice {
  std::string message_id;  // the same on every delivery of it
  Timestamp sent_at{};
  std::string type;  // "stream.online"
  json::Object event;
};

enum class FrameKind { kWelcome, kKeepalive, kReconnect, kNotification, kRevocation, kUnknown };

struct Frame {
  FrameKind kind = FrameKind::kUnknown;
  std::string kind_text;
  std::string message_id;
  Timestamp sent_at{};
  // Welcome and reconnect.
  std::string session_id;
  std::optional<std::chrono::seconds> keepalive;
  std::string reconnect_url;
  // Notification and revocation.
  std::string subscription_type;
  std::string subscription_status;
  std::vector<Notice> notices;  // one, or several for a batched type
};

// Reads one WebSocket message. Errors: kInvalidArgument saying what is missing; a frame that passed
// has everything that its kind needs. Unknown kinds and members are no errors: Twitch adds some.
Result<Frame> decode_frame(std::string_view text);

// Reads the payload {subscription, event | events} of a notification or revocation into `frame`.
Status decode_payload(const json::Object& payload, Frame& frame);

// What was seen lately, so that a second delivery is known as one. Twitch repeats messages for
// minutes only, and older ones are dropped for their age.
class SeenMessages {
 public:
  static constexpr std::size_t kIdsMax = 20'000;

  // True the first time that it is asked about `id`.
  bool first_time(const std::string& id);

 private:
  std::unordered_set<std::string> ids_;
  std::deque<std::string> order_;
};

// Older messages are replays or useless, newer ones come from a wrong clock.
inline constexpr std::chrono::minutes kMessageAgeMax{10};

enum class Freshness { kFresh, kStale, kFromTheFuture };
Freshness freshness(Timestamp sent_at, Timestamp now);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_FRAMES_H_
