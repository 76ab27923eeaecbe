// The EventSub subscription types that this program knows: version, condition and scope of each.
// Facts of Twitch's EventSub reference; types that are not listed work when the configuration names
// their version.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_EVENT_TYPES_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_EVENT_TYPES_H_

#include <span>
#include <string_view>

namespace state_engine::twitch {

// What a subscription's condition names.
enum class Condition {
  kBroadcaster,              // broadcaster_user_id
  kBroadcasterAndModerator,  // and moderator_user_id: the user of the token
  kBroadcasterAndUser,       // and user_id: the user of the token
  kRaidTarget,               // to_broadcaster_user_id
};

struct EventType {
  std::string_view name;
  std::string_view version;
  Condition condition = Condition::kBroadcaster;
  std::string_view scope;  // empty = none is needed
};

std::span<const EventType> known_event_types();

// The entry of that name, or nullptr.
const EventType* find_event_type(std::string_view name);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_EVENT_TYPES_H_
