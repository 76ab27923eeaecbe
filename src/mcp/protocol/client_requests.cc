// Ids count up within one client; responses are matched by the id's JSON text.

#include "mcp/protocol/client_requests.h"

#include <utility>

#include <boost/asio/this_coro.hpp>

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kOpenMax = 16;

std::string request_text(std::string_view id, std::string_view method, const json::Object& params) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id).append(R"(,"method":)");
  json::write_string_to(out, method);
  out.append(R"(,"params":)");
  json::write_to(out, params);
  out.push_back('}');
  return out;
}

std::string cancelled_text(std::string_view id) {
  return R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)" +
         std::string{id} + "}}";
}

}  // namespace

asio::awaitable<Result<json::Object>> ClientRequests::send(MessageSink sink,
                                                           std::string_view method,
                                                           json::Object params,
                                                           net::CancelToken cancel,
                                                           std::chrono::milliseconds patience) {
  const auto strand = co_await asio::this_coro::executor;
  const auto waiting = std::make_shared<Waiting>(Waiting{net::WakeSignal(strand), std::nullopt});
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_) co_return Error{ErrorCode::kCancelled, "nobody waits or answers any more"};
    if (waiting_.size() >= kOpenMax) {
      co_return Error{ErrorCode::kResourceExhausted, "too many questions wait for this client"};
    }
    id = "\"ask-" + std::to_string(next_id_++) + "\"";
    waiting_[id] = waiting;
  }
  const auto watch = cancel.on_cancel([wake = waiting->wake] { wake.notify(); });
  sink(request_text(id, method, params));
  const bool woken = co_await waiting->wake.wait(patience);
  std::optional<Message> answer;
  {
    const std::lock_guard lock(mutex_);
    waiting_.erase(id);
    answer = std::move(waiting->answer);
  }
  if (!answer) {
    sink(cancelled_text(id));
    if (woken) co_return Error{ErrorCode::kCancelled, "nobody waits or answers any more"};
    co_return Error{ErrorCode::kDeadlineExceeded, "the client did not answer in time"};
  }
  if (answer->error) {
    co_return Error{ErrorCode::kFailedPrecondition,
                    "the client refused " + std::string{method} + ": " + answer->error->message};
  }
  co_return std::move(answer->result);
}

bool ClientRequests::take_answer(const Message& response) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(response.id);
  if (found == waiting_.end() || found->second->answer) return false;
  found->second->answer = response;
  found->second->wake.notify();
  return true;
}

void ClientRequests::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  for (const auto& [id, waiting] : waiting_) waiting->wake.notify();
}

std::size_t ClientRequests::open() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace state_engine::mcp
