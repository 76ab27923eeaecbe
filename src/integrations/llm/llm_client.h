// ChatCompletions: asks an OpenAI-compatible server, with retries, over a transport.
//
// What may help is tried again: no connection, 408, 429, 5xx and answers that break off, with
// growing pauses, honouring Retry-After. Asking a model changes nothing, so that asking twice is
// harmless. The key appears in the Authorization header and nowhere else: not in logs, not in
// errors, even if the server repeats it.
//
// Threads: one at a time; calls block.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_LLM_CLIENT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_LLM_CLIENT_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "integrations/llm/chat.h"
#include "net/http_types.h"

namespace state_engine::llm {

struct HttpHead {
  int status = 0;
  net::Headers headers;
};

struct HttpPost {
  std::string url;
  net::Headers headers;
  std::string body;
  std::chrono::milliseconds timeout{60'000};  // for the whole exchange
};

// Carries one POST.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  // Gets the bytes of the body as they come, with the head of the answer; false stops reading.
  using BodySink = std::function<bool(const HttpHead&, std::string_view)>;

  // Errors: kUnavailable (not reached, or broken off), kDeadlineExceeded, kInvalidArgument (URL),
  // kCancelled.
  virtual Result<HttpHead> post(const HttpPost& request, const BodySink& sink) = 0;
};

class LlmClient {
 public:
  virtual ~LlmClient() = default;

  // Errors: kUnavailable and kDeadlineExceeded when the model could not be asked, kPermissionDenied
  // for a refused key, kInvalidArgument for a refused request, kInternal for a useless answer,
  // kCancelled at shutdown. Messages name no secret.
  virtual Result<Completion> complete(const ChatRequest& request) = 0;
};

struct EndpointSettings {
  std::string base_url;  // "http://127.0.0.1:8000/v1"
  std::string api_key;   // empty: no Authorization header
  ModelSettings model;
  std::chrono::milliseconds timeout{60'000};  // of one attempt
  int attempts_max = 4;
  std::chrono::milliseconds total_max{90'000};  // no attempt begins later than this
  std::chrono::milliseconds pause_first{500};   // doubles with each attempt, with jitter
  std::chrono::milliseconds pause_max{20'000};  // a server that asks for more is given up
};

class ChatCompletions final : public LlmClient {
 public:
  // Waits; false when a shutdown cut it short.
  using Sleep = std::function<bool(std::chrono::milliseconds)>;

  // All references outlive the client.
  ChatCompletions(EndpointSettings settings, HttpTransport& transport, Sleep sleep,
                  const Clock& clock, Random& random, Log& log);

  Result<Completion> complete(const ChatRequest& request) override;

  // Attempts beyond the first, since the start.
  std::int64_t retries() const { return retries_; }

 private:
  struct Attempt;
  Attempt try_once(const HttpPost& post);
  Error failure_of(const HttpHead& head, const std::string& body) const;
  std::chrono::milliseconds pause_before(int attempt);
  std::string without_key(std::string text) const;

  EndpointSettings settings_;
  HttpTransport& transport_;
  Sleep sleep_;
  const Clock& clock_;
  Random& random_;
  Log& log_;
  std::int64_t retries_ = 0;
};

// What a Retry-After or retry-after-ms header asks for. Seconds, or an HTTP date.
std::optional<std::chrono::milliseconds> retry_after(const net::Headers& headers, Timestamp now);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_LLM_CLIENT_H_
