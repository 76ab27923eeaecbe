// One row for each type that the reference platform lists, and the ads: what a subscription needs.
// A table and no generated code: Twitch adds types often, and configuration can name any of them.

#include "integrations/twitch/event_types.h"

#include <algorithm>
#include <array>

namespace state_engine::twitch {
namespace {

constexpr auto kTypes = std::to_array<EventType>({
    {"stream.online", "1", Condition::kBroadcaster, ""},
    {"stream.offline", "1", Condition::kBroadcaster, ""},
    {"channel.update", "2", Condition::kBroadcaster, ""},
    {"channel.follow", "2", Condition::kBroadcasterAndModerator, "moderator:read:followers"},
    {"channel.raid", "1", Condition::kRaidTarget, ""},
    {"channel.subscribe", "1", Condition::kBroadcaster, "channel:read:subscriptions"},
    {"channel.subscription.end", "1", Condition::kBroadcaster, "channel:read:subscriptions"},
    {"channel.subscription.gift", "1", Condition::kBroadcaster, "channel:read:subscriptions"},
    {"channel.subscription.message", "1", Condition::kBroadcaster, "channel:read:subscriptions"},
    {"channel.cheer", "1", Condition::kBroadcaster, "bits:read"},
    {"channel.channel_points_custom_reward_redemption.add", "1", Condition::kBroadcaster,
     "channel:read:redemptions"},
    {"channel.hype_train.begin", "2", Condition::kBroadcaster, "channel:read:hype_train"},
    {"channel.hype_train.progress", "2", Condition::kBroadcaster, "channel:read:hype_train"},
    {"channel.hype_train.end", "2", Condition::kBroadcaster, "channel:read:hype_train"},
    {"channel.poll.begin", "1", Condition::kBroadcaster, "channel:read:polls"},
    {"channel.poll.end", "1", Condition::kBroadcaster, "channel:read:polls"},
    {"channel.prediction.begin", "1", Condition::kBroadcaster, "channel:read:predictions"},
    {"channel.prediction.end", "1", Condition::kBroadcaster, "channel:read:predictions"},
    {"channel.ad_break.begin", "1", Condition::kBroadcaster, "channel:read:ads"},
    {"channel.ban", "1", Condition::kBroadcaster, "channel:moderate"},
    {"channel.unban", "1", Condition::kBroadcaster, "channel:moderate"},
    // Needs a scope for each kind of action; Twitch names the one that is missing.
    {"channel.moderate", "2", Condition::kBroadcasterAndModerator, ""},
    {"channel.chat.message", "1", Condition::kBroadcasterAndUser, "user:read:chat"},
    {"channel.chat.message_delete", "1", Condition::kBroadcasterAndUser, "user:read:chat"},
});

}  // namespace

std::span<const EventType> known_event_types() { return kTypes; }

const EventType* find_event_type(std::string_view name) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const EventType& type) { return type.name == name; });
  return found == kTypes.end() ? nullptr : &*found;
}

}  // namespace state_engine::twitch
