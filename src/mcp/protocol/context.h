// RequestContext: everything a tool or resource handler may know about the request it serves.

#ifndef STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_
#define STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/json.h"
#include "base/result.h"
#include "mcp/protocol/caller.h"
#include "mcp/protocol/client_requests.h"
#include "net/cancel.h"

namespace state_engine::mcp {

enum class Era {
  kLegacy,  // 2025-03-26 .. 2025-11-25: initialize, sessions
  kModern,  // 2026-07-28: every request stands alone
};

// One question to the user or the model behind the client.
struct ClientQuestion {
  std::string key;     // names the answer; unique within one round
  std::string method;  // "elicitation/create", "sampling/createMessage", "roots/list"
  json::Object params;
};

// The place of a log level in the order debug .. emergency, or nullopt if there is no such level.
std::optional<int> log_level_rank(std::string_view level);

// Lives until the request is answered; a handler gets a reference and may keep it across awaits.
struct RequestContext {
  Era era = Era::kLegacy;
  TransportKind transport = TransportKind::kStreamableHttp;
  std::string protocol_version;  // "2026-07-28"; empty in a stateless legacy request
  Caller caller;
  json::Object client_capabilities;    // empty when unknown
  const json::Object* meta = nullptr;  // params._meta of the message, which outlives this
  std::string traceparent;             // from _meta, else the HTTP header; empty when absent
  std::string session_id;              // legacy sessions only

  // Cancelled when nobody waits for the answer any more. A mutation that is being committed must
  // finish all the same.
  net::CancelToken cancel;

  // The executor the handler runs on: the strand of its connection.
  boost::asio::any_io_executor executor;

  // Tells the client how far the request is. Does nothing unless the client asked for progress;
  // values that do not grow are dropped. Call it on `executor` only.
  void report_progress(double progress, std::optional<double> total = std::nullopt,
                       std::string_view message = {});

  // Set by the transport; empty when the client did not ask.
  std::function<void(double, std::optional<double>, std::string_view)> progress_sink;
  double last_progress = -1;

  // Asks the client, and returns its answers by key. In the modern era the questions go out as the
  // result of this call and the handler runs again with the answers, so: return the error that this
  // gives, and do nothing before it that may not happen twice. `state` is what carried_state holds
  // in that next round. In the legacy era the questions are sent and awaited one by one.
  // Errors: kFailedPrecondition while an answer is missing or the client cannot be asked; the
  // server makes the right response of it. Others as ClientRequests::send().
  boost::asio::awaitable<Result<json::Object>> ask_client(std::vector<ClientQuestion> wanted,
                                                          json::Object state = {});

  // Sends a log message to the client, if it wants messages of this level.
  // REQUIRES: log_level_rank(level).
  void log_to_client(std::string_view level, json::Value data);

  json::Object answers;                   // inputResponses of the client; modern era only
  json::Object carried_state;             // what ask_client() was given in the round before
  std::vector<ClientQuestion> questions;  // asked in this round, not answered
  json::Object next_state;
  std::string lacking_capability;  // set when the client cannot be asked for want of it
  std::string unanswered;          // why a legacy client did not answer

  // Set by the transport: the way to the client while the request runs; empty without one.
  MessageSink message_sink;
  // The questions of a legacy connection or session; null without one.
  std::shared_ptr<ClientRequests> client_requests;
  // What logging/setLevel of a legacy connection or session changes; null without one.
  std::shared_ptr<std::atomic<int>> session_log_level;
  std::optional<int> request_log_level;  // modern era: from _meta
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_
