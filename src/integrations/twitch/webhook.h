// EventSub over webhook: is a POST really from Twitch, and what does it want?
//
// Pure: header values and body go in, the status to answer and the notices come out.
//
// Invariants, checked by webhook_test.cc:
//   (1) Nothing is believed before its signature was checked over the bytes that arrived.
//   (2) A message older than ten minutes, or seen before, is answered 2xx or 403 and not passed on.
//
// Threads: one at a time.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_WEBHOOK_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_WEBHOOK_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/twitch/eventsub_link.h"
#include "integrations/twitch/frames.h"

namespace state_engine::twitch {

// "sha256=" and lower-case hex of HMAC-SHA256(secret, message id, timestamp as sent, body).
std::string webhook_signature(std::string_view secret, std::string_view message_id,
                              std::string_view timestamp, std::string_view body);

struct WebhookMessage {
  std::string message_id;
  std::string timestamp;  // as sent
  std::string type;       // notification, webhook_callback_verification, revocation
  std::string signature;
  std::string_view body;
};

struct WebhookAnswer {
  int status = 204;
  std::string body;  // of a challenge: text/plain
  LinkActions actions;
};

class WebhookReceiver {
 public:
  // Errors: kInvalidArgument for a secret that Twitch would not take.
  static Status check_secret(std::string_view secret);

  explicit WebhookReceiver(std::string secret) : secret_(std::move(secret)) {}

  WebhookAnswer receive(const WebhookMessage& message, Now now);

 private:
  std::string secret_;
  SeenMessages seen_;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_WEBHOOK_H_
