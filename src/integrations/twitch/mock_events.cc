// Event bodies for the types in event_types.h, with every field that Twitch documents for them.

#include "integrations/twitch/mock_world.h"

namespace state_engine::twitch {
namespace {

void add_user(json::Object& event, std::string_view prefix, std::string_view id,
              std::string_view login) {
  const std::string start(prefix);
  event[start + "user_id"] = id;
  event[start + "user_login"] = login;
  event[start + "user_name"] = login;
}

json::Object message(std::string_view text) { return {{"text", text}, {"emotes", nullptr}}; }

// Members that make each type what it is; users are added by the caller.
json::Object specific(std::string_view type, const MockChannel& channel, Timestamp now) {
  const std::string at = twitch_time(now);
  const std::string later = twitch_time(now + std::chrono::minutes{5});
  if (type == "stream.online" && channel.stream) {
    return {{"id", channel.stream->id},
            {"type", channel.stream->type},
            {"started_at", twitch_time(channel.stream->started_at)}};
  }
  if (type == "channel.update") {
    return {{"title", channel.title},
            {"language", channel.language},
            {"category_id", channel.category_id},
            {"category_name", channel.category_name},
            {"content_classification_labels", json::Array{}}};
  }
  if (type == "channel.follow") return {{"followed_at", at}};
  if (type == "channel.raid") return {{"viewers", 42}};
  if (type == "channel.subscribe") return {{"tier", "1000"}, {"is_gift", false}};
  if (type == "channel.subscription.message") {
    return {{"tier", "1000"},
            {"message", message("still here")},
            {"cumulative_months", 12},
            {"streak_months", nullptr},
            {"duration_months", 1}};
  }
  if (type == "channel.subscription.gift") {
    return {{"total", 5}, {"tier", "1000"}, {"cumulative_total", nullptr}, {"is_anonymous", false}};
  }
  if (type == "channel.cheer") {
    return {{"is_anonymous", false}, {"message", "Cheer100"}, {"bits", 100}};
  }
  if (type.starts_with("channel.hype_train.")) {
    json::Object train{{"id", "train-1"},
                       {"type", "regular"},
                       {"level", 2},
                       {"total", 700},
                       {"progress", 200},
                       {"goal", 1000},
                       {"top_contributions", json::Array{}},
                       {"is_shared_train", false},
                       {"shared_train_participants", nullptr},
                       {"started_at", at}};
    if (type == "channel.hype_train.end") {
      train["ended_at"] = later;
      train["cooldown_ends_at"] = later;
    } else {
      train["expires_at"] = later;
      train["all_time_high_level"] = 4;
      train["all_time_high_total"] = 2845;
    }
    return train;
  }
  if (type == "channel.ad_break.begin") {
    return {{"duration_seconds", 60}, {"started_at", at}, {"is_automatic", false}};
  }
  return {};
}

}  // namespace

json::Object sample_event(std::string_view type, const MockChannel& channel,
                          const json::Object& overrides, Timestamp now) {
  json::Object event = specific(type, channel, now);
  if (type == "channel.raid") {
    add_user(event, "from_broadcaster_", "2002", "raider");
    add_user(event, "to_broadcaster_", channel.user.id, channel.user.login);
  } else {
    add_user(event, "broadcaster_", channel.user.id, channel.user.login);
    const bool about_viewer = !type.starts_with("stream.") && type != "channel.update" &&
                              !type.starts_with("channel.hype_train.") &&
                              type != "channel.ad_break.begin";
    if (about_viewer) add_user(event, "", "3003", "viewer");
    if (type == "channel.ad_break.begin") {
      add_user(event, "requester_", channel.user.id, channel.user.login);
    }
  }
  for (const auto& [name, value] : overrides) event[name] = value;
  return event;
}

}  // namespace state_engine::twitch
