// ClientRequests: what the server asks a client of the legacy era (sampling, elicitation, roots).
//
// Revision 2026-07-28 has no such requests: there a result says "input_required" and the client
// calls again (input_required.h). RequestContext::ask_client() serves both eras.
//
// Threads: every method from any thread; send() runs on the strand of the request it serves.

#ifndef STATE_ENGINE_MCP_PROTOCOL_CLIENT_REQUESTS_H_
#define STATE_ENGINE_MCP_PROTOCOL_CLIENT_REQUESTS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/json.h"
#include "base/result.h"
#include "mcp/protocol/message.h"
#include "net/cancel.h"
#include "net/wake_signal.h"

namespace state_engine::mcp {

// Takes one JSON-RPC message to the client that is being served.
using MessageSink = std::function<void(std::string message)>;

class ClientRequests {
 public:
  // Sends one request and waits for its result. People answer some of them, so `patience` is long.
  // REQUIRES: runs on a strand.
  // Errors: kFailedPrecondition when the client refused, kDeadlineExceeded when it kept silent,
  // kCancelled when nobody waits any more, kResourceExhausted when too many are open.
  boost::asio::awaitable<Result<json::Object>> send(MessageSink sink, std::string_view method,
                                                    json::Object params, net::CancelToken cancel,
                                                    std::chrono::milliseconds patience);

  // Hands a response to whoever waits for it; false if nobody does.
  // REQUIRES: response.kind == Message::Kind::kResponse.
  bool take_answer(const Message& response);

  // Gives up all questions, also those to come: the client can answer no more.
  void abandon();

  std::size_t open() const;

 private:
  struct Waiting {
    net::WakeSignal wake;
    std::optional<Message> answer;
  };

  mutable std::mutex mutex_;
  bool abandoned_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::string, std::shared_ptr<Waiting>> waiting_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_CLIENT_REQUESTS_H_
