// RFC 6455 by Boost.Beast, over TCP and over TLS. Deadlines close the socket, which makes whatever
// is pending fail; Beast's own timers watch the goodbye and the idle time.

#include <deque>
#include <netinet/tcp.h>
#include <optional>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "net/client_stream.h"
#include "net/wake_signal.h"
#include "net/websocket_accept.h"
#include "net/websocket_client.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

constexpr std::string_view kSubprotocolField = "Sec-WebSocket-Protocol";

template <typename Stream>
class WebSocketOver final : public WebSocket,
                            public std::enable_shared_from_this<WebSocketOver<Stream>> {
 public:
  using Self = WebSocketOver;

  WebSocketOver(Stream stream, const WebSocketOptions& options)
      : options_(options), ws_(std::move(stream)), executor_(ws_.get_executor()) {
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = options.close_timeout;
    timeouts.idle_timeout =
        options.idle_timeout.count() > 0 ? options.idle_timeout : websocket::stream_base::none();
    timeouts.keep_alive_pings = options.idle_timeout.count() > 0;
    ws_.set_option(timeouts);
    ws_.read_message_max(options.message_bytes_max);
    ws_.auto_fragment(false);
  }

  // The client's upgrade.
  asio::awaitable<Status> connect(Url url, WebSocketRequest request) {
    ws_.set_option(websocket::stream_base::decorator(
        [headers = request.headers, subprotocol = request.subprotocol](auto& message) {
          if (!headers.find("User-Agent")) message.set(http::field::user_agent, "state-engine");
          for (const Header& field : headers) message.set(field.name, field.value);
          if (!subprotocol.empty()) {
            message.set(http::field::sec_websocket_protocol, subprotocol);
          }
        }));
    // Beast's timer for this is that of the goodbye, which is shorter.
    websocket::stream_base::timeout timeouts{};
    ws_.get_option(timeouts);
    auto patient = timeouts;
    patient.handshake_timeout = websocket::stream_base::none();
    ws_.set_option(patient);
    const auto self = this->shared_from_this();
    const auto stop = request.cancel.on_cancel([self] { self->abort(); });
    websocket::response_type response;
    std::optional<DeadlineTimer> timer;
    timer.emplace(executor_, options_.connect_timeout, [self] { self->close_socket(); });
    const auto [error] =
        co_await ws_.async_handshake(response, url.authority(), url.target, kAwaitTuple);
    ws_.set_option(timeouts);
    if (error) {
      co_return upgrade_error(url, response.result_int(), error, timer->expired(), request.cancel);
    }
    const auto chosen = response[http::field::sec_websocket_protocol];
    subprotocol_.assign(chosen.data(), chosen.size());
    if (subprotocol_ != request.subprotocol) {
      co_return Error{ErrorCode::kFailedPrecondition,
                      url.display() + " does not speak the subprotocol '" + request.subprotocol +
                          "': check that it is the right address"};
    }
    co_return Status{};
  }

  // The server's.
  asio::awaitable<Status> accept(http::request<http::empty_body> request, Headers headers) {
    subprotocol_ = std::string{headers.get(kSubprotocolField)};
    ws_.set_option(websocket::stream_base::decorator(
        [headers = std::move(headers)](websocket::response_type& message) {
          for (const Header& field : headers) message.set(field.name, field.value);
        }));
    const auto [error] = co_await ws_.async_accept(request, kAwaitTuple);
    if (error) co_return Error{ErrorCode::kUnavailable, "the upgrade failed: " + error.message()};
    co_return Status{};
  }

  asio::awaitable<Result<WebSocketMessage>> read(std::chrono::milliseconds timeout) override {
    const auto self = this->shared_from_this();
    if (ended_) co_return ended_error();
    std::optional<DeadlineTimer> timer;
    if (timeout.count() > 0) timer.emplace(executor_, timeout, [self] { self->close_socket(); });
    arm_quick_ack();
    const auto [error, count] = co_await ws_.async_read(buffer_, kAwaitTuple);
    arm_quick_ack();
    if (error) {
      end(error);
      if (timer && timer->expired()) {
        co_return Error{ErrorCode::kDeadlineExceeded, "the peer sent nothing in time"};
      }
      co_return ended_error();
    }
    WebSocketMessage message{beast::buffers_to_string(buffer_.data()), !ws_.got_text()};
    buffer_.consume(buffer_.size());
    co_return message;
  }

  Status send(std::string text) override { return enqueue({std::move(text), nullptr}); }

  asio::awaitable<Status> write(std::string text) override {
    const auto self = this->shared_from_this();
    const auto ticket = std::make_shared<Ticket>(executor_);
    SE_CO_RETURN_IF_ERROR(enqueue({std::move(text), ticket}));
    co_await ticket->done.wait();
    co_return ticket->outcome;
  }

  void start_close(std::uint16_t code, std::string reason) override {
    if (ended_ || closing_ || !ws_.is_open()) return;
    closing_ = true;
    reason.resize(std::min<std::size_t>(reason.size(), 123));
    websocket::close_reason goodbye(code);
    goodbye.reason = reason;
    ws_.async_close(goodbye, [self = this->shared_from_this()](beast::error_code error) {
      // A read under way sees the end itself, and knows the peer's code.
      self->close_ended_ = true;
      if (error) self->close_socket();
      self->goodbye_.notify();
    });
  }

  asio::awaitable<void> close(std::uint16_t code, std::string reason) override {
    const auto self = this->shared_from_this();
    start_close(code, std::move(reason));
    while (closing_ && !close_ended_) co_await goodbye_.wait();
    end(websocket::error::closed);
    close_socket();
  }

  void abort() override {
    asio::post(executor_, [self = this->shared_from_this()] { self->close_socket(); });
  }

  bool is_open() const override { return !ended_ && ws_.is_open(); }
  const WebSocketClose& closed() const override { return closed_; }
  const std::string& subprotocol() const override { return subprotocol_; }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  struct Ticket {
    explicit Ticket(const asio::any_io_executor& strand) : done(strand) {}
    WakeSignal done;
    Status outcome;
  };
  struct Outgoing {
    std::string text;
    std::shared_ptr<Ticket> ticket;
  };

  Status enqueue(Outgoing message) {
    if (ended_ || closing_) return ended_error();
    if (queued_bytes_ + message.text.size() > options_.queue_bytes_max) {
      return Error{ErrorCode::kResourceExhausted,
                   "too much waits to be sent to the peer; it reads too slowly"};
    }
    queued_bytes_ += message.text.size();
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) write_front();
    return {};
  }

  void write_front() {
    const auto self = this->shared_from_this();
    write_timer_.emplace(executor_, options_.write_timeout, [self] { self->close_socket(); });
    ws_.text(true);
    ws_.async_write(asio::buffer(queue_.front().text),
                    [self](beast::error_code error, std::size_t) { self->written(error); });
  }

  void written(beast::error_code error) {
    write_timer_.reset();
    arm_quick_ack();
    if (error) {
      // The read under way reports the end; without one the next call does.
      close_socket();
      while (!queue_.empty()) finish_front(ended_error());
      return;
    }
    finish_front({});
    if (!queue_.empty()) write_front();
  }

  void finish_front(Status&& outcome) {
    queued_bytes_ -= queue_.front().text.size();
    if (const auto ticket = queue_.front().ticket) {
      ticket->outcome = std::move(outcome);
      ticket->done.notify();
    }
    queue_.pop_front();
  }

  void end(const beast::error_code& error) {
    if (std::exchange(ended_, true)) return;
    if (error == websocket::error::closed && ws_.reason().code != websocket::close_code::none) {
      const auto& reason = ws_.reason();
      closed_.code = reason.code;
      closed_.reason.assign(reason.reason.data(), reason.reason.size());
    } else if (error == websocket::error::message_too_big) {
      closed_ = {1009, "the message is too large"};
    } else {
      closed_.reason = error.message();
    }
  }

  Error ended_error() const {
    return {ErrorCode::kUnavailable, "the connection has ended (" + std::to_string(closed_.code) +
                                         (closed_.reason.empty() ? "" : ": " + closed_.reason) +
                                         ")"};
  }

  static Error upgrade_error(const Url& url, unsigned status, const beast::error_code& error,
                             bool expired, const CancelToken& cancel) {
    if (error == websocket::error::upgrade_declined) {
      const bool denied = status == 401 || status == 403;
      return {denied ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
              url.display() + " refused the WebSocket: HTTP " + std::to_string(status)};
    }
    return transport_error(url, "the WebSocket upgrade", error, expired, cancel);
  }

  void close_socket() {
    boost::system::error_code ignored;  // Closing twice is harmless.
    beast::get_lowest_layer(ws_).close(ignored);
  }

  void arm_quick_ack() {
    if (!options_.quick_ack) return;
    auto& socket = beast::get_lowest_layer(ws_);
    if (!socket.is_open()) return;
    const int on = 1;
    // The kernel forgets it after a while; a failure costs 40 ms, nothing else.
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }

  const WebSocketOptions options_;
  websocket::stream<Stream, false> ws_;
  const asio::any_io_executor executor_;
  beast::flat_buffer buffer_;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<DeadlineTimer> write_timer_;
  std::string subprotocol_;
  WebSocketClose closed_;
  bool ended_ = false;
  bool closing_ = false;
  bool close_ended_ = false;
  WakeSignal goodbye_{executor_};
};

template <typename Socket>
asio::awaitable<Result<std::shared_ptr<WebSocket>>> upgrade(Socket socket, Url url,
                                                            WebSocketRequest request) {
  const auto connection =
      std::make_shared<WebSocketOver<Socket>>(std::move(socket), request.options);
  SE_CO_RETURN_IF_ERROR(co_await connection->connect(std::move(url), std::move(request)));
  co_return std::shared_ptr<WebSocket>(connection);
}

}  // namespace

asio::awaitable<Result<std::shared_ptr<WebSocket>>> connect_websocket(WebSocketRequest request,
                                                                      TlsContext tls) {
  auto url = parse_url(request.url);
  if (!url.ok()) co_return std::move(url).error();
  if (!url->is_websocket()) {
    co_return invalid_argument(url->display() +
                               " is no WebSocket address: it must begin with "
                               "ws:// or wss://");
  }
  const auto timeout = request.options.connect_timeout;
  if (url->is_tls()) {
    auto socket = co_await connect_tls(*url, std::move(tls), timeout, request.cancel);
    if (!socket.ok()) co_return std::move(socket).error();
    co_return co_await upgrade(std::move(*socket), std::move(*url), std::move(request));
  }
  auto socket = co_await connect_tcp(*url, timeout, request.cancel);
  if (!socket.ok()) co_return std::move(socket).error();
  co_return co_await upgrade(std::move(*socket), std::move(*url), std::move(request));
}

namespace {

http::request<http::empty_body> to_beast(const HttpRequest& request) {
  http::request<http::empty_body> out;
  out.version(11);
  out.method_string(request.method);
  out.target(request.target);
  for (const Header& field : request.headers) out.insert(field.name, field.value);
  return out;
}

}  // namespace

bool is_websocket_upgrade(const HttpRequest& request) {
  if (!request.headers.find("Upgrade")) return false;  // Almost always; the rest costs a copy.
  return websocket::is_upgrade(to_beast(request));
}

asio::awaitable<Result<std::shared_ptr<WebSocket>>> accept_websocket(TcpSocket socket,
                                                                     HttpRequest request,
                                                                     Headers headers,
                                                                     WebSocketOptions options) {
  const auto connection = std::make_shared<WebSocketOver<TcpSocket>>(std::move(socket), options);
  SE_CO_RETURN_IF_ERROR(co_await connection->accept(to_beast(request), std::move(headers)));
  co_return std::shared_ptr<WebSocket>(connection);
}

}  // namespace state_engine::net
