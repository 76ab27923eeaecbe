// The webhook half of TwitchIngest: a port for Twitch's posts, and the subscriptions that point to
// it. Twitch calls https only: a proxy in front ends TLS and forwards to webhook.listen.

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/secret_file.h"
#include "integrations/twitch/twitch_ingest.h"

namespace state_engine::twitch {
namespace {

using boost::asio::awaitable;

constexpr std::size_t kBodyBytesMax = 256 * 1024;
constexpr std::chrono::minutes kCheckEvery{10};
constexpr std::chrono::seconds kRetry{15};

std::string field(const net::HttpRequest& request, std::string_view name) {
  return std::string(request.headers.get("Twitch-Eventsub-Message-" + std::string(name)));
}

// Twitch counts these as its own; anything else is a leftover of an earlier failure.
bool is_alive(const std::string& status) {
  return status == "enabled" || status == "webhook_callback_verification_pending";
}

}  // namespace

Status TwitchIngest::open_webhook(const std::string& host, std::uint16_t port) {
  net::HttpServerOptions options;
  options.body_bytes_max = kBodyBytesMax;
  server_ = std::make_unique<net::HttpServer>(with_.runtime, options, with_.log);
  server_->route(
      "/*", "POST",
      [this](net::HttpRequest request, net::HttpExchange&) -> awaitable<net::HttpResponse> {
        auto receive = [this, request = std::move(request)]() mutable {
          return receive_webhook(std::move(request));
        };
        co_return co_await boost::asio::co_spawn(strand_, std::move(receive),
                                                 boost::asio::use_awaitable);
      });
  return server_->listen(host, port);
}

awaitable<net::HttpResponse> TwitchIngest::receive_webhook(net::HttpRequest request) {
  // Before the channels are known nothing can be mapped; Twitch sends it again.
  if (!mapper_ || stopping()) co_return net::HttpResponse::text(503, "starting or stopping\n");
  const WebhookMessage message{field(request, "Id"), field(request, "Timestamp"),
                               field(request, "Type"), field(request, "Signature"), request.body};
  WebhookAnswer answer = receiver_->receive(message, now());
  perform(std::move(answer.actions));
  if (answer.status == 204) co_return net::HttpResponse{204, {}, {}, nullptr, false};
  if (answer.status == 200) {
    net::HttpResponse response;
    response.headers.add("Content-Type", "text/plain");
    response.body = std::move(answer.body);
    co_return response;
  }
  co_return net::HttpResponse::text(answer.status, "refused\n");
}

awaitable<void> TwitchIngest::run_webhook() {
  bool first = true;
  while (!stopping()) {
    const bool complete = co_await subscribe_webhooks();
    if (stopping()) break;
    with_.observer.on_link(
        complete ? LinkState::kLive : LinkState::kDown,
        complete ? "webhook subscriptions are in place" : "webhook subscriptions are missing");
    if (complete && std::exchange(first, false)) plan_reconcile(std::chrono::milliseconds{0});
    co_await sleep(complete ? std::chrono::milliseconds{kCheckEvery} : kRetry);
  }
}

// Makes what is missing and deletes what died. True if all of it is there.
awaitable<bool> TwitchIngest::subscribe_webhooks() {
  const auto listed = co_await helix_.subscriptions();
  if (!listed.ok()) {
    trouble(listed.error(), "listing the subscriptions");
    co_return false;
  }
  auto secret = read_secret_file(settings_.webhook.secret_file);
  if (!secret.ok()) {
    trouble(secret.error(), "reading the webhook secret");
    co_return false;
  }
  enabled_ = 0;
  std::size_t wanted = 0;
  const std::vector<BoundChannel> channels = mapper_->channels();
  for (const BoundChannel& channel : channels) {
    for (const SubscriptionSpec& spec : channel.subscriptions) {
      wanted += 1;
      const json::Object body = subscription_body(channel, spec);
      bool there = false;
      for (const ListedSubscription& one : *listed) {
        const bool same = one.type == spec.type && one.callback == settings_.webhook.callback &&
                          json::equal(one.condition, body.at("condition"));
        if (same && is_alive(one.status)) there = true;
        if (same && !is_alive(one.status)) {
          const Status deleted = co_await helix_.unsubscribe(one.id);
          if (!deleted.ok()) trouble(deleted.error(), "deleting a dead subscription");
        }
      }
      if (there) {
        enabled_ += 1;
        continue;
      }
      const json::Object transport{{"method", "webhook"},
                                   {"callback", settings_.webhook.callback},
                                   {"secret", std::string(net::trim(*secret))}};
      (void)co_await subscribe_one(channel, spec, transport, "");
    }
  }
  with_.observer.on_subscriptions(enabled_, wanted);
  co_return enabled_ == wanted;
}

}  // namespace state_engine::twitch
