// The doors of the mock: HTTP routes, WebSocket sessions and the clock that drives them.
// EventSub over WebSocket as Twitch documents it: welcome, keepalive after silence, 4003 for a
// session without subscriptions, reconnect with a grace, 4001 for a client that talks.

#include "integrations/twitch/mock_twitch.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine::twitch {
namespace {

using net::HttpRequest;
using net::HttpResponse;

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::milliseconds kStopWait{5'000};
constexpr std::chrono::seconds kKeepaliveMax{600};
constexpr std::size_t kInboundBytesMax = 64 * 1024;
constexpr std::uint16_t kClosedInbound = 4001;
constexpr std::uint16_t kClosedUnused = 4003;
constexpr std::uint16_t kClosedGrace = 4004;
constexpr std::uint16_t kClosedBadReconnect = 4007;

HttpResponse answer(const MockReply& reply) {
  if (reply.status == 204) return {204, {}, {}, nullptr, false};
  return HttpResponse::json(reply.status, json::write(reply.body));
}

// All values of a repeated query parameter.
std::vector<std::string> query_values(const HttpRequest& request, std::string_view name) {
  std::vector<std::string> out;
  for (std::string_view rest = request.query; !rest.empty();) {
    const auto end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      out.push_back(net::percent_decode(pair.substr(name.size() + 1), true));
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return out;
}

std::string_view without_prefix(std::string_view path) {
  for (const std::string_view prefix : {"/helix", "/mock"}) {
    if (path.starts_with(prefix)) return path.substr(prefix.size());
  }
  return path;
}

}  // namespace

void MockTwitch::send_text(const Session& session, std::string text) {
  boost::asio::post(session.in_order, [socket = session.socket, text = std::move(text)]() mutable {
    const Status sent = socket->send(std::move(text));
    // A peer that does not read is cut off; one that is gone or going needs nothing.
    if (!sent.ok() && sent.error().code == ErrorCode::kResourceExhausted) socket->abort();
  });
}

void MockTwitch::start_close(const Session& session, std::uint16_t code, std::string reason) {
  boost::asio::post(session.in_order,
                    [socket = session.socket, code, reason = std::move(reason)]() mutable {
                      socket->start_close(code, std::move(reason));
                    });
}

MockWorld::Form parse_form(std::string_view text) {
  MockWorld::Form form;
  while (!text.empty()) {
    const auto end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos) {
      form[net::percent_decode(pair.substr(0, equals), true)] =
          net::percent_decode(pair.substr(equals + 1), true);
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return form;
}

MockTwitch::MockTwitch(net::IoRuntime& runtime, MockTwitchOptions options, const Clock& clock,
                       Random& random, Log& log)
    : runtime_(runtime),
      options_(std::move(options)),
      clock_(clock),
      random_(random),
      log_(log),
      world_(options_.world, random),
      tasks_("mock twitch", log) {
  auto tls = net::TlsContext::create({});
  if (tls.ok()) http_.emplace(std::move(*tls));
}

MockTwitch::~MockTwitch() = default;

net::HttpHandler MockTwitch::locked(Handler handler) {
  return net::sync_handler([this, handler](const HttpRequest& request) {
    const std::lock_guard lock(mutex_);
    counts_[request.method + " " + request.path] += 1;
    if (auto failure = planted_failure(request, without_prefix(request.path))) return *failure;
    return (this->*handler)(request);
  });
}

void MockTwitch::mount(net::HttpServer& server) {
  server.route("/ws", locked(&MockTwitch::open_socket));
  for (const char* path : {"/auth/*", "/oauth2/*"}) server.route(path, locked(&MockTwitch::auth));
  for (const char* path : {"/eventsub/*", "/helix/*", "/mock/*"}) {
    server.route(path, locked(&MockTwitch::helix));
  }
  server.route("/control/*", locked(&MockTwitch::control));
}

void MockTwitch::start() {
  const auto strand = runtime_.make_strand();
  tasks_.spawn(strand, [this]() -> boost::asio::awaitable<void> {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (!tasks_.stopping().cancelled()) {
      timer.expires_after(kTick);
      co_await timer.async_wait(boost::asio::use_awaitable);
      tick();
    }
  });
}

boost::asio::awaitable<void> MockTwitch::stop() {
  tasks_.cancel();
  // Named values: g++ 12 miscompiles temporaries around a co_await in a condition.
  const bool stopped = co_await tasks_.wait(kStopWait);
  if (!stopped) log_.error("the mock's clock did not stop");
}

// ---- HTTP -------------------------------------------------------------------------------------

MockCaller MockTwitch::caller(const HttpRequest& request) const {
  std::string_view credential = request.headers.get("Authorization");
  for (const std::string_view scheme : {"Bearer ", "OAuth "}) {
    if (credential.starts_with(scheme)) credential.remove_prefix(scheme.size());
  }
  return {std::string(credential), std::string(request.headers.get("Client-Id")),
          clock_.wall_now()};
}

std::optional<HttpResponse> MockTwitch::planted_failure(const HttpRequest& request,
                                                        std::string_view path) {
  for (Failure& failure : failures_) {
    if (failure.times <= 0 || failure.path != path ||
        (!failure.method.empty() && failure.method != request.method)) {
      continue;
    }
    failure.times -= 1;
    return HttpResponse::json(failure.status,
                              json::write(json::Object{{"error", "planted by /control/fail"},
                                                       {"status", failure.status},
                                                       {"message", failure.message}}));
  }
  return std::nullopt;
}

HttpResponse MockTwitch::auth(const HttpRequest& request) {
  MockWorld::Form form;
  if (request.headers.get("Content-Type").starts_with("application/x-www-form-urlencoded")) {
    form = parse_form(request.body);
  }
  for (auto& [name, value] : parse_form(request.query)) form.try_emplace(name, value);
  const std::string_view verb = std::string_view(request.path).substr(request.path.rfind('/') + 1);
  if (verb == "validate") return answer(world_.validate(caller(request)));
  if (request.method != "POST") return HttpResponse::text(405, "use POST\n");
  if (verb == "token") return answer(world_.token(form, clock_.wall_now()));
  if (verb == "authorize") return answer(world_.authorize(form, clock_.wall_now()));
  return HttpResponse::text(404, "the mock knows token, validate and authorize\n");
}

// Clients pace themselves by these fields, so an answer without them would stop them.
HttpResponse MockTwitch::helix(const HttpRequest& request) {
  HttpResponse response = helix_answer(request);
  const auto reset = std::chrono::duration_cast<std::chrono::seconds>(
      (clock_.wall_now() + std::chrono::minutes{1}).time_since_epoch());
  response.headers.add("Ratelimit-Limit", "800");
  response.headers.add("Ratelimit-Remaining", "799");
  response.headers.add("Ratelimit-Reset", std::to_string(reset.count()));
  return response;
}

HttpResponse MockTwitch::helix_answer(const HttpRequest& request) {
  const std::string_view path = without_prefix(request.path);
  const MockCaller who = caller(request);
  const bool get = request.method == "GET";
  if (path == "/eventsub/subscriptions") {
    if (get) return answer(world_.list(who, request.query_value("status")));
    if (request.method == "DELETE") {
      return answer(world_.unsubscribe(who, request.query_value("id")));
    }
    if (request.method != "POST") return HttpResponse::text(405, "use GET, POST or DELETE\n");
    const auto body = json::parse(request.body);
    const MockReply reply = world_.subscribe(who, body.ok() ? *body : json::Value());
    if (reply.status == 202) {
      const json::Value& made = reply.body.at("data").at(0);
      challenge(std::string(made.at("id").as_string()));
    }
    for (auto& [key, session] : sessions_) {
      if (world_.enabled_of(session.id) > 0) session.had_subscription = true;
    }
    return answer(reply);
  }
  if (get && path == "/users") {
    return answer(world_.users(who, query_values(request, "id"), query_values(request, "login")));
  }
  if (get && path == "/streams") {
    return answer(
        world_.streams(who, query_values(request, "user_id"), query_values(request, "user_login")));
  }
  if (get && path == "/channels") {
    return answer(world_.channels(who, query_values(request, "broadcaster_id")));
  }
  return HttpResponse::json(404, R"({"error":"Not Found","status":404,"message":""})");
}

// ---- Sessions ---------------------------------------------------------------------------------

HttpResponse MockTwitch::open_socket(const HttpRequest& request) {
  base_ = std::string(request.headers.get("Host"));
  int seconds = static_cast<int>(options_.keepalive_default.count());
  const std::string asked = request.query_value("keepalive_timeout_seconds");
  std::from_chars(asked.data(), asked.data() + asked.size(), seconds);
  const auto keepalive =
      std::clamp(std::chrono::seconds{seconds}, options_.keepalive_min, kKeepaliveMax);
  const std::string reconnect = request.query_value("reconnect");
  HttpResponse response;
  response.websocket = [this, reconnect, keepalive](Socket socket) {
    return serve_socket(std::move(socket), reconnect, keepalive);
  };
  response.websocket_options.message_bytes_max = kInboundBytesMax;
  return response;
}

boost::asio::awaitable<void> MockTwitch::serve_socket(Socket socket, std::string reconnect,
                                                      std::chrono::milliseconds keepalive) {
  {
    const std::lock_guard lock(mutex_);
    on_open(socket, reconnect, keepalive);
  }
  while (true) {
    const auto message = co_await socket->read();
    if (!message.ok()) break;
    socket->start_close(kClosedInbound, "client sent inbound traffic");
  }
  const std::lock_guard lock(mutex_);
  on_close(socket);
}

void MockTwitch::on_open(const Socket& socket, const std::string& reconnect,
                         std::chrono::milliseconds keepalive) {
  Session session(socket);
  session.keepalive = keepalive;
  session.opened = session.last_sent = clock_.wall_now();
  session.id = random_hex(random_, 20);
  if (!reconnect.empty()) {
    const auto known = reconnects_.find(reconnect);
    if (known == reconnects_.end()) {
      start_close(session, kClosedBadReconnect, "invalid reconnect");
      return;
    }
    session.id = known->second;
    session.had_subscription = true;
    reconnects_.erase(known);
    for (auto& [key, other] : sessions_) {
      if (other.id == session.id) other.live = false;
    }
  }
  world_.open_session(session.id);
  welcome(sessions_.insert_or_assign(socket.get(), std::move(session)).first->second);
}

void MockTwitch::welcome(Session& session) {
  send(session, "session_welcome",
       {{"session",
         json::Object{{"id", session.id},
                      {"status", "connected"},
                      {"connected_at", twitch_time(session.opened)},
                      {"keepalive_timeout_seconds",
                       std::chrono::duration_cast<std::chrono::seconds>(session.keepalive).count()},
                      {"reconnect_url", nullptr}}}});
}

void MockTwitch::on_close(const Socket& socket) {
  const auto found = sessions_.find(socket.get());
  if (found == sessions_.end()) return;
  if (found->second.live) world_.close_session(found->second.id, "websocket_disconnected");
  sessions_.erase(found);
}

void MockTwitch::send(Session& session, std::string_view type, json::Object payload) {
  session.last_sent = clock_.wall_now();
  json::Object envelope{
      {"metadata", json::Object{{"message_id", world_.new_id()},
                                {"message_type", type},
                                {"message_timestamp", twitch_time(session.last_sent)}}},
      {"payload", std::move(payload)}};
  send_text(session, json::write(envelope));
}

void MockTwitch::deliver(const Delivery& delivery) {
  const MockSubscription* subscription = world_.find(delivery.subscription_id);
  if (subscription == nullptr || subscription->status != "enabled") return;
  if (subscription->method == "webhook") {
    for (int i = 0; i < delivery.repeat; ++i) {
      send_webhook(*subscription, "notification", {{"event", delivery.event}}, delivery.message_id,
                   delivery.timestamp);
    }
    return;
  }
  const json::Object envelope{
      {"metadata", json::Object{{"message_id", delivery.message_id},
                                {"message_type", "notification"},
                                {"message_timestamp", delivery.timestamp},
                                {"subscription_type", subscription->type},
                                {"subscription_version", subscription->version}}},
      {"payload",
       json::Object{{"subscription", subscription->to_json()}, {"event", delivery.event}}}};
  const std::string text = json::write(envelope);
  for (auto& [key, session] : sessions_) {
    if (!session.live || session.id != subscription->session_id) continue;
    session.last_sent = clock_.wall_now();
    for (int i = 0; i < delivery.repeat; ++i) send_text(session, text);
  }
}

void MockTwitch::tick() {
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock_.wall_now();
  while (true) {
    const auto due = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Delivery& delivery) { return delivery.due <= now; });
    if (due == waiting_.end()) break;
    const Delivery delivery = std::move(*due);
    waiting_.erase(due);
    deliver(delivery);
  }
  for (auto& [key, session] : sessions_) tick_session(session, now);
}

void MockTwitch::tick_session(Session& session, Timestamp now) {
  if (session.grace_ends && now >= *session.grace_ends) {
    session.grace_ends.reset();
    start_close(session, kClosedGrace, "reconnect grace time expired");
    return;
  }
  if (!session.live) return;
  if (!session.had_subscription && now - session.opened >= options_.subscribe_window) {
    session.had_subscription = true;  // Closed once.
    start_close(session, kClosedUnused, "connection unused");
    return;
  }
  if (keepalives_ && now - session.last_sent >= session.keepalive) {
    send(session, "session_keepalive", {});
  }
}

// ---- Tokens file ------------------------------------------------------------------------------

std::string MockTwitch::tokens_json(const std::string& user_id) {
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock_.wall_now();
  MockWorld::Form form{{"client_id", options_.world.client_id}, {"user_id", user_id}};
  const MockReply made = world_.authorize(form, now);
  SE_ASSERT(made.status == 200);
  const json::Object& token = made.body.as_object();
  return json::write_pretty(
             json::Object{{"clientId", options_.world.client_id},
                          {"clientSecret", options_.world.client_secret},
                          {"accessToken", token.at("access_token")},
                          {"refreshToken", token.at("refresh_token")},
                          {"expiresAt", format_rfc3339(now + options_.world.token_lifetime)},
                          {"scopes", token.at("scope")},
                          {"userId", user_id}}) +
         "\n";
}

Status MockTwitch::adopt_tokens(std::string_view tokens_json) {
  const auto parsed = json::parse(tokens_json);
  if (!parsed.ok()) return parsed.error();
  const json::Object* object = parsed->if_object();
  if (object == nullptr) return invalid_argument("a tokens file holds one JSON object");
  const auto access = json::find_string(*object, "accessToken");
  const auto refresh = json::find_string(*object, "refreshToken");
  const auto user = json::find_string(*object, "userId");
  const std::lock_guard lock(mutex_);
  if (!access || !refresh || !user || world_.channel(*user) == nullptr) {
    return invalid_argument("it holds no accessToken, refreshToken and userId of a mock channel");
  }
  world_.adopt(*access, *refresh, *user, clock_.wall_now() + options_.world.token_lifetime);
  return {};
}

}  // namespace state_engine::twitch
