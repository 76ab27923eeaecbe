// An event and an answer of Helix take the same way: the answer is made into the event that would
// have told it, so that there is one mapping and one set of rules in the configuration.

#include "integrations/twitch/mapping.h"

#include <algorithm>

#include "base/hex.h"
#include "base/limits.h"

namespace state_engine::twitch {
namespace {

constexpr std::size_t kMessageIdMax = 100;  // leaves room for the prefix and the index
constexpr std::size_t kFieldDepthMax = 8;

// The value at "a.b" in an event, or nullptr.
const json::Value* field_at(const json::Object& event, std::string_view path) {
  const json::Object* object = &event;
  for (std::size_t depth = 0; depth < kFieldDepthMax; ++depth) {
    const auto dot = path.find('.');
    const json::Value* value = json::find(*object, path.substr(0, dot));
    if (dot == std::string_view::npos || value == nullptr) return value;
    object = value->if_object();
    if (object == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

bool matches(const MutationSpec& spec, const json::Object& event) {
  return std::all_of(spec.when.begin(), spec.when.end(), [&](const auto& condition) {
    const json::Value* value = field_at(event, condition.first);
    return value != nullptr && json::equal(*value, condition.second);
  });
}

// The value to propose; empty with `why` if the event lacks it.
std::optional<json::Value> value_of(const MutationSpec& spec, const json::Object& event,
                                    std::string& why) {
  if (spec.value) return spec.value;
  if (!spec.value_from.empty()) {
    const json::Value* value = field_at(event, spec.value_from);
    if (value == nullptr) why = "the event has no field " + spec.value_from;
    return value == nullptr ? std::nullopt : std::optional(*value);
  }
  json::Object object;
  for (const auto& [name, field] : spec.value_fields) {
    const json::Value* value = field_at(event, field);
    if (value == nullptr) {
      why = "the event has no field " + field;
      return std::nullopt;
    }
    object[name] = *value;
  }
  return json::Value(std::move(object));
}

std::optional<std::chrono::milliseconds> ttl_of(const MutationSpec& spec,
                                                const json::Object& event) {
  if (spec.ttl_from.empty()) return spec.ttl;
  const json::Value* value = field_at(event, spec.ttl_from);
  const auto seconds = value == nullptr ? std::nullopt : json::as_int64(*value);
  if (!seconds || *seconds <= 0 || *seconds > 366LL * 24 * 3600) return std::nullopt;
  return std::chrono::seconds{*seconds};
}

json::Object metadata_of(const BoundChannel& channel, const Notice& notice, bool reconciled) {
  json::Object out{{"eventType", notice.type},
                   {"broadcasterId", channel.broadcaster_id},
                   {"broadcasterName", channel.login}};
  if (notice.type.starts_with("stream.")) {
    if (auto id = json::find_string(notice.event, "id")) out["streamId"] = *id;
  }
  if (reconciled) {
    out["reconciled"] = true;
  } else {
    out["messageId"] = notice.message_id;
  }
  return out;
}

bool is_stream(std::string_view type) {
  return type == "stream.online" || type == "stream.offline";
}

}  // namespace

std::string proposal_id(const std::string& message_id, std::size_t index, std::size_t count) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:=";
  std::string id = "twitch:";
  if (message_id.size() <= kMessageIdMax &&
      message_id.find_first_not_of(kPlain) == std::string::npos) {
    id += message_id;
  } else {
    id += "h_" + sha256_hex(message_id).substr(0, 32);
  }
  if (count > 1) id += ":" + std::to_string(index);
  SE_ASSERT(id.size() <= limits::kIdCharsMax);
  return id;
}

const BoundChannel* EventMapper::channel_of(const Notice& notice) const {
  for (const char* name : {"broadcaster_user_id", "to_broadcaster_user_id"}) {
    const auto id = json::find_string(notice.event, name);
    if (!id) continue;
    for (const BoundChannel& channel : channels_) {
      if (channel.broadcaster_id == *id) return &channel;
    }
  }
  return nullptr;
}

std::vector<Outgoing> EventMapper::proposals(const BoundChannel& channel,
                                             const SubscriptionSpec& spec, const Notice& notice,
                                             Timestamp now, bool reconciled, std::string& why) {
  std::vector<Outgoing> out;
  for (std::size_t i = 0; i < spec.mutations.size(); ++i) {
    const MutationSpec& mutation = spec.mutations[i];
    if (!matches(mutation, notice.event)) continue;
    const std::string key = channel.key_prefix + mutation.key;
    if (!reconciled && (mutation.op == Op::kSet || mutation.op == Op::kDelete)) {
      Timestamp& last = last_sent_[key];
      if (notice.sent_at < last) {
        why = "an event that was sent later has already come";
        continue;
      }
      last = notice.sent_at;
    }
    Proposal proposal;
    proposal.id = proposal_id(notice.message_id, i, spec.mutations.size());
    proposal.op = mutation.op;
    proposal.key = key;
    if (mutation.op != Op::kDelete) {
      proposal.value = value_of(mutation, notice.event, why);
      if (!proposal.value) continue;
    }
    proposal.actor = std::string(kTwitchActor);
    proposal.reason = reconciled ? "Twitch API: " + notice.type + " (reconciled)"
                                 : "Twitch EventSub: " + notice.type;
    proposal.ts = now;
    proposal.ttl = ttl_of(mutation, notice.event);
    proposal.metadata = metadata_of(channel, notice, reconciled);
    out.push_back({std::move(proposal), reconciled});
  }
  return out;
}

std::vector<Outgoing> EventMapper::map(const Notice& notice, Timestamp now, std::string& why) {
  why.clear();
  const BoundChannel* channel = channel_of(notice);
  if (channel == nullptr) {
    why = "it is about no channel of the configuration";
    return {};
  }
  const auto spec =
      std::find_if(channel->subscriptions.begin(), channel->subscriptions.end(),
                   [&](const SubscriptionSpec& one) { return one.type == notice.type; });
  if (spec == channel->subscriptions.end()) {
    why = "its type is not wanted for this channel";
    return {};
  }
  if (is_stream(notice.type)) {
    const bool online = notice.type == "stream.online";
    if (online && json::find_string(notice.event, "type").value_or("") != "live") {
      why = "the stream is a rerun, a premiere or the like";
    } else if (StreamEvents& known = streams_[channel->broadcaster_id];
               notice.sent_at >= known.sent_at) {
      known.online = online;
      known.sent_at = notice.sent_at;
      if (online) known.stream_id = json::find_string(notice.event, "id").value_or("");
    }
  }
  if (notice.type == "channel.update") {
    Timestamp& last = updates_[channel->broadcaster_id];
    last = std::max(last, notice.sent_at);
  }
  return proposals(*channel, *spec, notice, now, false, why);
}

// True if an event of just now contradicts Helix, which answers from caches.
bool EventMapper::helix_is_behind(const BoundChannel& channel, const ChannelTruth& truth,
                                  Timestamp now) const {
  const auto known = streams_.find(channel.broadcaster_id);
  if (known == streams_.end() || now - known->second.sent_at > kHelixLagMax) return false;
  const StreamEvents& events = known->second;
  if (truth.stream && !events.online) {
    // A stream that began after the offline event is another one.
    const auto started = parse_rfc3339(truth.stream->started_at);
    return !started.ok() || *started <= events.sent_at;
  }
  return !truth.stream && events.online;
}

std::vector<Outgoing> EventMapper::reconcile(const BoundChannel& channel, const ChannelTruth& truth,
                                             Timestamp now, bool& again) {
  std::vector<Outgoing> out;
  std::string why;
  const auto add = [&](const Notice& notice) {
    for (const SubscriptionSpec& spec : channel.subscriptions) {
      if (spec.type != notice.type) continue;
      for (Outgoing& one : proposals(channel, spec, notice, now, true, why)) {
        out.push_back(std::move(one));
      }
    }
  };
  const std::string stem = "reconcile:" + channel.broadcaster_id + ":";
  const std::string at = std::to_string(to_ms(now));
  json::Object who{{"broadcaster_user_id", channel.broadcaster_id},
                   {"broadcaster_user_login", channel.login},
                   {"broadcaster_user_name", channel.login}};
  again = helix_is_behind(channel, truth, now);
  if (!again) {
    json::Object event = who;
    if (truth.stream) {
      event["id"] = truth.stream->id;
      event["type"] = truth.stream->type;
      event["started_at"] = truth.stream->started_at;
    }
    const bool live = truth.stream.has_value();
    add({stem + (live ? "on:" : "off:") + at, now, live ? "stream.online" : "stream.offline",
         std::move(event)});
  }
  const auto updated = updates_.find(channel.broadcaster_id);
  if (truth.update && updated != updates_.end() && now - updated->second <= kHelixLagMax) {
    again = true;
  } else if (truth.update) {
    json::Object event = who;
    for (const auto& [name, value] : *truth.update) event[name] = value;
    add({stem + "update:" + at, now, "channel.update", std::move(event)});
  }
  return out;
}

}  // namespace state_engine::twitch
