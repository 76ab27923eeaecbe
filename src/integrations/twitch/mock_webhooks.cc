// The webhook sender of the mock: a challenge for each new subscription, signed posts, repeats of
// what was not answered 2xx, and a revocation when that goes on. Unlike Twitch it also calls http.

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "integrations/twitch/mock_twitch.h"
#include "integrations/twitch/webhook.h"

namespace state_engine::twitch {
namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr int kRetriesMax = 3;
constexpr int kFailuresMax = 4;  // posts in a row, repeats included
constexpr std::chrono::milliseconds kRetryAfter{200};

constexpr std::string_view kHttps = "https://";
constexpr std::string_view kVerification = "webhook_callback_verification";

}  // namespace

void MockTwitch::challenge(const std::string& subscription_id) {
  const MockSubscription* subscription = world_.find(subscription_id);
  if (subscription == nullptr || subscription->method != "webhook") return;
  send_webhook(*subscription, kVerification, {{"challenge", random_hex(random_, 16)}},
               world_.new_id(), twitch_time(clock_.wall_now()));
}

void MockTwitch::send_webhook(const MockSubscription& subscription, std::string_view type,
                              json::Object payload, const std::string& message_id,
                              const std::string& timestamp) {
  payload["subscription"] = subscription.to_json();
  tasks_.spawn(runtime_.make_strand(), [this, subscription, kind = std::string(type),
                                        body = json::write(payload), message_id, timestamp] {
    return post_webhook(subscription, kind, body, message_id, timestamp);
  });
}

boost::asio::awaitable<void> MockTwitch::post_webhook(MockSubscription subscription,
                                                      std::string type, std::string body,
                                                      std::string message_id,
                                                      std::string timestamp) {
  boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
  for (int retry = 0; retry <= kRetriesMax && !tasks_.stopping().cancelled(); ++retry) {
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = options_.plain_webhooks && subscription.callback.starts_with(kHttps)
                      ? "http://" + subscription.callback.substr(kHttps.size())
                      : subscription.callback;
    request.timeout = kTimeout;
    request.body = body;
    request.headers.add("Content-Type", "application/json");
    const std::string stem = "Twitch-Eventsub-";
    request.headers.add(stem + "Message-Id", message_id);
    request.headers.add(stem + "Message-Retry", std::to_string(retry));
    request.headers.add(stem + "Message-Type", type);
    request.headers.add(stem + "Message-Timestamp", timestamp);
    request.headers.add(stem + "Message-Signature",
                        webhook_signature(subscription.secret, message_id, timestamp, body));
    request.headers.add(stem + "Subscription-Type", subscription.type);
    request.headers.add(stem + "Subscription-Version", subscription.version);
    const auto response = co_await http_->request(std::move(request));
    const bool taken = response.ok() && response->status >= 200 && response->status < 300;
    {
      const std::lock_guard lock(mutex_);
      MockSubscription* stored = world_.find(subscription.id);
      if (stored == nullptr) co_return;
      if (type == kVerification) {
        const auto asked = json::parse(body);
        const bool echoed =
            taken && response->body == std::string(asked->at("challenge").as_string());
        stored->status = echoed ? "enabled" : "webhook_callback_verification_failed";
        co_return;
      }
      int& failures = failed_posts_[subscription.id];
      failures = taken ? 0 : failures + 1;
      if (failures >= kFailuresMax) stored->status = "notification_failures_exceeded";
    }
    if (taken) co_return;
    pause.expires_after(kRetryAfter);
    co_await pause.async_wait(boost::asio::use_awaitable);
  }
}

}  // namespace state_engine::twitch
