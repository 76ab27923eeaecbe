// Service: the scaffold that every service of the system stands on: logs, threads, signals, health,
// metrics, and an MCP endpoint over HTTP and a Unix socket, behind one authenticator.
//
// Life: construct (first thing in main: it blocks the signals that it will wait for), register
// tools and parts, open(), run(), close().
//
// Ownership: the service outlives what was registered with it.
// Threads:   the methods are for the main thread; health, metrics and log for any.

#ifndef STATE_ENGINE_APP_SERVICE_H_
#define STATE_ENGINE_APP_SERVICE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "app/authenticator.h"
#include "app/health.h"
#include "app/json_log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/server.h"
#include "mcp/protocol/stream_endpoint.h"
#include "net/http_server.h"
#include "net/io_runtime.h"

namespace state_engine {

struct ServiceOptions {
  std::string name = "state-engine";
  std::string instructions;  // for models, by MCP
  LogLevel log_level = LogLevel::kInfo;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string socket_path;   // empty = no Unix socket
  std::string tokens_file;   // empty = none
  std::string shared_token;  // MCP_AUTH_TOKEN; empty = none
  std::string jwks_file;     // keys of signed tokens; empty = none
  net::JwtPolicy jwt;
  net::TlsFiles tls;  // an empty certificate = plain HTTP
  mcp::ProtectedResource resource;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
};

class Service {
 public:
  explicit Service(ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Log& log() { return log_; }
  const Clock& clock() const { return clock_; }
  Random& random() { return random_; }
  net::IoRuntime& runtime() { return runtime_; }
  mcp::Server& mcp() { return mcp_; }
  Health& health() { return health_; }
  prometheus::Registry& metrics() { return *metrics_; }

  // Reads the tokens file and the key set; open streams and sessions of those who are no longer
  // let in end. Errors: as load_tokens and JwtVerifier::from_jwks.
  Status load_access();

  // Reads the certificate and its key, if there are any. Errors: as TlsIdentity.
  Status load_certificate();

  // Opens the socket and the port. Errors: kFailedPrecondition for a port in use or a bind beyond
  // this machine without tokens; the message says what to do.
  Status open();

  // Serves MCP on stdin and stdout until the input ends.
  Status serve_stdio();

  // "http://127.0.0.1:4270", or https. REQUIRES: open() succeeded.
  std::string url() const;

  // Waits for SIGINT or SIGTERM; on SIGHUP calls `on_reload` and goes on waiting.
  void run(const std::function<void()>& on_reload);

  // Stops taking requests, lets those under way finish until `grace` is over, closes.
  void close(std::chrono::milliseconds grace);

 private:
  Status read_access();
  void add_routes();
  void add_gauges();
  std::string metrics_text() const;

  ServiceOptions options_;
  int signals_;  // a signalfd; the signals are blocked before any thread starts
  SystemClock clock_;
  SystemRandom random_;
  JsonLog log_;
  Health health_;
  std::shared_ptr<prometheus::Registry> metrics_;
  // What is open now, set when somebody asks.
  std::vector<std::pair<prometheus::Gauge*, std::function<std::size_t()>>> gauges_;
  AccessList access_;
  net::IoRuntime runtime_;
  mcp::Server mcp_;
  net::HttpServer http_;
  std::shared_ptr<net::TlsIdentity> tls_;  // null: plain HTTP
  mcp::HttpEndpoint http_endpoint_;
  mcp::StreamEndpoint stream_endpoint_;
  bool open_ = false;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_SERVICE_H_
