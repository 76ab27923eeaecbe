// Defaults, and the rules that concern several parts of the settings at once.

#include "integrations/twitch/settings.h"

#include <set>

#include "core/keys.h"

namespace state_engine::twitch {
namespace {

using Path = std::vector<std::string>;

constexpr std::chrono::seconds kStreamStateTtl{6 * 3600};

MutationSpec set_from(std::string key, std::string field) {
  MutationSpec spec;
  spec.key = std::move(key);
  spec.value_from = std::move(field);
  return spec;
}

MutationSpec stream_state(std::string_view value) {
  MutationSpec spec;
  spec.key = "stream.state";
  spec.value = json::Value(boost::json::string(value));
  spec.ttl = kStreamStateTtl;
  return spec;
}

}  // namespace

Endpoints Endpoints::of_mock(std::string_view base) {
  while (base.ends_with('/')) base.remove_suffix(1);
  const std::string http(base);
  return {"ws" + http.substr(4) + "/ws", http + "/eventsub/subscriptions", http + "/mock",
          http + "/auth"};
}

std::vector<SubscriptionSpec> default_subscriptions() {
  MutationSpec on = stream_state("on");
  on.when = {{"type", "live"}};
  std::vector<SubscriptionSpec> out;
  out.push_back({"stream.online", "1", true, "", {std::move(on)}});
  out.push_back({"stream.offline", "1", true, "", {stream_state("off")}});
  out.push_back({"channel.update",
                 "2",
                 true,
                 "",
                 {set_from("stream.title", "title"), set_from("stream.category", "category_name"),
                  set_from("stream.language", "language")}});
  return out;
}

std::string TwitchSettings::prefix_of(const ChannelSettings& channel) const {
  if (channel.key_prefix) return *channel.key_prefix;
  return channels.size() == 1 ? "" : "twitch." + channel.login + ".";
}

bool TwitchSettings::wants(const ChannelSettings& channel,
                           const SubscriptionSpec& subscription) const {
  if (subscription.mutations.empty()) return false;
  const auto override_of = channel.enabled.find(subscription.type);
  return override_of == channel.enabled.end() ? subscription.enabled : override_of->second;
}

void check_settings(SettingsReading& reading) {
  const TwitchSettings& settings = reading.settings;
  const auto add = [&](Path path, std::string message) {
    reading.faults.push_back({std::move(path), std::move(message)});
  };
  if (settings.channels.empty()) {
    add({"channels"}, "names no channel; expected for example [mystreamer]");
  }
  if (settings.tokens_file.empty()) {
    add({"tokensFile"}, "is missing; docs/twitch.md says how to make one");
  }
  std::set<std::string> logins;
  std::set<std::string> prefixes;
  for (std::size_t i = 0; i < settings.channels.size(); ++i) {
    const ChannelSettings& channel = settings.channels[i];
    const Path at{"channels", std::to_string(i)};
    if (!logins.insert(channel.login).second) add(at, channel.login + " is listed twice");
    const std::string prefix = settings.prefix_of(channel);
    if (!prefixes.insert(prefix).second) {
      add({"channels", std::to_string(i), "keyPrefix"}, "two channels would write the same keys");
    }
    for (const SubscriptionSpec& subscription : settings.subscriptions) {
      for (const MutationSpec& mutation : subscription.mutations) {
        const auto fault = key_fault(prefix + mutation.key);
        if (fault && i == 0) add({"subscriptions", subscription.type}, *fault);
      }
    }
  }
  if (settings.transport != Transport::kWebhook) return;
  if (!settings.webhook.callback.starts_with("http")) {
    add({"webhook", "callback"}, "expected the https address that Twitch calls");
  }
  if (settings.webhook.secret_file.empty()) {
    add({"webhook", "secretFile"}, "is missing; expected a file with 10 to 100 characters");
  }
}

}  // namespace state_engine::twitch
