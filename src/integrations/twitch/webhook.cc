// EventSub over webhooks (Twitch, "Handling Webhook Events"). Nothing of a message is read before
// its signature was compared, except its size.

#include "integrations/twitch/webhook.h"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hex.h"

namespace state_engine::twitch {
namespace {

constexpr std::size_t kSecretBytesMin = 10;
constexpr std::size_t kSecretBytesMax = 100;
constexpr std::size_t kIdBytesMax = 256;

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

WebhookAnswer dropped(int status, DropReason reason, std::string detail) {
  WebhookAnswer answer;
  answer.status = status;
  answer.actions.emplace_back(MessageDropped{reason, std::move(detail)});
  return answer;
}

}  // namespace

std::string webhook_signature(std::string_view secret, std::string_view message_id,
                              std::string_view timestamp, std::string_view body) {
  std::string message(message_id);
  message.append(timestamp).append(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const unsigned char* made = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                                   reinterpret_cast<const unsigned char*>(message.data()),
                                   message.size(), digest.data(), &size);
  SE_ASSERT(made != nullptr);
  return "sha256=" + to_hex({digest.data(), size});
}

Status WebhookReceiver::check_secret(std::string_view secret) {
  const bool ascii =
      std::all_of(secret.begin(), secret.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (ascii && secret.size() >= kSecretBytesMin && secret.size() <= kSecretBytesMax) return {};
  return invalid_argument("a webhook secret has 10 to 100 printable ASCII characters");
}

WebhookAnswer WebhookReceiver::receive(const WebhookMessage& message, Now now) {
  const std::string expected =
      webhook_signature(secret_, message.message_id, message.timestamp, message.body);
  if (message.message_id.empty() || message.message_id.size() > kIdBytesMax ||
      !equal_in_constant_time(message.signature, expected)) {
    return dropped(403, DropReason::kMalformed, "wrong or missing signature");
  }
  // From here on it is Twitch who speaks.
  const auto sent_at = parse_rfc3339(message.timestamp);
  if (!sent_at.ok()) return dropped(400, DropReason::kMalformed, "the timestamp is no RFC 3339");
  const Freshness age = freshness(*sent_at, now.wall);
  if (age != Freshness::kFresh) {
    WebhookAnswer answer =
        dropped(403, age == Freshness::kStale ? DropReason::kStale : DropReason::kFromTheFuture,
                "outside the replay window");
    answer.actions.emplace_back(ReconcileNeeded{"a message was dropped for its time"});
    return answer;
  }
  const auto parsed = json::parse(message.body);
  const json::Object* body = parsed.ok() ? parsed->if_object() : nullptr;
  if (body == nullptr) return dropped(400, DropReason::kMalformed, "the body is no JSON object");

  WebhookAnswer answer;
  if (message.type == "webhook_callback_verification") {
    const auto challenge = json::find_string(*body, "challenge");
    if (!challenge) return dropped(400, DropReason::kMalformed, "there is no challenge");
    answer.status = 200;
    answer.body = *challenge;
    return answer;
  }
  Frame frame;
  frame.message_id = message.message_id;
  frame.sent_at = *sent_at;
  if (message.type == "notification") {
    frame.kind = FrameKind::kNotification;
  } else if (message.type == "revocation") {
    frame.kind = FrameKind::kRevocation;
  } else {
    return dropped(204, DropReason::kUnknownKind, message.type.substr(0, 64));
  }
  if (Status status = decode_payload(*body, frame); !status.ok()) {
    return dropped(400, DropReason::kMalformed, status.error().message);
  }
  if (!seen_.first_time(frame.message_id)) {
    return dropped(204, DropReason::kDuplicate, frame.message_id);
  }
  if (frame.kind == FrameKind::kRevocation) {
    answer.actions.emplace_back(
        SubscriptionRevoked{frame.subscription_type, frame.subscription_status});
  }
  for (Notice& notice : frame.notices) answer.actions.emplace_back(Noticed{std::move(notice)});
  return answer;
}

}  // namespace state_engine::twitch
