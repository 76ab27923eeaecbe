// A sealed state is "EXPIRY.SIGNATURE.STATE": seconds of the steady clock, HMAC-SHA-256 as hex over
// expiry, state and binding, and the state as JSON. The client sees it, so it holds no secret.

#include "mcp/protocol/input_required.h"

#include <charconv>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hex.h"
#include "base/random.h"

namespace state_engine::mcp {
namespace {

constexpr std::chrono::minutes kStateLifetime{15};
constexpr std::size_t kSignatureBytes = 64;

std::int64_t seconds_of(StateSeal::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view text_of(const json::Object& object, std::string_view member) {
  const json::Value* value = object.if_contains(member);
  return value && value->is_string() ? std::string_view{value->get_string()} : std::string_view{};
}

}  // namespace

StateSeal::StateSeal() {
  SystemRandom random;
  key_ = random_hex(random, 32);
}

std::string StateSeal::signature(std::string_view payload, std::string_view binding) const {
  std::string data{payload};
  data.append("\n").append(binding);
  std::array<std::uint8_t, 32> digest{};
  unsigned int size = 0;
  const unsigned char* done =
      HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
           reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data(), &size);
  SE_ASSERT(done != nullptr);
  SE_ASSERT(size == digest.size());
  return to_hex(digest);
}

std::string StateSeal::seal(const json::Object& state, std::string_view binding,
                            TimePoint now) const {
  const std::string expiry = std::to_string(seconds_of(now + kStateLifetime));
  const std::string text = json::write(json::Value(state));
  return expiry + "." + signature(expiry + "." + text, binding) + "." + text;
}

std::optional<json::Object> StateSeal::open(std::string_view sealed, std::string_view binding,
                                            TimePoint now) const {
  const auto dot = sealed.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view expiry = sealed.substr(0, dot);
  std::string_view rest = sealed.substr(dot + 1);
  if (rest.size() <= kSignatureBytes || rest[kSignatureBytes] != '.') return std::nullopt;
  const std::string_view claimed = rest.substr(0, kSignatureBytes);
  rest.remove_prefix(kSignatureBytes + 1);
  const std::string payload = std::string{expiry} + "." + std::string{rest};
  if (!equal_in_constant_time(claimed, signature(payload, binding))) return std::nullopt;
  std::int64_t last = 0;
  const auto [end, fault] = std::from_chars(expiry.data(), expiry.data() + expiry.size(), last);
  if (fault != std::errc{} || end != expiry.data() + expiry.size()) return std::nullopt;
  if (seconds_of(now) > last) return std::nullopt;
  auto state = json::parse(rest);
  if (!state.ok() || !state->is_object()) return std::nullopt;
  return std::move(state->get_object());
}

std::string call_binding(const Message& message, const RequestContext& context) {
  std::string call{message.method};
  call.append("\n").append(text_of(message.params, "name"));
  call.append("\n").append(text_of(message.params, "uri")).append("\n");
  const json::Value* arguments = message.params.if_contains("arguments");
  if (arguments) json::write_to(call, *arguments);
  return context.caller.principal + "\n" + context.caller.actor + "\n" + sha256_hex(call);
}

std::optional<RpcError> take_input(const Message& message, const StateSeal& seal,
                                   StateSeal::TimePoint now, RequestContext& context) {
  if (const json::Value* answers = message.params.if_contains("inputResponses")) {
    if (!answers->is_object()) {
      return RpcError{rpc::kInvalidParams, "params.inputResponses must be an object", nullptr};
    }
    context.answers = answers->get_object();
  }
  if (const json::Value* sealed = message.params.if_contains("requestState")) {
    std::optional<json::Object> state;
    if (sealed->is_string()) {
      state = seal.open(sealed->get_string(), call_binding(message, context), now);
    }
    if (!state) {
      return RpcError{rpc::kInvalidParams,
                      "params.requestState is not one this server gave for this call, or it is too "
                      "old: start again without it",
                      nullptr};
    }
    context.carried_state = std::move(*state);
  }
  return std::nullopt;
}

std::string input_required_members(const Message& message, const StateSeal& seal,
                                   StateSeal::TimePoint now, const RequestContext& context) {
  SE_ASSERT(!context.questions.empty());
  json::Object requests;
  for (const ClientQuestion& question : context.questions) {
    requests[question.key] = json::Object{{"method", question.method}, {"params", question.params}};
  }
  std::string members = "\"inputRequests\":" + json::write(requests);
  members += ",\"requestState\":";
  json::write_string_to(members,
                        seal.seal(context.next_state, call_binding(message, context), now));
  return members;
}

RpcError missing_capability(const std::string& capability) {
  return {rpc::kMissingCapability,
          "this call needs a client with the capability '" + capability + "'",
          json::Object{{"requiredCapabilities", json::Object{{capability, json::Object{}}}}}};
}

}  // namespace state_engine::mcp
