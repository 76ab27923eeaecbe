// Everything here runs on one strand, so that the machines need no locks; between two awaits the
// world is still. Handlers of machine actions never await: they spawn.

#include "integrations/twitch/twitch_ingest.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/secret_file.h"
#include "integrations/twitch/event_types.h"
#include "net/websocket_client.h"

namespace state_engine::twitch {
namespace {

using boost::asio::awaitable;
using std::chrono::milliseconds;

constexpr milliseconds kStopWait{5'000};
constexpr milliseconds kTimePiece{1'000};  // the longest sleep: a stop is noticed after it
constexpr std::size_t kFrameBytesMax = 1024 * 1024;
constexpr milliseconds kReconcileRetry{30'000};

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

LinkOptions link_options(const TwitchSettings& settings) {
  LinkOptions options;
  options.url = settings.endpoints.websocket;
  options.keepalive = settings.keepalive;
  return options;
}

HelixClient::TokenKind token_kind(Transport transport) {
  return transport == Transport::kWebhook ? HelixClient::TokenKind::kApp
                                          : HelixClient::TokenKind::kUser;
}

// Outside the coroutines: g++ 12 cannot build nested initializer lists inside one.
void log_subscription_failure(Log& log, std::string_view type, const std::string& login,
                              const std::string& scope, const std::string& error) {
  log.error("a subscription was refused",
            {{"type", type}, {"channel", login}, {"scope", scope}, {"error", error}});
}

void log_left_over(Log& log, std::size_t count) {
  log.warn("proposals were not handed over; the next start asks Twitch again", {{"count", count}});
}

void log_no_connection(Log& log, const std::string& error) {
  log.debug("no connection to Twitch", {{"error", error}});
}

void log_trouble(Log& log, std::string_view doing, const std::string& error) {
  log.error("Twitch", {{"doing", doing}, {"error", error}});
}

}  // namespace

TwitchIngest::TwitchIngest(TwitchSettings settings, IngestDependencies dependencies,
                           TokenFile tokens, net::TlsContext tls)
    : settings_(std::move(settings)),
      with_(std::move(dependencies)),
      strand_(with_.runtime.make_strand()),
      tls_(tls),
      helix_(settings_.endpoints, std::move(tokens), token_kind(settings_.transport),
             std::move(tls), with_.clock, with_.log),
      queue_({strand_, with_.proposer, with_.reader, with_.clock, with_.random, with_.log,
              with_.observer}),
      tasks_("twitch ingest", with_.log),
      queue_task_("twitch proposals", with_.log),
      link_wake_(strand_),
      reconcile_wake_(strand_) {}

TwitchIngest::~TwitchIngest() = default;

Result<std::unique_ptr<TwitchIngest>> TwitchIngest::open(TwitchSettings settings,
                                                         IngestDependencies dependencies) {
  auto tokens = TokenFile::load(settings.tokens_file);
  if (!tokens.ok()) return tokens.error();
  auto tls = net::TlsContext::create({});
  if (!tls.ok()) return tls.error();
  std::unique_ptr<TwitchIngest> ingest(new TwitchIngest(
      std::move(settings), std::move(dependencies), std::move(*tokens), std::move(*tls)));
  if (ingest->settings_.transport == Transport::kWebhook) {
    auto secret = read_secret_file(ingest->settings_.webhook.secret_file);
    if (!secret.ok()) return secret.error();
    std::string text(net::trim(*secret));
    if (Status valid = WebhookReceiver::check_secret(text); !valid.ok()) {
      return invalid_argument(ingest->settings_.webhook.secret_file + ": " + valid.error().message);
    }
    ingest->receiver_.emplace(std::move(text));
    const std::string& listen = ingest->settings_.webhook.listen;
    const auto colon = listen.rfind(':');
    const int port = colon == std::string::npos ? -1 : std::atoi(listen.c_str() + colon + 1);
    if (port < 0 || port > 65535) {
      return invalid_argument("twitch.webhook.listen '" + listen + "' is no HOST:PORT");
    }
    SE_RETURN_IF_ERROR(
        ingest->open_webhook(listen.substr(0, colon), static_cast<std::uint16_t>(port)));
  }
  return ingest;
}

void TwitchIngest::start() {
  with_.observer.on_link(LinkState::kStarting, "connecting");
  queue_task_.spawn(strand_, [this] { return queue_.run(); });
  tasks_.spawn(strand_, [this] { return run(); });
}

awaitable<void> TwitchIngest::stop(milliseconds grace) {
  tasks_.cancel();
  auto close = [this]() -> awaitable<void> {
    link_wake_.notify();
    reconcile_wake_.notify();
    for (auto& [id, open] : sockets_) {
      open.connecting.cancel();
      if (open.socket) open.socket->start_close(1000, "stopping");
    }
    queue_.stop();
    co_return;
  };
  co_await boost::asio::co_spawn(strand_, std::move(close), boost::asio::use_awaitable);
  if (server_) co_await server_->shutdown(grace);
  const bool stopped = co_await tasks_.wait(kStopWait);
  if (!stopped) with_.log.error("the Twitch ingest did not stop");
  const bool drained = co_await queue_task_.wait(grace);
  if (drained) co_return;
  auto abandon = [this]() -> awaitable<void> {
    log_left_over(with_.log, queue_.waiting());
    queue_.abandon();
    co_return;
  };
  co_await boost::asio::co_spawn(strand_, std::move(abandon), boost::asio::use_awaitable);
  const bool ended = co_await queue_task_.wait(kStopWait);
  if (!ended) with_.log.error("the proposal queue did not stop");
}

awaitable<void> TwitchIngest::sleep(milliseconds duration) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  while (!stopping() && duration.count() > 0) {
    const milliseconds piece = std::min(duration, kTimePiece);
    timer.expires_after(piece);
    co_await timer.async_wait(boost::asio::use_awaitable);
    duration -= piece;
  }
}

void TwitchIngest::trouble(const Error& error, std::string_view doing) {
  log_trouble(with_.log, doing, error.message);
  if (error.code != ErrorCode::kUnavailable) with_.observer.on_trouble(error.message);
}

// ---- Start ------------------------------------------------------------------------------------

awaitable<void> TwitchIngest::run() {
  net::Backoff backoff({milliseconds{500}, milliseconds{60'000}, 2, 0.5}, with_.random);
  while (!stopping()) {
    const bool bound = co_await bind_channels();
    if (bound) break;
    co_await sleep(backoff.next());
  }
  if (stopping()) co_return;
  with_.observer.on_trouble("");
  tasks_.spawn(strand_, [this] { return run_reconciling(); });
  if (settings_.transport == Transport::kWebhook) {
    co_await run_webhook();
  } else {
    co_await run_link();
  }
}

// Finds the ids of the channels. False: try again later.
awaitable<bool> TwitchIngest::bind_channels() {
  std::vector<std::string> unknown;
  for (const ChannelSettings& channel : settings_.channels) {
    if (channel.broadcaster_id.empty()) unknown.push_back(channel.login);
  }
  std::map<std::string, std::string> ids;
  if (!unknown.empty()) {
    auto found = co_await helix_.user_ids(unknown);
    if (!found.ok()) {
      trouble(found.error(), "looking up the channels");
      co_return false;
    }
    ids = std::move(*found);
  }
  if (settings_.transport == Transport::kWebSocket) {
    auto own = co_await helix_.own_user_id();
    if (!own.ok()) {
      trouble(own.error(), "looking up the user of the token");
      co_return false;
    }
    own_user_id_ = std::move(*own);
  }
  std::vector<BoundChannel> bound;
  for (const ChannelSettings& channel : settings_.channels) {
    BoundChannel one{channel.broadcaster_id, channel.login, settings_.prefix_of(channel), {}};
    if (one.broadcaster_id.empty()) one.broadcaster_id = ids[channel.login];
    if (one.broadcaster_id.empty()) {
      const Error error{ErrorCode::kNotFound,
                        "Twitch knows no user " + channel.login + "; correct twitch.channels"};
      trouble(error, "looking up the channels");
      co_return false;
    }
    for (const SubscriptionSpec& spec : settings_.subscriptions) {
      if (settings_.wants(channel, spec)) one.subscriptions.push_back(spec);
    }
    bound.push_back(std::move(one));
  }
  mapper_.emplace(std::move(bound));
  co_return true;
}

// ---- WebSocket --------------------------------------------------------------------------------

awaitable<void> TwitchIngest::run_link() {
  link_.emplace(link_options(settings_), with_.random);
  perform(link_->start(now()));
  while (!stopping()) {
    const auto wait = std::chrono::duration_cast<milliseconds>(link_->next_deadline() -
                                                               with_.clock.monotonic_now());
    co_await link_wake_.wait(std::clamp(wait + milliseconds{1}, milliseconds{1}, kTimePiece));
    if (!stopping()) perform(link_->on_time(now()));
  }
}

void TwitchIngest::perform(LinkActions actions) {
  for (LinkAction& action : actions) {
    std::visit(
        Overloaded{
            [this](ConnectSocket& connect) {
              sockets_[connect.socket];
              tasks_.spawn(strand_, [this, id = connect.socket, url = connect.url] {
                return serve_socket(id, url);
              });
            },
            [this](CloseSocket& close) { close_socket(close); },
            [this](SessionStarted& started) { began_session(started.session_id); },
            [this](ReconcileNeeded& needed) {
              with_.log.info("asking Twitch for the truth", {{"why", needed.why}});
              plan_reconcile(milliseconds{0});
            },
            [this](Noticed& noticed) { take(noticed.notice); },
            [this](SubscriptionRevoked& revoked) {
              with_.log.error("Twitch revoked a subscription",
                              {{"type", revoked.type}, {"status", revoked.status}});
              with_.observer.on_trouble("Twitch revoked " + revoked.type + ": " + revoked.status +
                                        "; authorise the app again and restart");
              if (enabled_ > 0) enabled_ -= 1;
            },
            [this](MessageDropped& dropped) {
              with_.observer.on_dropped(to_string(dropped.reason));
              with_.log.debug("a message of Twitch was dropped",
                              {{"reason", to_string(dropped.reason)}, {"detail", dropped.detail}});
            },
            [this](SessionLost& lost) {
              with_.observer.on_link(LinkState::kDown, lost.why);
              with_.log.warn("the connection to Twitch was lost",
                             {{"why", lost.why}, {"retryInMs", lost.retry_in.count()}});
            },
        },
        action);
  }
  if (!actions.empty()) link_wake_.notify();  // Deadlines may have moved.
}

void TwitchIngest::close_socket(const CloseSocket& close) {
  const auto found = sockets_.find(close.socket);
  if (found == sockets_.end()) return;
  found->second.connecting.cancel();
  if (found->second.socket) found->second.socket->start_close(1000, "");
}

awaitable<void> TwitchIngest::serve_socket(SocketId id, std::string url) {
  net::WebSocketRequest request;
  request.url = std::move(url);
  request.options.message_bytes_max = kFrameBytesMax;
  request.cancel = sockets_[id].connecting.token();
  auto connected = co_await net::connect_websocket(std::move(request), tls_);
  std::uint16_t code = 0;
  if (!connected.ok()) {
    log_no_connection(with_.log, connected.error().message);
  } else if (stopping()) {
    (*connected)->abort();
  } else {
    Socket socket = std::move(*connected);
    sockets_[id].socket = socket;
    while (true) {
      const auto message = co_await socket->read();
      if (!message.ok()) break;
      if (!stopping()) perform(link_->on_text(id, message->text, now()));
    }
    code = socket->closed().code;
  }
  sockets_.erase(id);
  if (!stopping()) perform(link_->on_closed(id, code, now()));
}

void TwitchIngest::began_session(const std::string& session_id) {
  with_.log.info("connected to Twitch");
  tasks_.spawn(strand_, [this, session_id] { return subscribe_session(session_id); });
}

// Subscriptions of dead sessions count against the limits for a while.
awaitable<void> TwitchIngest::delete_dead_subscriptions() {
  const auto listed = co_await helix_.subscriptions();
  if (!listed.ok()) co_return;  // Only housekeeping: subscribing will show what is wrong.
  for (const ListedSubscription& one : *listed) {
    if (one.session_id.empty() || one.status == "enabled") continue;
    const Status deleted = co_await helix_.unsubscribe(one.id);
    if (!deleted.ok()) co_return;
  }
}

awaitable<void> TwitchIngest::subscribe_session(std::string session_id) {
  enabled_ = 0;
  std::size_t wanted = 0;
  // A copy: it is the same for the life of the ingest, but a reference would not survive a stop.
  const std::vector<BoundChannel> channels = mapper_->channels();
  for (const BoundChannel& channel : channels) {
    for (const SubscriptionSpec& spec : channel.subscriptions) {
      wanted += 1;
      const json::Object transport{{"method", "websocket"}, {"session_id", session_id}};
      const bool go_on = co_await subscribe_one(channel, spec, transport, session_id);
      if (!go_on) co_return;
    }
  }
  with_.observer.on_subscriptions(enabled_, wanted);
  with_.observer.on_link(LinkState::kLive, std::to_string(enabled_) + " of " +
                                               std::to_string(wanted) + " subscriptions");
  if (enabled_ == wanted) with_.observer.on_trouble("");
  plan_reconcile(milliseconds{0});
  co_await delete_dead_subscriptions();
}

// ---- Subscribing ------------------------------------------------------------------------------

json::Object TwitchIngest::subscription_body(const BoundChannel& channel,
                                             const SubscriptionSpec& spec) const {
  const EventType* known = find_event_type(spec.type);
  const Condition kind = known == nullptr ? Condition::kBroadcaster : known->condition;
  json::Object condition;
  condition[kind == Condition::kRaidTarget ? "to_broadcaster_user_id" : "broadcaster_user_id"] =
      channel.broadcaster_id;
  const std::string& user = own_user_id_.empty() ? channel.broadcaster_id : own_user_id_;
  if (kind == Condition::kBroadcasterAndModerator) condition["moderator_user_id"] = user;
  if (kind == Condition::kBroadcasterAndUser) condition["user_id"] = user;
  return {{"type", spec.type}, {"version", spec.version}, {"condition", std::move(condition)}};
}

awaitable<bool> TwitchIngest::subscribe_one(const BoundChannel& channel,
                                            const SubscriptionSpec& spec, json::Object transport,
                                            std::string session_id) {
  net::Backoff backoff({milliseconds{500}, milliseconds{30'000}, 2, 0.5}, with_.random);
  json::Object body = subscription_body(channel, spec);
  body["transport"] = std::move(transport);
  bool cleaned = false;
  while (!stopping()) {
    if (!session_id.empty() && link_->session_id() != session_id) co_return false;
    const Status made = co_await helix_.subscribe(body);
    if (made.ok() || made.error().code == ErrorCode::kConflict) {
      enabled_ += 1;
      co_return true;
    }
    const Error& error = made.error();
    if (error.code == ErrorCode::kFailedPrecondition) co_return false;
    if (error.code != ErrorCode::kUnavailable && error.code != ErrorCode::kDeadlineExceeded) {
      log_subscription_failure(with_.log, spec.type, channel.login, spec.scope, error.message);
      std::string told = spec.type + " of " + channel.login + ": " + error.message;
      if (!spec.scope.empty()) told += "; it needs the scope " + spec.scope;
      with_.observer.on_trouble(told);
      co_return true;
    }
    trouble(error, "subscribing to " + spec.type);
    if (!cleaned && settings_.transport == Transport::kWebSocket) {
      cleaned = true;
      co_await delete_dead_subscriptions();
    }
    co_await sleep(backoff.next());
  }
  co_return false;
}

// ---- Events -----------------------------------------------------------------------------------

void TwitchIngest::take(const Notice& notice) {
  with_.observer.on_event(notice.type);
  std::string why;
  auto proposals = mapper_->map(notice, with_.clock.wall_now(), why);
  if (proposals.empty()) {
    with_.log.info("an event of Twitch changes nothing",
                   {{"type", notice.type}, {"messageId", notice.message_id}, {"why", why}});
  }
  for (Outgoing& one : proposals) push(std::move(one));
}

void TwitchIngest::push(Outgoing outgoing) {
  if (queue_.push(std::move(outgoing))) return;
  with_.observer.on_dropped("queue_full");
  plan_reconcile(kReconcileRetry);  // The truth is asked for once there is room.
}

// ---- Reconciling ------------------------------------------------------------------------------

void TwitchIngest::plan_reconcile(milliseconds in) {
  const auto at = with_.clock.monotonic_now() + in;
  if (!reconcile_at_ || at < *reconcile_at_) reconcile_at_ = at;
  reconcile_wake_.notify();
}

awaitable<void> TwitchIngest::run_reconciling() {
  plan_reconcile(settings_.reconcile_every);
  while (!stopping()) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(*reconcile_at_ - with_.clock.monotonic_now());
    if (left.count() > 0) {
      co_await reconcile_wake_.wait(std::min(left + milliseconds{1}, kTimePiece));
      continue;
    }
    reconcile_at_ = with_.clock.monotonic_now() + settings_.reconcile_every;
    const bool settled = co_await reconcile_all();
    if (!settled)
      plan_reconcile(std::min<milliseconds>(kReconcileRetry, settings_.reconcile_every));
  }
}

// False if it has to be done again soon.
awaitable<bool> TwitchIngest::reconcile_all() {
  bool settled = true;
  const std::vector<BoundChannel> channels = mapper_->channels();
  for (const BoundChannel& channel : channels) {
    const auto truth = co_await helix_.truth(channel.broadcaster_id);
    if (stopping()) co_return true;
    if (!truth.ok()) {
      trouble(truth.error(), "reconciling");
      settled = false;
      continue;
    }
    bool again = false;
    auto proposals = mapper_->reconcile(channel, *truth, with_.clock.wall_now(), again);
    for (Outgoing& one : proposals) push(std::move(one));
    if (again) settled = false;
  }
  if (settled) with_.observer.on_reconciled();
  co_return settled;
}

}  // namespace state_engine::twitch
