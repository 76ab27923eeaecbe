#include "integrations/twitch/settings.h"

#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

SettingsReading read(std::string_view text) {
  SettingsReading reading = read_settings(*json::parse(text));
  check_settings(reading);
  return reading;
}

std::string faults(const SettingsReading& reading) {
  std::string out;
  for (const SettingsFault& fault : reading.faults) {
    for (const std::string& step : fault.path) out += step + "/";
    out += " " + fault.message + "\n";
  }
  return out;
}

const SubscriptionSpec& spec_of(const TwitchSettings& settings, std::string_view type) {
  for (const SubscriptionSpec& spec : settings.subscriptions) {
    if (spec.type == type) return spec;
  }
  ADD_FAILURE() << type;
  return settings.subscriptions.front();
}

TEST(TwitchSettingsTest, AShortSectionGetsTheDefaults) {
  const auto reading = read(R"({"channels": ["MyStreamer"], "tokensFile": "t.json"})");
  EXPECT_EQ(faults(reading), "");
  const TwitchSettings& settings = reading.settings;
  ASSERT_EQ(settings.channels.size(), 1u);
  EXPECT_EQ(settings.channels[0].login, "mystreamer");
  EXPECT_EQ(settings.prefix_of(settings.channels[0]), "");
  EXPECT_EQ(settings.endpoints.websocket, "wss://eventsub.wss.twitch.tv/ws");
  for (const char* type : {"stream.online", "stream.offline", "channel.update"}) {
    EXPECT_TRUE(settings.wants(settings.channels[0], spec_of(settings, type))) << type;
  }
  EXPECT_EQ(settings.subscriptions.size(), 3u) << "everything else is opt-in";
}

TEST(TwitchSettingsTest, SeveralChannelsGetKeysOfTheirOwn) {
  const auto reading =
      read(R"({"channels": ["a", {"login": "b", "keyPrefix": ""}], "tokensFile": "t"})");
  EXPECT_EQ(faults(reading), "");
  EXPECT_EQ(reading.settings.prefix_of(reading.settings.channels[0]), "twitch.a.");
  EXPECT_EQ(reading.settings.prefix_of(reading.settings.channels[1]), "");
}

TEST(TwitchSettingsTest, TheAddressesOfAMockAreThoseOfTwitchCli) {
  const auto reading =
      read(R"({"channels": ["a"], "tokensFile": "t", "mock": "http://127.0.0.1:8080/"})");
  EXPECT_EQ(reading.settings.endpoints.websocket, "ws://127.0.0.1:8080/ws");
  EXPECT_EQ(reading.settings.endpoints.subscriptions,
            "http://127.0.0.1:8080/eventsub/subscriptions");
  EXPECT_EQ(reading.settings.endpoints.helix, "http://127.0.0.1:8080/mock");
  EXPECT_EQ(reading.settings.endpoints.auth, "http://127.0.0.1:8080/auth");
}

// The keys and the shape of the reference platform's file.
TEST(TwitchSettingsTest, TheReferencesSubscriptionsFileIsUnderstood) {
  auto reading = read_settings(*json::parse(R"({"channels": ["me"], "tokensFile": "t"})"));
  read_subscriptions_file(*json::parse(R"({
    "version": 1,
    "subscriptions": {
      "stream.online": {"enabled": true, "version": 1, "priority": "critical",
        "builder": "buildStreamOnline", "internalType": "system.stream.online",
        "description": "d", "mutation": {"key": "stream.state", "value": "on", "ttl": 21600}},
      "channel.update": {"enabled": true, "version": 2, "priority": "high", "builder": "b",
        "internalType": "system.twitch.update", "description": "d"},
      "channel.follow": {"enabled": true, "version": 2, "scope": "moderator:read:followers",
        "priority": "high", "builder": "b", "internalType": "i", "description": "d"},
      "channel.ban": {"enabled": false, "version": 1, "scope": "channel:moderate",
        "builder": "b", "internalType": "i", "mutation": {"key": "stream.ban", "value": true}}},
    "channelOverrides": {"me": {"channel.ban": {"enabled": true}}, "other": {}}})"),
                          reading);
  check_settings(reading);
  EXPECT_EQ(faults(reading), "");
  const TwitchSettings& settings = reading.settings;
  const SubscriptionSpec& online = spec_of(settings, "stream.online");
  ASSERT_EQ(online.mutations.size(), 1u);
  EXPECT_EQ(online.mutations[0].value, json::Value("on"));
  ASSERT_EQ(online.mutations[0].when.size(), 1u) << "a rerun must not look live";
  EXPECT_EQ(spec_of(settings, "channel.update").mutations.size(), 3u) << "ours stay";
  EXPECT_FALSE(settings.wants(settings.channels[0], spec_of(settings, "channel.follow")));
  EXPECT_TRUE(settings.wants(settings.channels[0], spec_of(settings, "channel.ban")));
  ASSERT_EQ(reading.warnings.size(), 2u);
}

TEST(TwitchSettingsTest, SaysEverythingThatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"[]", "expected a map"},
      {R"({"channels": []})", "names no channel"},
      {R"({"channels": ["a"]})", "tokensFile/ is missing"},
      {R"({"channels": ["a", "A"], "tokensFile": "t"})", "listed twice"},
      {R"({"channels": [{"login": "a", "keyPrefix": "x"}, {"login": "b", "keyPrefix": "x"}]})",
       "the same keys"},
      {R"({"channels": ["über"]})", "Twitch login"},
      {R"({"channels": [{"login": "a", "broadcasterId": "x1"}]})", "digits"},
      {R"({"chanels": ["a"]})", "unknown key"},
      {R"({"mock": "localhost"})", "address of a mock"},
      {R"({"keepaliveSeconds": 601})", "from 1 to 600"},
      {R"({"transport": "webhook"})", "secretFile"},
      {R"({"subscriptions": {"stream.online": {"mutation": {"value": 1}}}})", "key is missing"},
      {R"({"subscriptions": {"stream.online": {"mutation": {"key": "a b", "value": 1}}},
           "channels": ["a"]})",
       "key"},
      {R"({"subscriptions": {"x": {"enabled": true, "mutation": {"key": "a", "value": 1}}}})",
       "version is missing"},
      {R"({"subscriptions": {"x": {"mutation": {"key": "a", "op": "expire", "value": 1}}}})",
       "expected set"},
      {R"({"subscriptions": {"x": {"mutation": {"key": "a", "value": 1, "ttl": 0}}}})", "seconds"},
      {R"({"subscriptions": {"x": {"mutations": {}}}})", "expected a list"},
      {R"({"subscriptions": {"x": {"mutation": {"key": "a", "op": "delete", "value": 1}}}})",
       "delete takes no value"},
  };
  for (const auto& [text, part] : cases) {
    const std::string told = faults(read(text));
    EXPECT_NE(told.find(part), std::string::npos) << text << "\n" << told;
  }
}

}  // namespace
}  // namespace state_engine::twitch
