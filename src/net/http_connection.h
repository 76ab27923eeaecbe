// HttpConnection: one accepted connection of an HttpServer. Internal to src/net.
//
// One coroutine reads, dispatches and writes. Deadlines cost no timers: each phase stores its
// deadline, and the server's sweeper, one timer for all connections, calls sweep(). The sweeper
// also starts the read that notices a client going away, for handlers that run longer than a tick.
//
// Between two requests it may leave its thread: many small exchanges are served by half of the
// threads, large ones by all (docs/adr/0028). It then ends, and another one goes on with its
// socket.
//
// Threads: sweep(), drain() and abort() from any thread; the rest on the connection's strand.

#ifndef STATE_ENGINE_NET_HTTP_CONNECTION_H_
#define STATE_ENGINE_NET_HTTP_CONNECTION_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "net/http_server.h"
#include "net/http_stream.h"
#include "net/io_runtime.h"
#include "net/wake_signal.h"

namespace state_engine::net {

// What the server gives each of its connections.
struct ConnectionHost {
  virtual ~ConnectionHost() = default;
  virtual const HttpServerOptions& options() const = 0;
  virtual Log& log() const = 0;
  virtual bool draining() const = 0;
  virtual CancelToken shutting_down() const = 0;
  virtual boost::asio::any_io_executor make_strand(Spread spread) = 0;
  // Null on a server that speaks plain HTTP.
  virtual const std::shared_ptr<TlsIdentity>& tls() const = 0;
  virtual boost::asio::awaitable<HttpResponse> dispatch(HttpRequest&& request,
                                                        HttpExchange& exchange) = 0;
};

class HttpConnection final : public HttpExchange,
                             public std::enable_shared_from_this<HttpConnection> {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  HttpConnection(HttpStream::Socket socket, std::shared_ptr<ConnectionHost> host);

  // Serves requests until the connection ends or has to move.
  boost::asio::awaitable<void> run();

  // After run(): the connection that goes on elsewhere, to be run on its executor(); null if this
  // one has ended.
  std::shared_ptr<HttpConnection> moved();

  // Enforces the deadline of the current phase.
  void sweep(SteadyTime now);
  // Closes the connection if it is idle, else after the current answer.
  void drain();
  // Closes it now.
  void abort();

  // HttpExchange.
  CancelToken disconnected() const override { return gone_.token(); }
  boost::asio::any_io_executor executor() const override { return executor_; }

  // How one request was read.
  enum class ReadOutcome { kRequest, kClosed, kRefused };

  // For the stream of one answer (http_connection.cc).
  boost::asio::awaitable<bool> write_all(std::string head, std::string_view body);
  const ConnectionHost& host() const { return *host_; }

 private:
  enum class Phase { kIdle, kReading, kHandling, kWriting, kClosing };
  struct Incoming;

  boost::asio::awaitable<bool> open_stream();
  // Waits for the first bytes of the next request; false if there is none to come.
  boost::asio::awaitable<bool> wait_for_request();
  // The request at the front of the buffer, if it is whole and plain.
  bool take_plain_request(HttpRequest& request);
  boost::asio::awaitable<ReadOutcome> read_request(HttpRequest& request);
  boost::asio::awaitable<bool> read_more(std::size_t chunk);
  boost::asio::awaitable<ReadOutcome> refuse(int status, std::string_view why);
  boost::asio::awaitable<ReadOutcome> refuse_malformed(boost::system::error_code error);
  std::optional<HttpRequest> to_request(Incoming& incoming, int& status, std::string& why);
  boost::asio::awaitable<HttpResponse> handle(HttpRequest& request);
  // `response` outlives the await.
  boost::asio::awaitable<bool> write_response(const HttpResponse& response, bool is_head);
  boost::asio::awaitable<bool> write_stream(const HttpResponse& response);
  boost::asio::awaitable<void> run_websocket(HttpRequest request, HttpResponse response);
  boost::asio::awaitable<void> close_gently();
  std::string response_head(const HttpResponse& response, bool streaming) const;

  // After an exchange of so many bytes: chooses another thread if it has to and can, and returns
  // whether it did.
  bool begin_move(std::size_t exchanged);

  void enter(Phase phase, std::chrono::milliseconds limit);
  void on_sweep(SteadyTime now);
  void start_watch();
  void arm_watch();
  boost::asio::awaitable<void> stop_watch();
  void close_now();

  HttpStream stream_;
  boost::asio::any_io_executor executor_;
  std::shared_ptr<ConnectionHost> host_;
  std::string remote_address_;
  bool is_loopback_ = false;
  boost::beast::flat_buffer buffer_;

  std::atomic<std::int64_t> deadline_ns_{0};     // steady clock; 0: none
  std::atomic<std::int64_t> watch_after_ns_{0};  // handling: when to start the watch; 0: never
  Phase phase_ = Phase::kIdle;
  bool timed_out_ = false;
  bool close_after_ = false;
  bool unread_input_ = false;  // close gently, so that the peer reads our answer
  bool http_1_0_ = false;
  bool keep_alive_ = true;

  Spread spread_ = Spread::kAll;
  int small_in_a_row_ = 0;
  std::optional<boost::asio::any_io_executor> next_executor_;  // set: run() ended to move there

  std::shared_ptr<WebSocket> websocket_;  // after an upgrade, which took the stream

  CancelSource gone_;
  bool watch_wanted_ = false;
  bool watch_pending_ = false;
  boost::asio::cancellation_signal watch_cancel_;
  WakeSignal watch_ended_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_CONNECTION_H_
