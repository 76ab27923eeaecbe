// Questions to the client take two ways, by era: as the result of this call, or as requests that
// are sent while it runs. A handler is written once for both.

#include "mcp/protocol/context.h"

#include <algorithm>
#include <array>
#include <utility>

#include "mcp/protocol/message.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

// People answer elicitations; a client that is gone is noticed sooner.
constexpr std::chrono::minutes kPatience{10};

// The capability that a client declares when it can answer `method`: the part before the slash.
std::string capability_for(const std::string& method) { return method.substr(0, method.find('/')); }

}  // namespace

std::optional<int> log_level_rank(std::string_view level) {
  constexpr std::array<std::string_view, 8> kLevels{"debug", "info",     "notice", "warning",
                                                    "error", "critical", "alert",  "emergency"};
  const auto found = std::find(kLevels.begin(), kLevels.end(), level);
  if (found == kLevels.end()) return std::nullopt;
  return static_cast<int>(found - kLevels.begin());
}

asio::awaitable<Result<json::Object>> RequestContext::ask_client(std::vector<ClientQuestion> wanted,
                                                                 json::Object state) {
  for (const ClientQuestion& question : wanted) {
    const std::string capability = capability_for(question.method);
    if (client_capabilities.contains(capability)) continue;
    lacking_capability = capability;
    co_return Error{ErrorCode::kFailedPrecondition,
                    "the client did not declare the capability '" + capability + "'"};
  }
  json::Object found;
  if (era == Era::kModern) {
    for (ClientQuestion& question : wanted) {
      const json::Value* answer = answers.if_contains(question.key);
      if (answer && answer->is_object()) {
        found[question.key] = *answer;
      } else {
        questions.push_back(std::move(question));
      }
    }
    if (questions.empty()) co_return found;
    next_state = std::move(state);
    co_return Error{ErrorCode::kFailedPrecondition, "the client has to answer first"};
  }
  if (!message_sink || !client_requests) {
    unanswered = "the client cannot be asked here: it needs a session and an event stream";
    co_return Error{ErrorCode::kFailedPrecondition, unanswered};
  }
  for (ClientQuestion& question : wanted) {
    auto answer = co_await client_requests->send(message_sink, question.method,
                                                 std::move(question.params), cancel, kPatience);
    if (!answer.ok()) {
      unanswered = answer.error().message;
      co_return std::move(answer).error();
    }
    found[question.key] = std::move(*answer);
  }
  co_return found;
}

void RequestContext::log_to_client(std::string_view level, json::Value data) {
  const auto rank = log_level_rank(level);
  SE_ASSERT(rank.has_value());
  if (!message_sink || cancel.cancelled()) return;
  if (era == Era::kModern && !request_log_level) return;
  const int least = era == Era::kModern ? *request_log_level
                    : session_log_level ? session_log_level->load()
                                        : 0;
  if (*rank < least) return;
  message_sink(notification_text("notifications/message",
                                 json::Object{{"level", level}, {"data", std::move(data)}}));
}

void RequestContext::report_progress(double progress, std::optional<double> total,
                                     std::string_view message) {
  if (!progress_sink || progress <= last_progress || cancel.cancelled()) return;
  last_progress = progress;
  progress_sink(progress, total, message);
}

}  // namespace state_engine::mcp
