// The reference's keys (enabled, version, scope, priority, builder, internalType, description,
// mutation {key, value, ttl}, channelOverrides) mean what they mean there; `builder`,
// `internalType`, `priority` and `description` are accepted and not used, because an event becomes
// a proposal here. Ours are mutations (several), valueFrom, ttlFrom, op and when.

#include <algorithm>
#include <functional>
#include <span>

#include "integrations/twitch/event_types.h"
#include "integrations/twitch/settings.h"

namespace state_engine::twitch {
namespace {

using Path = std::vector<std::string>;

constexpr std::int64_t kTtlSecondsMax = 366LL * 24 * 3600;

Path operator/(Path path, std::string_view step) {
  path.emplace_back(step);
  return path;
}

Path operator/(Path path, std::size_t index) { return std::move(path) / std::to_string(index); }

// Members by name; each reads its value.
struct Member {
  std::string_view name;
  std::function<void(const json::Value&, const Path&)> read;
};

class Reader {
 public:
  explicit Reader(SettingsReading& reading) : reading_(reading) {}

  void fault(Path path, std::string message) {
    reading_.faults.push_back({std::move(path), std::move(message)});
  }

  void wrong_type(const Path& path, std::string_view expected, const json::Value& found) {
    fault(path,
          "expected " + std::string(expected) + ", found " + std::string(json::type_name(found)));
  }

  const json::Object* object(const json::Value& value, const Path& path) {
    if (const json::Object* found = value.if_object()) return found;
    wrong_type(path, "a map", value);
    return nullptr;
  }

  void members(const json::Value& value, const Path& path, std::span<const Member> known) {
    const json::Object* found = object(value, path);
    if (found == nullptr) return;
    for (const auto& [name, member] : *found) {
      const auto match = std::find_if(known.begin(), known.end(),
                                      [&, key = std::string_view(name.data(), name.size())](
                                          const Member& one) { return one.name == key; });
      if (match != known.end()) {
        match->read(member, path / match->name);
        continue;
      }
      std::string names;
      for (const Member& one : known) names += (names.empty() ? "" : ", ") + std::string(one.name);
      fault(path / std::string_view(name.data(), name.size()), "unknown key; expected " + names);
    }
  }

  std::string text(const json::Value& value, const Path& path) {
    if (value.is_string()) return std::string(value.get_string());
    // A version or an id that looks like a number means its digits.
    if (const auto number = json::as_int64(value)) return std::to_string(*number);
    wrong_type(path, "a text", value);
    return {};
  }

  bool flag(const json::Value& value, const Path& path, bool otherwise) {
    if (value.is_bool()) return value.get_bool();
    wrong_type(path, "true or false", value);
    return otherwise;
  }

  std::optional<std::chrono::seconds> seconds(const json::Value& value, const Path& path,
                                              std::int64_t least, std::int64_t most) {
    const auto number = json::as_int64(value);
    if (number && *number >= least && *number <= most) return std::chrono::seconds{*number};
    fault(path,
          "expected whole seconds from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }

  MutationSpec mutation(const json::Value& value, const Path& path);
  void subscriptions(const json::Value& value, const Path& path);
  void subscription(std::string_view type, const json::Value& value, const Path& path);
  void channels(const json::Value& value, const Path& path);
  void channel(const json::Value& value, const Path& path);
  void overrides(const json::Value& value, const Path& path);
  void enabled_types(const json::Value& value, const Path& path, ChannelSettings& channel);
  void webhook(const json::Value& value, const Path& path);
  void section(const json::Value& value);

 private:
  void value_source(MutationSpec& spec, const json::Value& value, const Path& path);

  SettingsReading& reading_;
};

// valueFrom: title, or valueFrom: {from: from_broadcaster_user_name, viewers: viewers}.
void Reader::value_source(MutationSpec& spec, const json::Value& value, const Path& path) {
  if (!value.is_object()) {
    spec.value_from = text(value, path);
    return;
  }
  for (const auto& [name, field] : value.get_object()) {
    const std::string member(name);
    spec.value_fields.emplace_back(member, text(field, path / member));
  }
  if (spec.value_fields.empty()) fault(path, "names no field of the event");
}

MutationSpec Reader::mutation(const json::Value& value, const Path& path) {
  MutationSpec spec;
  const Member known[] = {
      {"key", [&](const json::Value& v, const Path& at) { spec.key = text(v, at); }},
      {"op",
       [&](const json::Value& v, const Path& at) {
         const auto op = parse_op(text(v, at));
         if (op && *op != Op::kExpire) {
           spec.op = *op;
         } else {
           fault(at, "expected set, delete, increment, push or merge");
         }
       }},
      {"value", [&](const json::Value& v, const Path&) { spec.value = v; }},
      {"valueFrom", [&](const json::Value& v, const Path& at) { value_source(spec, v, at); }},
      {"ttl",
       [&](const json::Value& v, const Path& at) {
         if (auto ttl = seconds(v, at, 1, kTtlSecondsMax)) spec.ttl = *ttl;
       }},
      {"ttlFrom", [&](const json::Value& v, const Path& at) { spec.ttl_from = text(v, at); }},
      {"when",
       [&](const json::Value& v, const Path& at) {
         const json::Object* fields = object(v, at);
         if (fields == nullptr) return;
         for (const auto& [name, wanted] : *fields) {
           spec.when.emplace_back(std::string(name), wanted);
         }
       }},
  };
  members(value, path, known);
  if (!value.is_object()) return spec;
  if (spec.key.empty()) fault(path, "key is missing; expected the state key to write");
  const int sources = (spec.value ? 1 : 0) + (spec.value_from.empty() ? 0 : 1) +
                      (spec.value_fields.empty() ? 0 : 1);
  if (spec.op == Op::kDelete ? sources != 0 : sources != 1) {
    fault(path, spec.op == Op::kDelete ? "delete takes no value"
                                       : "expected exactly one of value and valueFrom");
  }
  if (spec.ttl && !spec.ttl_from.empty()) fault(path, "give ttl or ttlFrom, not both");
  return spec;
}

void Reader::subscription(std::string_view type, const json::Value& value, const Path& path) {
  auto& all = reading_.settings.subscriptions;
  auto found = std::find_if(all.begin(), all.end(),
                            [&](const SubscriptionSpec& one) { return one.type == type; });
  if (found == all.end()) {
    SubscriptionSpec fresh;
    fresh.type = std::string(type);
    if (const EventType* known = find_event_type(type)) {
      fresh.version = std::string(known->version);
      fresh.scope = std::string(known->scope);
    }
    all.push_back(std::move(fresh));
    found = all.end() - 1;
  }
  SubscriptionSpec& spec = *found;
  const auto ignore = [&](const json::Value& v, const Path& at) { (void)text(v, at); };
  const Member known[] = {
      {"enabled",
       [&](const json::Value& v, const Path& at) { spec.enabled = flag(v, at, spec.enabled); }},
      {"version", [&](const json::Value& v, const Path& at) { spec.version = text(v, at); }},
      {"scope", [&](const json::Value& v, const Path& at) { spec.scope = text(v, at); }},
      {"mutation",
       [&](const json::Value& v, const Path& at) {
         MutationSpec read = mutation(v, at);
         // The reference knows no condition; a rerun must not look like a live stream.
         if (spec.type == "stream.online" && read.when.empty()) read.when = {{"type", "live"}};
         spec.mutations = {std::move(read)};
       }},
      {"mutations",
       [&](const json::Value& v, const Path& at) {
         if (!v.is_array()) return wrong_type(at, "a list", v);
         spec.mutations.clear();
         for (std::size_t i = 0; i < v.get_array().size(); ++i) {
           spec.mutations.push_back(mutation(v.get_array()[i], at / i));
         }
       }},
      {"priority", ignore},
      {"builder", ignore},
      {"internalType", ignore},
      {"description", ignore},
  };
  members(value, path, known);
  if (spec.enabled && spec.version.empty()) {
    fault(path, "version is missing, and " + spec.type + " is not among the known types");
  }
  if (spec.enabled && spec.mutations.empty()) {
    reading_.warnings.push_back(spec.type +
                                " is enabled but has no mutation: there is nothing to propose, so "
                                "it is not subscribed");
  }
}

void Reader::subscriptions(const json::Value& value, const Path& path) {
  const json::Object* types = object(value, path);
  if (types == nullptr) return;
  for (const auto& [name, spec] : *types) {
    const std::string type(name);
    subscription(type, spec, path / type);
  }
}

void Reader::enabled_types(const json::Value& value, const Path& path, ChannelSettings& channel) {
  const json::Object* types = object(value, path);
  if (types == nullptr) return;
  for (const auto& [name, override_of] : *types) {
    const std::string type(name);
    const Path at = path / type;
    const Member known[] = {{"enabled", [&](const json::Value& v, const Path& where) {
                               channel.enabled[type] = flag(v, where, false);
                             }}};
    members(override_of, at, known);
  }
}

void Reader::channel(const json::Value& value, const Path& path) {
  ChannelSettings channel;
  if (value.is_string()) {
    channel.login = text(value, path);
  } else {
    const Member known[] = {
        {"login", [&](const json::Value& v, const Path& at) { channel.login = text(v, at); }},
        {"broadcasterId",
         [&](const json::Value& v, const Path& at) { channel.broadcaster_id = text(v, at); }},
        {"keyPrefix",
         [&](const json::Value& v, const Path& at) { channel.key_prefix = text(v, at); }},
        {"subscriptions",
         [&](const json::Value& v, const Path& at) { enabled_types(v, at, channel); }},
    };
    members(value, path, known);
  }
  for (char& c : channel.login) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const bool plain =
      channel.login.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (channel.login.empty() || !plain) {
    fault(path, "expected a Twitch login: letters, digits and underscores");
  }
  if (channel.broadcaster_id.find_first_not_of("0123456789") != std::string::npos) {
    fault(path / "broadcasterId", "expected the digits of a Twitch user id");
  }
  reading_.settings.channels.push_back(std::move(channel));
}

void Reader::channels(const json::Value& value, const Path& path) {
  if (!value.is_array()) return wrong_type(path, "a list of channels", value);
  for (std::size_t i = 0; i < value.get_array().size(); ++i) {
    channel(value.get_array()[i], path / i);
  }
}

void Reader::overrides(const json::Value& value, const Path& path) {
  const json::Object* logins = object(value, path);
  if (logins == nullptr) return;
  for (const auto& [name, types] : *logins) {
    const std::string login(name);
    auto& channels_known = reading_.settings.channels;
    const auto found = std::find_if(channels_known.begin(), channels_known.end(),
                                    [&](const ChannelSettings& one) { return one.login == login; });
    if (found == channels_known.end()) {
      reading_.warnings.push_back("channelOverrides names " + login +
                                  ", which is not among twitch.channels");
      continue;
    }
    enabled_types(types, path / login, *found);
  }
}

void Reader::webhook(const json::Value& value, const Path& path) {
  WebhookSettings& webhook = reading_.settings.webhook;
  const Member known[] = {
      {"callback", [&](const json::Value& v, const Path& at) { webhook.callback = text(v, at); }},
      {"listen", [&](const json::Value& v, const Path& at) { webhook.listen = text(v, at); }},
      {"secretFile",
       [&](const json::Value& v, const Path& at) { webhook.secret_file = text(v, at); }},
  };
  members(value, path, known);
}

void Reader::section(const json::Value& value) {
  TwitchSettings& settings = reading_.settings;
  const Member known[] = {
      // Before the channels' overrides, whatever their order in the file.
      {"channels", [&](const json::Value& v, const Path& at) { channels(v, at); }},
      {"tokensFile",
       [&](const json::Value& v, const Path& at) { settings.tokens_file = text(v, at); }},
      {"transport",
       [&](const json::Value& v, const Path& at) {
         const std::string name = text(v, at);
         if (name == "webhook") settings.transport = Transport::kWebhook;
         if (name != "webhook" && name != "websocket") fault(at, "expected websocket or webhook");
       }},
      {"subscriptions", [&](const json::Value& v, const Path& at) { subscriptions(v, at); }},
      {"subscriptionsFile",
       [&](const json::Value& v, const Path& at) { settings.subscriptions_file = text(v, at); }},
      {"mock",
       [&](const json::Value& v, const Path& at) {
         const std::string base = text(v, at);
         if (base.starts_with("http://") || base.starts_with("https://")) {
           settings.endpoints = Endpoints::of_mock(base);
         } else {
           fault(at, "expected the address of a mock Twitch, for example http://127.0.0.1:8080");
         }
       }},
      {"webhook", [&](const json::Value& v, const Path& at) { webhook(v, at); }},
      {"keepaliveSeconds",
       [&](const json::Value& v, const Path& at) {
         if (auto given = seconds(v, at, 1, 600)) settings.keepalive = *given;
       }},
      {"reconcileSeconds",
       [&](const json::Value& v, const Path& at) {
         if (auto given = seconds(v, at, 1, 24 * 3600)) settings.reconcile_every = *given;
       }},
  };
  members(value, {}, known);
}

}  // namespace

SettingsReading read_settings(const json::Value& section) {
  SettingsReading reading;
  reading.settings.subscriptions = default_subscriptions();
  Reader(reading).section(section);
  return reading;
}

void read_subscriptions_file(const json::Value& document, SettingsReading& reading) {
  Reader reader(reading);
  const Member known[] = {
      {"version",
       [&](const json::Value& v, const Path& at) {
         if (json::as_int64(v) != 1) reader.fault(at, "expected 1");
       }},
      {"subscriptions", [&](const json::Value& v, const Path& at) { reader.subscriptions(v, at); }},
      {"channelOverrides", [&](const json::Value& v, const Path& at) { reader.overrides(v, at); }},
  };
  reader.members(document, {}, known);
}

}  // namespace state_engine::twitch
