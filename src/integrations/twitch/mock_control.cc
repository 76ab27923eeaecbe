// The control API: what a test or a person does to the mock world. All bodies are JSON objects and
// every answer is JSON; docs/twitch.md has the table. /control/rtmp takes nginx-rtmp's form posts,
// so that a real encoder can drive the mock.

#include <algorithm>

#include "integrations/twitch/mock_twitch.h"

namespace state_engine::twitch {
namespace {

using net::HttpRequest;
using net::HttpResponse;

HttpResponse done(json::Object what) {
  what["ok"] = true;
  return HttpResponse::json(200, json::write(what));
}

HttpResponse fault(std::string_view why) {
  return HttpResponse::json(400, json::write(json::Object{{"ok", false}, {"error", why}}));
}

std::string text_or(const json::Object& body, std::string_view name, std::string_view other) {
  return json::find_string(body, name).value_or(std::string(other));
}

void take(const json::Object& body, std::string_view name, std::string& into) {
  if (auto text = json::find_string(body, name)) into = *std::move(text);
}

json::Object event_overrides(const json::Object& body) {
  const json::Value* event = json::find(body, "event");
  return event != nullptr && event->is_object() ? event->get_object() : json::Object{};
}

}  // namespace

HttpResponse MockTwitch::control(const HttpRequest& request) {
  const std::string_view verb = std::string_view(request.path).substr(sizeof "/control/" - 1);
  if (verb == "report") return control_report();
  if (request.method != "POST") return HttpResponse::text(405, "use POST\n");
  if (verb == "rtmp") return control_rtmp(parse_form(request.body));
  const auto parsed = json::parse(request.body.empty() ? "{}" : request.body);
  if (!parsed.ok()) return fault(parsed.error().message);
  const json::Object* body = parsed->if_object();
  if (body == nullptr) return fault("the body must be a JSON object");
  if (verb == "stream") return control_stream(*body);
  if (verb == "channel") return control_channel(*body);
  if (verb == "event") return control_event(*body);
  if (verb == "revoke") return control_revoke(*body);
  if (verb == "keepalive") {
    const json::Value* enabled = json::find(*body, "enabled");
    if (enabled == nullptr || !enabled->is_bool()) return fault("enabled must be true or false");
    keepalives_ = enabled->get_bool();
    return done({{"enabled", keepalives_}});
  }
  if (verb == "expire-tokens") {
    world_.expire_tokens(clock_.wall_now());
    return done({});
  }
  if (verb == "fail") {
    Failure failure;
    failure.path = text_or(*body, "path", "/eventsub/subscriptions");
    failure.method = text_or(*body, "method", "");
    failure.status = static_cast<int>(json::find_int(*body, "status").value_or(500));
    failure.message = text_or(*body, "message", "planted");
    failure.times = static_cast<int>(json::find_int(*body, "times").value_or(1));
    if (failure.status < 400 || failure.status > 599) return fault("status must be 400 to 599");
    failures_.push_back(failure);
    return done({});
  }
  if (verb == "reconnect" || verb == "close" || verb == "drop" || verb == "raw") {
    return control_sessions(verb, *body);
  }
  return HttpResponse::json(
      404,
      R"({"ok":false,"error":"verbs: stream, channel, event, revoke, reconnect, close, drop, raw, )"
      R"(keepalive, fail, expire-tokens, rtmp, report"})");
}

// Sends `type` to its subscribers; returns to how many.
int MockTwitch::emit(const std::string& type, MockChannel& channel, const json::Object& body) {
  const Timestamp now = clock_.wall_now();
  Delivery delivery;
  delivery.due = now + std::chrono::milliseconds{json::find_int(body, "delayMs").value_or(0)};
  delivery.message_id = text_or(body, "messageId", "");
  delivery.timestamp = text_or(body, "timestamp", twitch_time(now));
  delivery.repeat = static_cast<int>(
      std::clamp<std::int64_t>(json::find_int(body, "repeat").value_or(1), 1, 1000));
  delivery.event = sample_event(type, channel, event_overrides(body), now);
  const auto subscriptions = world_.matching(type, channel.user.id);
  for (const MockSubscription& subscription : subscriptions) {
    Delivery one = delivery;
    one.subscription_id = subscription.id;
    if (one.message_id.empty()) one.message_id = world_.new_id();
    if (one.due <= now) {
      deliver(one);
    } else {
      waiting_.push_back(std::move(one));
    }
  }
  return static_cast<int>(subscriptions.size());
}

void MockTwitch::go(MockChannel& channel, bool live, const json::Object& body) {
  if (!live) {
    channel.stream.reset();
    return;
  }
  channel.stream = MockStream{
      text_or(body, "streamId", std::to_string(clock_.wall_now().time_since_epoch().count())),
      text_or(body, "type", "live"), clock_.wall_now()};
}

HttpResponse MockTwitch::control_stream(const json::Object& body) {
  MockChannel* channel = world_.channel(text_or(body, "channel", ""));
  if (channel == nullptr) return fault("channel must be a login or id that the mock knows");
  const std::string state = text_or(body, "state", "");
  if (state != "on" && state != "off") return fault("state must be on or off");
  go(*channel, state == "on", body);
  // notify: false changes the truth without telling anybody, as a lost event does.
  const json::Value* notify = json::find(body, "notify");
  const bool silent = notify != nullptr && notify->is_bool() && !notify->get_bool();
  const int sent =
      silent ? 0 : emit(state == "on" ? "stream.online" : "stream.offline", *channel, body);
  return done({{"sent", sent}});
}

HttpResponse MockTwitch::control_channel(const json::Object& body) {
  MockChannel* channel = world_.channel(text_or(body, "channel", ""));
  if (channel == nullptr) return fault("channel must be a login or id that the mock knows");
  take(body, "title", channel->title);
  take(body, "category", channel->category_name);
  take(body, "categoryId", channel->category_id);
  take(body, "language", channel->language);
  const json::Value* notify = json::find(body, "notify");
  const bool silent = notify != nullptr && notify->is_bool() && !notify->get_bool();
  return done({{"sent", silent ? 0 : emit("channel.update", *channel, body)}});
}

HttpResponse MockTwitch::control_event(const json::Object& body) {
  MockChannel* channel = world_.channel(text_or(body, "channel", ""));
  if (channel == nullptr) return fault("channel must be a login or id that the mock knows");
  const std::string type = text_or(body, "type", "");
  if (type.empty()) return fault("type must be a subscription type, for example channel.raid");
  return done({{"sent", emit(type, *channel, body)}});
}

HttpResponse MockTwitch::control_revoke(const json::Object& body) {
  const std::string type = text_or(body, "type", "");
  const std::string status = text_or(body, "status", "authorization_revoked");
  int revoked = 0;
  for (const auto& [id, listed] : world_.subscriptions()) {
    if (listed.status != "enabled" || (!type.empty() && listed.type != type)) continue;
    MockSubscription* subscription = world_.find(id);
    subscription->status = status;
    revoked += 1;
    if (subscription->method == "webhook") {
      send_webhook(*subscription, "revocation", {}, world_.new_id(),
                   twitch_time(clock_.wall_now()));
      continue;
    }
    for (auto& [key, session] : sessions_) {
      if (!session.live || session.id != subscription->session_id) continue;
      send(session, "revocation", {{"subscription", subscription->to_json()}});
    }
  }
  return done({{"revoked", revoked}});
}

HttpResponse MockTwitch::control_sessions(std::string_view verb, const json::Object& body) {
  const std::string only = text_or(body, "session", "");
  int touched = 0;
  for (auto& [key, session] : sessions_) {
    if (!session.live || (!only.empty() && session.id != only)) continue;
    touched += 1;
    if (verb == "close") {
      const auto code = json::find_int(body, "code").value_or(4000);
      start_close(session, static_cast<std::uint16_t>(code), "closed by /control/close");
    } else if (verb == "drop") {
      session.socket->abort();
    } else if (verb == "raw") {
      send_text(session, text_or(body, "text", ""));
    } else {
      const std::string secret = random_hex(random_, 12);
      reconnects_[secret] = session.id;
      session.grace_ends = clock_.wall_now() + options_.reconnect_grace;
      send(session, "session_reconnect",
           {{"session",
             json::Object{{"id", session.id},
                          {"status", "reconnecting"},
                          {"keepalive_timeout_seconds", nullptr},
                          {"reconnect_url",
                           text_or(body, "url", "ws://" + base_ + "/ws?reconnect=" + secret)},
                          {"connected_at", twitch_time(session.opened)}}}});
    }
  }
  return done({{"sessions", touched}});
}

HttpResponse MockTwitch::control_rtmp(const MockWorld::Form& form) {
  const auto field = [&](std::string_view name) {
    const auto found = form.find(name);
    return found == form.end() ? std::string() : found->second;
  };
  MockChannel* channel = world_.channel(field("name"));
  // A refusal makes nginx-rtmp turn the publisher away: an unknown stream key.
  if (channel == nullptr) return HttpResponse::text(403, "no channel has that stream key\n");
  const std::string call = field("call");
  if (call != "publish" && call != "publish_done") return HttpResponse::text(200, "ignored\n");
  const bool live = call == "publish";
  go(*channel, live, {});
  emit(live ? "stream.online" : "stream.offline", *channel, {});
  return HttpResponse::text(200, "ok\n");
}

HttpResponse MockTwitch::control_report() {
  json::Array sessions;
  for (const auto& [key, session] : sessions_) {
    sessions.push_back(json::Object{{"id", session.id}, {"live", session.live}});
  }
  json::Array subscriptions;
  for (const auto& [id, subscription] : world_.subscriptions()) {
    subscriptions.push_back(subscription.to_json());
  }
  json::Array channels;
  for (const auto& [id, channel] : world_.all_channels()) {
    channels.push_back(json::Object{{"id", id},
                                    {"login", channel.user.login},
                                    {"state", channel.stream ? "on" : "off"},
                                    {"title", channel.title}});
  }
  json::Object requests;
  for (const auto& [what, count] : counts_) requests[what] = count;
  return done({{"sessions", std::move(sessions)},
               {"subscriptions", std::move(subscriptions)},
               {"channels", std::move(channels)},
               {"requests", std::move(requests)}});
}

}  // namespace state_engine::twitch
