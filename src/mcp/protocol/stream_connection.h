// StreamConnection: MCP on one newline-framed stream. Internal to this folder.
//
// A reader coroutine takes lines and starts one task per request; a writer coroutine sends answers
// and updates. Reading pauses while too many requests are in flight or too much is unsent, so a
// peer that does not read stops itself.
//
// Threads: the stream's strand; drain(), abort() and recheck_access() from any thread.

#ifndef STATE_ENGINE_MCP_PROTOCOL_STREAM_CONNECTION_H_
#define STATE_ENGINE_MCP_PROTOCOL_STREAM_CONNECTION_H_

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "mcp/protocol/era.h"
#include "mcp/protocol/listen.h"
#include "mcp/protocol/message.h"
#include "mcp/protocol/outbox.h"
#include "mcp/protocol/session.h"
#include "mcp/protocol/stream_endpoint.h"
#include "net/line_stream.h"
#include "net/task_group.h"

namespace state_engine::mcp {

class StreamConnection final : public std::enable_shared_from_this<StreamConnection> {
 public:
  // `may_greet`: the first line may be a hello.
  StreamConnection(Server& server, const StreamEndpointOptions& options,
                   const Authenticator& authenticator, net::TaskGroup& tasks,
                   std::unique_ptr<net::LineStream> stream, Credentials credentials,
                   bool may_greet);

  // Serves the stream until its input ended and everything was answered.
  boost::asio::awaitable<void> run();

  // Ends listens and reading; what is in flight is still answered.
  void drain();
  void abort();
  // Ends the stream if its peer is no longer let in.
  void recheck_access();

 private:
  struct Call;

  boost::asio::awaitable<void> read_lines();
  boost::asio::awaitable<void> write_loop();
  boost::asio::awaitable<void> wait_for_room();
  boost::asio::awaitable<void> run_call(std::shared_ptr<Call> call);
  bool take_hello(const std::string& line);
  bool authenticate(std::string_view id);
  void end_if_refused();
  void take(const std::string& line);
  void take_request(Message message);
  void take_cancelled(const Message& message);
  bool settle_era(const Message& message);
  bool take_local_method(const Message& message);
  void start_listen(const Message& message);
  void end_listens();
  void send_error(std::string_view id, const RpcError& error);
  std::string collect();
  bool idle() const;

  Server& server_;
  const StreamEndpointOptions& options_;
  const Authenticator& authenticator_;
  net::TaskGroup& tasks_;
  std::unique_ptr<net::LineStream> stream_;
  Credentials credentials_;
  bool may_greet_;
  bool first_line_ = true;
  std::optional<Caller> caller_;
  std::chrono::steady_clock::time_point checked_;
  std::optional<Era> era_;
  std::string protocol_version_;
  json::Object client_capabilities_;

  net::WakeSignal write_wake_;
  net::WakeSignal room_wake_;
  net::WakeSignal writer_ended_;
  Outbox outbox_;
  InFlight in_flight_;
  const std::shared_ptr<ClientRequests> requests_ = std::make_shared<ClientRequests>();
  const std::shared_ptr<std::atomic<int>> log_level_ = std::make_shared<std::atomic<int>>(0);
  std::set<std::string> silenced_;  // cancelled ids: no answer any more
  ScopedListener updates_;          // legacy subscriptions
  std::map<std::string, std::unique_ptr<ScopedListener>> listens_;
  bool input_ended_ = false;
  bool broken_ = false;
  bool writer_done_ = false;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_STREAM_CONNECTION_H_
