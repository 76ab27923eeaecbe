// RequestContext: everything a tool or resource handler may know about the request it serves.

#ifndef STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_
#define STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "base/json.h"
#include "mcp/protocol/caller.h"
#include "net/cancel.h"

namespace state_engine::mcp {

enum class Era {
  kLegacy,  // 2025-03-26 .. 2025-11-25: initialize, sessions
  kModern,  // 2026-07-28: every request stands alone
};

// Lives until the request is answered; a handler gets a reference and may keep it across awaits.
struct RequestContext {
  Era era = Era::kLegacy;
  TransportKind transport = TransportKind::kStreamableHttp;
  std::string protocol_version;  // "2026-07-28"; empty in a stateless legacy request
  Caller caller;
  json::Object client_capabilities;  // empty when unknown
  json::Object meta;                 // params._meta, empty when absent
  std::string traceparent;           // from _meta, else the HTTP header; empty when absent
  std::string session_id;            // legacy sessions only

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
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_CONTEXT_H_
