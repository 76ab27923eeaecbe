// What the Twitch ingest is to do, read from the `twitch:` section of the configuration file and
// from a subscriptions file in the form of the reference platform.
//
// Everything wrong is reported at once, by path. What is not given has a default: the status and
// the metadata of the stream are kept, everything else is opt-in.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_SETTINGS_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_SETTINGS_H_

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "core/types.h"

namespace state_engine::twitch {

// How one event becomes one proposal.
struct MutationSpec {
  std::string key;  // before the channel's prefix
  Op op = Op::kSet;
  // Exactly one of the three.
  std::optional<json::Value> value;
  std::string value_from;                                         // a field of the event
  std::vector<std::pair<std::string, std::string>> value_fields;  // {member: field}
  std::optional<std::chrono::milliseconds> ttl;
  std::string ttl_from;                                   // a field that holds seconds
  std::vector<std::pair<std::string, json::Value>> when;  // fields that must have these values
};

struct SubscriptionSpec {
  std::string type;
  std::string version;
  bool enabled = false;
  std::string scope;
  std::vector<MutationSpec> mutations;
};

struct ChannelSettings {
  std::string login;           // lower case
  std::string broadcaster_id;  // empty = ask Twitch
  // Before every key of this channel. Absent: empty for an only channel, else "twitch.<login>.".
  std::optional<std::string> key_prefix;
  std::map<std::string, bool, std::less<>> enabled;  // by type, over the subscription's own
};

enum class Transport { kWebSocket, kWebhook };

// Where Twitch is. The defaults are the real service.
struct Endpoints {
  std::string websocket = "wss://eventsub.wss.twitch.tv/ws";
  std::string subscriptions = "https://api.twitch.tv/helix/eventsub/subscriptions";
  std::string helix = "https://api.twitch.tv/helix";
  std::string auth = "https://id.twitch.tv/oauth2";

  // The addresses of a mock at `base` ("http://127.0.0.1:8080"), as twitch-cli's mock has them.
  static Endpoints of_mock(std::string_view base);
};

struct WebhookSettings {
  std::string callback;                   // https://..., as Twitch reaches it
  std::string listen = "127.0.0.1:4280";  // where the proxy in front sends it
  std::string secret_file;                // 10 to 100 characters
};

struct TwitchSettings {
  std::string tokens_file;
  Transport transport = Transport::kWebSocket;
  std::vector<ChannelSettings> channels;
  std::vector<SubscriptionSpec> subscriptions;  // one per type
  Endpoints endpoints;
  WebhookSettings webhook;
  std::chrono::seconds keepalive{10};
  std::chrono::seconds reconcile_every{600};
  std::string subscriptions_file;  // as written; empty = none

  // The prefix of `channel`'s keys.
  std::string prefix_of(const ChannelSettings& channel) const;
  // Enabled for that channel, and it has something to propose.
  bool wants(const ChannelSettings& channel, const SubscriptionSpec& subscription) const;
};

struct SettingsFault {
  std::vector<std::string> path;
  std::string message;
};

struct SettingsReading {
  TwitchSettings settings;
  std::vector<SettingsFault> faults;
  std::vector<std::string> warnings;
};

// The subscriptions that are there without any configuration.
std::vector<SubscriptionSpec> default_subscriptions();

// Reads the `twitch:` section, except for its subscriptions file.
SettingsReading read_settings(const json::Value& section);

// Reads a subscriptions file {version, subscriptions, channelOverrides} over what is in `reading`.
// Its faults are appended with paths into that file.
void read_subscriptions_file(const json::Value& document, SettingsReading& reading);

// What only the whole can show (two channels with one prefix): call it once, last.
void check_settings(SettingsReading& reading);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_SETTINGS_H_
