// Retries live here and not in the transport: only here it is known that asking twice is harmless,
// and that a stream which ends without its last chunk is no answer.

#include "integrations/llm/llm_client.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "integrations/llm/completion_stream.h"

namespace state_engine::llm {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kErrorBodyMax = 16 * 1024;

bool is_event_stream(const HttpHead& head) {
  const std::string_view type = head.headers.get("Content-Type");
  return net::equals_ignoring_case(net::trim(type.substr(0, type.find(';'))), "text/event-stream");
}

bool may_help_again(int status) { return status == 408 || status == 429 || status >= 500; }

std::optional<milliseconds> number_of(std::string_view text, double unit_ms) {
  const std::string copy(net::trim(text));
  if (copy.empty()) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  if (*end != '\0' || !std::isfinite(number) || number < 0) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(std::min(number * unit_ms, 1e12)));
}

}  // namespace

std::optional<milliseconds> retry_after(const net::Headers& headers, Timestamp now) {
  if (const auto ms = number_of(headers.get("retry-after-ms"), 1)) return ms;
  const std::string text(net::trim(headers.get("Retry-After")));
  if (const auto seconds = number_of(text, 1000)) return seconds;
  std::tm parts{};
  const char* const end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (text.empty() || end == nullptr) return std::nullopt;
  const Timestamp at = timestamp_from_ms(static_cast<std::int64_t>(timegm(&parts)) * 1000);
  return std::max(milliseconds{0}, milliseconds(at - now));
}

ChatCompletions::ChatCompletions(EndpointSettings settings, HttpTransport& transport, Sleep sleep,
                                 const Clock& clock, Random& random, Log& log)
    : settings_(std::move(settings)),
      transport_(transport),
      sleep_(std::move(sleep)),
      clock_(clock),
      random_(random),
      log_(log) {
  while (settings_.base_url.ends_with('/')) settings_.base_url.pop_back();
}

// What one attempt came to.
struct ChatCompletions::Attempt {
  std::optional<Completion> completion;
  Error error;
  bool again = false;
  std::optional<milliseconds> wait;  // asked for by the server
};

std::string ChatCompletions::without_key(std::string text) const {
  constexpr std::size_t kSecretBytesMin = 6;  // a placeholder such as "x" is no secret
  if (settings_.api_key.size() < kSecretBytesMin) return text;
  for (std::size_t at = text.find(settings_.api_key); at != std::string::npos;
       at = text.find(settings_.api_key, at)) {
    text.replace(at, settings_.api_key.size(), "[key]");
  }
  return text;
}

Error ChatCompletions::failure_of(const HttpHead& head, const std::string& body) const {
  const std::string said = without_key(error_message_of(body));
  std::string text = fmt::format("the language model's server answered HTTP {}", head.status);
  if (!said.empty()) text += ": " + said;
  if (head.status == 401 || head.status == 403) {
    return {ErrorCode::kPermissionDenied, text + ". Check LLM_API_KEY"};
  }
  if (head.status == 404) {
    return {ErrorCode::kInvalidArgument,
            text + ". Check LLM_BASE_URL (it usually ends in /v1) and LLM_MODEL"};
  }
  if (may_help_again(head.status)) return {ErrorCode::kUnavailable, std::move(text)};
  return {ErrorCode::kInvalidArgument, std::move(text)};
}

ChatCompletions::Attempt ChatCompletions::try_once(const HttpPost& post) {
  CompletionStream stream;
  std::string body;
  Status streamed;
  const auto sink = [&](const HttpHead& head, std::string_view bytes) {
    if (head.status == 200 && is_event_stream(head)) {
      streamed = stream.feed(bytes);
      return streamed.ok() && !stream.done();
    }
    const std::size_t most = head.status == 200 ? kAnswerBytesMax : kErrorBodyMax;
    body += bytes.substr(0, most + 1 - std::min(body.size(), most + 1));
    return body.size() <= most;
  };
  const auto head = transport_.post(post, sink);
  Attempt attempt;
  if (!streamed.ok()) {
    attempt.error = streamed.error();
  } else if (!head.ok()) {
    attempt.error = head.error();
  } else if (head->status != 200) {
    attempt.error = failure_of(*head, body);
    attempt.wait = retry_after(head->headers, clock_.wall_now());
  } else {
    auto completion = is_event_stream(*head) ? stream.finish() : parse_completion(body);
    if (completion.ok()) {
      attempt.completion = std::move(completion).value();
      return attempt;
    }
    attempt.error = completion.error();
  }
  attempt.error.message = without_key(std::move(attempt.error.message));
  attempt.again = attempt.error.code == ErrorCode::kUnavailable ||
                  attempt.error.code == ErrorCode::kDeadlineExceeded;
  return attempt;
}

// Half of it is random, so that many bots do not come back at the same moment.
milliseconds ChatCompletions::pause_before(int attempt) {
  milliseconds pause = settings_.pause_first;
  for (int i = 1; i < attempt && pause < settings_.pause_max; ++i) pause *= 2;
  pause = std::min(pause, settings_.pause_max);
  std::uint8_t byte = 0;
  random_.fill({&byte, 1});
  return pause / 2 + pause * byte / 512;
}

Result<Completion> ChatCompletions::complete(const ChatRequest& request) {
  HttpPost post;
  post.url = settings_.base_url + "/chat/completions";
  post.headers.add("Content-Type", "application/json");
  post.headers.add("Accept", settings_.model.stream ? "text/event-stream, application/json"
                                                    : "application/json");
  if (!settings_.api_key.empty()) {
    post.headers.add("Authorization", "Bearer " + settings_.api_key);
  }
  post.body = json::write(encode_request(request, settings_.model));
  post.timeout = settings_.timeout;
  const auto begun = clock_.monotonic_now();
  for (int attempt = 1;; ++attempt) {
    Attempt outcome = try_once(post);
    if (outcome.completion) return std::move(*outcome.completion);
    if (!outcome.again || attempt >= settings_.attempts_max) return std::move(outcome.error);
    const milliseconds pause =
        std::max(pause_before(attempt), outcome.wait.value_or(pause_before(1)));
    if (pause > settings_.pause_max) {
      outcome.error.message +=
          fmt::format("; it asks to wait {} s, which is too long", pause.count() / 1000);
      return std::move(outcome.error);
    }
    if (clock_.monotonic_now() - begun + pause > settings_.total_max) {
      return std::move(outcome.error);
    }
    ++retries_;
    log_.warn("asking the language model again",
              {{"error", outcome.error.message}, {"attempt", attempt}, {"waitMs", pause.count()}});
    if (!sleep_(pause)) return Error{ErrorCode::kCancelled, "stopped while waiting for the model"};
  }
}

}  // namespace state_engine::llm
