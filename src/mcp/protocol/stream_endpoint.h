// StreamEndpoint: MCP over newline-framed JSON, on a Unix socket and on stdin/stdout.
//
// One JSON text per line, UTF-8. The first request pins the era of the stream. On the Unix socket
// the first line may be a hello, {"stateEngineHello": {"client": "cli"|"mcp", "token"?: "..."}},
// which is answered by nothing and given to the authenticator together with the peer's user.
// When the peer closes its sending side, requests in flight are still answered, listens end, then
// the stream is closed.
//
// Threads: each stream has its own strand; the methods may be called from any thread.

#ifndef STATE_ENGINE_MCP_PROTOCOL_STREAM_ENDPOINT_H_
#define STATE_ENGINE_MCP_PROTOCOL_STREAM_ENDPOINT_H_

#include <chrono>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/limits.h"
#include "base/log.h"
#include "base/result.h"
#include "mcp/protocol/caller.h"
#include "mcp/protocol/server.h"
#include "net/io_runtime.h"

namespace state_engine::mcp {

struct StreamEndpointOptions {
  std::size_t line_bytes_max = limits::kHttpBodyBytesMax;
  std::size_t requests_in_flight_max = 64;
  std::size_t connections_max = 512;
  std::size_t listens_max = 32;  // per stream
  // How often an open stream's peer is checked again; a signed token may expire.
  std::chrono::milliseconds recheck_every = limits::kSseKeepAlive;
  std::string descriptor_token;  // the bearer token of serve_descriptors(); empty: none
};

class StreamEndpoint {
 public:
  StreamEndpoint(net::IoRuntime& runtime, Server& server, StreamEndpointOptions options,
                 Authenticator authenticator, Log& log);
  // REQUIRES: shutdown() was awaited, or nothing was ever opened.
  ~StreamEndpoint();

  // Accepts on a Unix socket at `path`, mode 0600; a stale socket file is replaced.
  // Errors: kFailedPrecondition if another process listens there, kInvalidArgument if the path is
  // too long or is another kind of file, kUnavailable otherwise.
  Status listen_unix(const std::string& path);

  // Serves one stream on two open descriptors (stdin and stdout), which it duplicates. Returns
  // when the input is at its end and everything in flight is answered.
  boost::asio::awaitable<Status> serve_descriptors(int input, int output);

  std::size_t connections() const;

  // Asks again whether the peers of open streams are let in, and ends those that are not once what
  // is in flight is answered. Call it after a change of what the authenticator knows. Any thread.
  void recheck_access();

  // Stops accepting, ends listens, lets requests in flight finish until `grace` is over, closes.
  boost::asio::awaitable<void> shutdown(std::chrono::milliseconds grace);

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_STREAM_ENDPOINT_H_
