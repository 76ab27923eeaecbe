// HttpServer: HTTP/1.1 over TCP, as it is or by TLS, for a few routes, with plain answers and
// server-sent events.
//
// Invariants, checked by http_server_test.cc:
//   (1) Answers leave in the order of their requests, also when a client pipelines.
//   (2) Every connection has a deadline at any time: idle, header, body, write.
//   (3) A connection holds at most one request (header + body limit) and one answer in memory.
//   (4) A client that goes away is noticed while its handler runs or its stream is open.
//   (5) A request with both Content-Length and Transfer-Encoding is refused and its connection
//       closed, as is anything else that two parsers could read differently.
//
// Ownership: the server keeps its routes; the runtime outlives the server.
// Threads:   route() before listen(); handlers run on their connection's strand, so that two
//            requests of one connection never run at once, those of two connections may.
// Errors:    a handler that throws is answered 500 and logged; its connection goes on.

#ifndef STATE_ENGINE_NET_HTTP_SERVER_H_
#define STATE_ENGINE_NET_HTTP_SERVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/limits.h"
#include "base/log.h"
#include "base/result.h"
#include "net/cancel.h"
#include "net/http_types.h"
#include "net/io_runtime.h"
#include "net/tls_identity.h"
#include "net/websocket.h"

namespace state_engine::net {

// The open body of a text/event-stream answer. Threads: the connection's strand only.
class SseWriter {
 public:
  virtual ~SseWriter() = default;

  // Writes one event and waits until the socket took it: that is the back-pressure, there is no
  // queue. `data` may hold line breaks. Returns false once the stream is closed.
  virtual boost::asio::awaitable<bool> send(std::string_view data, std::string_view event = {},
                                            std::string_view id = {}) = 0;
  // Writes text that is already in event-stream form ("data: {}\n\n", possibly many events).
  virtual boost::asio::awaitable<bool> send_raw(std::string_view text) = 0;
  // Writes a comment, which keeps proxies and clients from timing out.
  virtual boost::asio::awaitable<bool> keep_alive() = 0;

  virtual bool closed() const = 0;
  // Cancelled when the client is gone.
  virtual CancelToken disconnected() const = 0;
  // Cancelled when the server begins to shut down: say goodbye and return.
  virtual CancelToken shutting_down() const = 0;
};

// Runs while the stream is open; the stream ends when it returns. It must return soon after one of
// the writer's two tokens is cancelled.
using SseBody = std::function<boost::asio::awaitable<void>(SseWriter& writer)>;

// Runs while a WebSocket is open; the connection is dropped when it returns. It must return soon
// after a read has failed, which a shutdown of the server brings about (1001).
using WebSocketBody =
    std::function<boost::asio::awaitable<void>(std::shared_ptr<WebSocket> socket)>;

struct HttpResponse {
  int status = 200;
  Headers headers;     // Content-Length, Date and Connection are added by the server
  std::string body;    // Content-Type must be among the headers if this is not empty
  SseBody stream;      // when set, `body` is ignored and the answer is an event stream
  bool close = false;  // close the connection after this answer
  // When set, the request is upgraded and `headers` go into the 101, Sec-WebSocket-Protocol among
  // them if one was chosen; a request that asked for no upgrade is answered 426.
  WebSocketBody websocket = nullptr;
  WebSocketOptions websocket_options = {};

  static HttpResponse json(int status, std::string body) {
    return {status, {{"Content-Type", "application/json"}}, std::move(body), nullptr, false};
  }
  static HttpResponse text(int status, std::string body) {
    return {
        status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(body), nullptr, false};
  }
};

// What a handler may ask about the exchange it serves; lives until its answer is complete.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  // Cancelled when the client is gone before it was answered.
  virtual CancelToken disconnected() const = 0;
  virtual boost::asio::any_io_executor executor() const = 0;
};

using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest request,
                                                                       HttpExchange& exchange)>;

// A handler that answers at once, without awaiting anything.
HttpHandler sync_handler(std::function<HttpResponse(const HttpRequest&)> function);

struct HttpServerOptions {
  std::size_t header_bytes_max = limits::kHttpHeaderBytesMax;
  std::size_t body_bytes_max = limits::kHttpBodyBytesMax;
  std::size_t connections_max = limits::kHttpConnectionsMax;
  std::chrono::milliseconds header_timeout = limits::kHttpHeaderTimeout;
  std::chrono::milliseconds body_timeout = limits::kHttpBodyTimeout;
  std::chrono::milliseconds idle_timeout = limits::kHttpIdleTimeout;
  std::chrono::milliseconds write_timeout{30'000};
};

class HttpServer {
 public:
  HttpServer(IoRuntime& runtime, HttpServerOptions options, Log& log);
  // REQUIRES: shutdown() was awaited, or listen() never succeeded.
  ~HttpServer();

  // Sends every request whose path is `path` to `handler`, whatever its method. A `path` that ends
  // in "/*" takes everything below. Exact paths win, then the longest prefix.
  void route(std::string path, HttpHandler handler);
  // The same for the listed methods ("GET, HEAD"); others are answered 405, OPTIONS 204, both with
  // Allow.
  void route(std::string path, std::string methods, HttpHandler handler);

  // Speaks TLS with that certificate, and answers plain HTTP with an explanation.
  // REQUIRES: called before listen().
  void use_tls(std::shared_ptr<TlsIdentity> identity);

  // Opens the port and starts to accept. `host` is an address or a name that resolves to one;
  // port 0 takes a free one.
  // Errors: kFailedPrecondition if the port is taken (the message names it), kInvalidArgument for a
  // host that does not resolve, kUnavailable otherwise.
  Status listen(std::string_view host, std::uint16_t port);

  // The bound port. REQUIRES: listen() succeeded.
  std::uint16_t port() const;
  // True if the server listens on a loopback address only.
  bool is_loopback() const;

  std::size_t open_connections() const;

  // Stops accepting, closes idle connections, tells streams to end, lets running handlers finish
  // until `grace` is over, then closes what is left. Idempotent.
  boost::asio::awaitable<void> shutdown(std::chrono::milliseconds grace);

  class State;  // the implementation; public for its connections only

 private:
  std::shared_ptr<State> state_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_SERVER_H_
