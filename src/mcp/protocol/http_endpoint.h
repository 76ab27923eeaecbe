// HttpEndpoint: Streamable HTTP for a Server, both eras on one path, and the older SSE transport.
//
// The order of checks is fixed (tests/… ladder table): Host and Origin, method, Content-Type,
// authentication, JSON, era, version and header agreement, then the method itself.
// Legacy sessions: 128-bit ids, bound to the principal that opened them, expired when idle; a
// legacy request without a session id is served statelessly, an unknown id is 404.
//
// Ownership: server, http and log outlive the endpoint; the endpoint outlives http's shutdown.
// Threads:   mount() before http.listen(); everything else is internal.

#ifndef STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_H_
#define STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "mcp/protocol/caller.h"
#include "mcp/protocol/server.h"
#include "net/http_server.h"
#include "net/origin.h"

namespace state_engine::mcp {

// What clients are told about getting in (RFC 9728). Without authorization servers there is no
// metadata, and challenges name scopes only.
struct ProtectedResource {
  std::string public_url;  // "https://engine.example"; empty: as the client reached us
  std::vector<std::string> authorization_servers;
  std::vector<std::string> scopes;
};

struct HttpEndpointOptions {
  std::string path = "/mcp";
  bool legacy_sse = true;  // GET /sse + POST /message
  net::OriginPolicy origins;
  ProtectedResource resource;
  std::size_t sessions_max = 4096;
  // Open listens of one principal: half of what the server takes, so that nobody locks others out.
  std::size_t listens_per_client_max = limits::kHttpConnectionsMax / 2;
  std::chrono::milliseconds session_idle_max{30 * 60'000};
  std::chrono::milliseconds keep_alive = limits::kSseKeepAlive;
};

class HttpEndpoint {
 public:
  HttpEndpoint(Server& server, HttpEndpointOptions options, Authenticator authenticator,
               Random& random, Log& log);
  ~HttpEndpoint();

  // Adds the endpoint's routes.
  void mount(net::HttpServer& http);

  // Asks again whether the peers of open streams and sessions are let in, and ends those that are
  // not. Call it after a change of what the authenticator knows. Any thread.
  void recheck_access();

  // Live legacy sessions and open listen streams, for metrics.
  std::size_t sessions() const;
  std::size_t listeners() const;

  class State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_H_
