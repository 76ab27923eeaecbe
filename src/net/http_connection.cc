// HTTP/1.1 (RFC 9112) on one connection. Beast parses; this file decides.
//
// A small answer is one vectored write of head and body. Reading goes through flat_buffer_, so that
// pipelined bytes are kept for the next request, also those that arrive while a handler runs.

#include "net/http_connection.h"

#include <array>
#include <charconv>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/http_clock.h"
#include "net/plain_request.h"
#include "net/websocket_accept.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadChunk = 8 * 1024;
constexpr std::size_t kBodyReadChunk = 64 * 1024;
constexpr std::size_t kTlsJoinBytesMax = 16 * 1024;
constexpr std::size_t kLingerBytesMax = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds kLingerTime{2000};
// A handler that is done sooner is never watched: that saves a read per request.
constexpr std::chrono::milliseconds kWatchAfter{50};

std::int64_t to_ns(HttpConnection::SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

int status_for(const boost::system::error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit) return 431;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

struct HttpConnection::Incoming {
  http::request_parser<http::string_body> parser;
  bool header_seen = false;
};

HttpConnection::HttpConnection(HttpStream::Socket socket, std::shared_ptr<ConnectionHost> host)
    : stream_(std::move(socket)),
      executor_(stream_.get_executor()),
      host_(std::move(host)),
      watch_ended_(executor_) {
  boost::system::error_code error;
  const auto remote = stream_.socket().remote_endpoint(error);
  if (!error) {
    auto address = remote.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    remote_address_ = address.to_string();
    is_loopback_ = address.is_loopback();
  }
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
}

// ---- Deadlines and the end of a connection ----------------------------------------------------

void HttpConnection::enter(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  const bool handling = phase == Phase::kHandling;
  if (limit.count() <= 0 && !handling) {
    deadline_ns_.store(0, std::memory_order_relaxed);
    watch_after_ns_.store(0, std::memory_order_relaxed);
    return;
  }
  const auto after = [now = coarse_now_ns()](std::chrono::milliseconds time) {
    return now + std::chrono::nanoseconds(time).count();
  };
  deadline_ns_.store(limit.count() > 0 ? after(limit) : 0, std::memory_order_relaxed);
  watch_after_ns_.store(handling ? after(kWatchAfter) : 0, std::memory_order_relaxed);
}

void HttpConnection::sweep(SteadyTime now) {
  const std::int64_t deadline = deadline_ns_;
  const std::int64_t watch_after = watch_after_ns_;
  const std::int64_t now_ns = to_ns(now);
  if ((deadline != 0 && now_ns >= deadline) || (watch_after != 0 && now_ns >= watch_after)) {
    asio::post(executor_, [self = shared_from_this(), now] { self->on_sweep(now); });
  }
}

void HttpConnection::on_sweep(SteadyTime now) {
  const std::int64_t deadline = deadline_ns_;
  if (deadline != 0 && to_ns(now) >= deadline) {
    deadline_ns_ = 0;
    timed_out_ = true;
    if (phase_ == Phase::kReading) {
      // Ends the pending read only; the answer 408 still goes out.
      boost::system::error_code ignored;
      stream_.socket().cancel(ignored);
    } else {
      close_now();
    }
    return;
  }
  const std::int64_t watch_after = watch_after_ns_;
  if (phase_ == Phase::kHandling && watch_after != 0 && to_ns(now) >= watch_after) {
    watch_after_ns_ = 0;
    start_watch();
  }
}

void HttpConnection::drain() {
  asio::post(executor_, [self = shared_from_this()] {
    self->close_after_ = true;
    if (self->phase_ == Phase::kIdle) self->close_now();
    if (self->websocket_) self->websocket_->start_close(1001, "the server is stopping");
  });
}

void HttpConnection::abort() {
  asio::post(executor_, [self = shared_from_this()] { self->close_now(); });
}

void HttpConnection::close_now() {
  phase_ = Phase::kClosing;
  deadline_ns_ = 0;
  gone_.cancel();
  boost::system::error_code ignored;  // Whatever close says, the descriptor is gone.
  stream_.socket().close(ignored);
  if (websocket_) websocket_->abort();
}

asio::awaitable<void> HttpConnection::close_gently() {
  if (!stream_.is_open()) co_return;
  enter(Phase::kClosing, kLingerTime);
  co_await stream_.end_tls();
  boost::system::error_code ignored;  // The peer may be gone already.
  stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  if (unread_input_) {
    // Closing with unread input would send a reset, which may destroy our answer on its way.
    std::array<char, kReadChunk> sink;
    std::size_t drained = 0;
    while (drained < kLingerBytesMax) {
      const auto [error, count] =
          co_await stream_.socket().async_read_some(asio::buffer(sink), kAwaitTuple);
      if (error) break;
      drained += count;
    }
  }
  close_now();
}

// ---- Watching for the client's departure ------------------------------------------------------

void HttpConnection::start_watch() {
  if (watch_wanted_) return;
  watch_wanted_ = true;
  arm_watch();
}

void HttpConnection::arm_watch() {
  // A client that pipelines more than this is not watched further: its bytes stay in the kernel.
  if (!stream_.is_open() || buffer_.size() >= host_->options().header_bytes_max) return;
  watch_pending_ = true;
  auto on_read = [self = shared_from_this()](boost::system::error_code error, std::size_t count) {
    self->watch_pending_ = false;
    self->buffer_.commit(count);
    if (!self->watch_wanted_) {
      if (error && error != asio::error::operation_aborted) self->close_after_ = true;
      self->watch_ended_.notify();
    } else if (error) {
      self->close_after_ = true;
      self->gone_.cancel();
    } else {
      self->arm_watch();
    }
  };
  stream_.async_read_some(buffer_.prepare(kReadChunk),
                          asio::bind_cancellation_slot(watch_cancel_.slot(), std::move(on_read)));
}

asio::awaitable<void> HttpConnection::stop_watch() {
  if (!watch_wanted_) co_return;
  watch_wanted_ = false;
  if (watch_pending_) {
    watch_cancel_.emit(asio::cancellation_type::terminal);
    while (watch_pending_) co_await watch_ended_.wait();
  }
}

// ---- Reading ----------------------------------------------------------------------------------

asio::awaitable<bool> HttpConnection::read_more(std::size_t chunk) {
  const auto [error, count] = co_await stream_.async_read_some(buffer_.prepare(chunk), kAwaitTuple);
  buffer_.commit(count);
  co_return !error;
}

asio::awaitable<HttpConnection::ReadOutcome> HttpConnection::refuse(int status,
                                                                    std::string_view why) {
  close_after_ = true;
  unread_input_ = true;
  HttpResponse response = HttpResponse::text(status, std::string{why} + "\n");
  co_await write_response(response, false);
  co_return ReadOutcome::kRefused;
}

asio::awaitable<HttpConnection::ReadOutcome> HttpConnection::refuse_malformed(
    boost::system::error_code error) {
  const int status = status_for(error);
  std::string why = "malformed request: " + error.message();
  if (status == 413) why = "the body is too large";
  if (status == 431) why = "the header is too large";
  co_return co_await refuse(status, why);
}

asio::awaitable<bool> HttpConnection::wait_for_request() {
  if (close_after_ || host_->draining()) co_return false;
  enter(Phase::kIdle, host_->options().idle_timeout);
  const auto [error, count] =
      co_await stream_.async_read_some(buffer_.prepare(kReadChunk), kAwaitTuple);
  buffer_.commit(count);
  co_return !error;
}

bool HttpConnection::take_plain_request(HttpRequest& request) {
  const HttpServerOptions& options = host_->options();
  const auto data = buffer_.data();
  const std::size_t bytes =
      read_plain_request({static_cast<const char*>(data.data()), data.size()},
                         {options.header_bytes_max, options.body_bytes_max}, request);
  if (bytes == 0) return false;
  buffer_.consume(bytes);
  http_1_0_ = false;
  keep_alive_ = true;
  request.remote_address = remote_address_;
  request.is_loopback = is_loopback_;
  request.is_tls = stream_.is_tls();
  return true;
}

asio::awaitable<HttpConnection::ReadOutcome> HttpConnection::read_request(HttpRequest& request) {
  const HttpServerOptions& options = host_->options();
  enter(Phase::kReading, options.header_timeout);
  Incoming incoming;
  auto& parser = incoming.parser;
  parser.eager(true);
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(options.body_bytes_max);
  while (true) {
    boost::system::error_code error;
    buffer_.consume(parser.put(buffer_.data(), error));
    if (error && error != http::error::need_more) {
      co_return co_await refuse_malformed(error);
    }
    if (parser.is_header_done() && !incoming.header_seen) {
      incoming.header_seen = true;
      if (!parser.is_done()) {
        enter(Phase::kReading, options.body_timeout);
        const std::string_view expect = parser.get()[http::field::expect];
        if (equals_ignoring_case(expect, "100-continue") &&
            !co_await write_all("HTTP/1.1 100 Continue\r\n\r\n", {})) {
          co_return ReadOutcome::kClosed;
        }
        enter(Phase::kReading, options.body_timeout);
      }
    }
    if (parser.is_done()) break;
    if (!co_await read_more(incoming.header_seen ? kBodyReadChunk : kReadChunk)) {
      if (timed_out_) co_return co_await refuse(408, "the request did not arrive in time");
      co_return ReadOutcome::kClosed;
    }
  }
  int status = 400;
  std::string why;
  auto converted = to_request(incoming, status, why);
  if (!converted) co_return co_await refuse(status, why);
  request = std::move(*converted);
  co_return ReadOutcome::kRequest;
}

std::optional<HttpRequest> HttpConnection::to_request(Incoming& incoming, int& status,
                                                      std::string& why) {
  auto& message = incoming.parser.get();
  HttpRequest request;
  http_1_0_ = message.version() == 10;
  keep_alive_ = message.keep_alive();
  if (!http_1_0_ && message.version() != 11) {
    status = 505;
    why = "only HTTP/1.0 and HTTP/1.1 are served";
    return std::nullopt;
  }
  request.method = std::string{message.method_string()};
  request.target = std::string{message.target()};
  std::string_view target = request.target;
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const auto path = target.find('/', target.find("//") + 2);
    target = path == std::string_view::npos ? std::string_view{"/"} : target.substr(path);
  }
  const auto question = target.find('?');
  request.path = std::string{target.substr(0, question)};
  if (question != std::string_view::npos) request.query = std::string{target.substr(question + 1)};
  std::size_t hosts = 0;
  request.headers.reserve(16);
  for (const auto& field : message) {
    if (field.name() == http::field::host) ++hosts;
    request.headers.add(std::string{field.name_string()}, std::string{field.value()});
  }
  if (const std::string* coding = request.headers.find("Transfer-Encoding")) {
    // The parser reads a body of any other coding as the next request.
    if (http_1_0_ || request.headers.count("Transfer-Encoding") > 1 ||
        !equals_ignoring_case(trim(*coding), "chunked")) {
      status = 501;
      why = "the only Transfer-Encoding is chunked, in HTTP/1.1";
      return std::nullopt;
    }
  }
  if (hosts > 1 || (hosts == 0 && !http_1_0_)) {
    why = "exactly one Host field is required";
    return std::nullopt;
  }
  if (!request.path.starts_with('/') && request.path != "*") {
    why = "the request target must be a path";
    return std::nullopt;
  }
  request.body = std::move(message.body());
  request.remote_address = remote_address_;
  request.is_loopback = is_loopback_;
  request.is_tls = stream_.is_tls();
  return request;
}

// ---- Writing ----------------------------------------------------------------------------------

std::string HttpConnection::response_head(const HttpResponse& response, bool streaming) const {
  std::string head;
  head.reserve(256);
  head += "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += reason_phrase(response.status);
  head += "\r\nDate: ";
  head += date_now();
  for (const Header& field : response.headers) {
    head += "\r\n";
    head += field.name;
    head += ": ";
    head += field.value;
  }
  if (streaming) {
    head +=
        "\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform"
        "\r\nX-Accel-Buffering: no";
    if (!http_1_0_) head += "\r\nTransfer-Encoding: chunked";
  } else if (may_have_body(response.status)) {
    head += "\r\nContent-Length: ";
    head += std::to_string(response.body.size());
  }
  if (close_after_ || !keep_alive_ || host_->draining() || (streaming && http_1_0_)) {
    head += "\r\nConnection: close";
  } else if (http_1_0_) {
    head += "\r\nConnection: keep-alive";
  }
  head += "\r\n\r\n";
  return head;
}

asio::awaitable<bool> HttpConnection::write_all(std::string head, std::string_view body) {
  if (!stream_.is_open()) co_return false;
  const Phase before = phase_;
  enter(Phase::kWriting, host_->options().write_timeout);
  if (stream_.is_tls() && body.size() <= kTlsJoinBytesMax) {
    // One record instead of two.
    head.append(body);
    body = {};
  }
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head),
                                                  asio::buffer(body.data(), body.size())};
  const auto [error, count] = co_await asio::async_write(stream_, buffers, kAwaitTuple);
  if (phase_ == Phase::kWriting) {
    phase_ = before;
    deadline_ns_.store(0, std::memory_order_relaxed);
  }
  co_return !error && stream_.is_open();
}

asio::awaitable<bool> HttpConnection::write_response(const HttpResponse& response, bool is_head) {
  const bool with_body = !is_head && may_have_body(response.status);
  return write_all(response_head(response, false),
                   with_body ? std::string_view{response.body} : std::string_view{});
}

namespace {

// The text/event-stream format (WHATWG HTML, 9.2), in chunks unless the client speaks HTTP/1.0.
class ConnectionSse final : public SseWriter {
 public:
  ConnectionSse(HttpConnection& connection, bool chunked)
      : connection_(connection), chunked_(chunked) {}

  asio::awaitable<bool> send(std::string_view data, std::string_view event,
                             std::string_view id) override {
    std::string text;
    text.reserve(data.size() + event.size() + id.size() + 32);
    if (!event.empty()) text.append("event: ").append(event).append("\n");
    if (!id.empty()) text.append("id: ").append(id).append("\n");
    while (true) {
      const auto end = data.find('\n');
      text.append("data: ").append(data.substr(0, end)).append("\n");
      if (end == std::string_view::npos) break;
      data.remove_prefix(end + 1);
    }
    text.append("\n");
    co_return co_await send_raw(text);
  }

  asio::awaitable<bool> send_raw(std::string_view text) override {
    if (closed_ || text.empty()) co_return !closed_;
    bool written = false;
    if (chunked_) {
      std::array<char, 20> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), text.size(), 16);
      std::string framed(digits.data(), end.ptr);
      framed.append("\r\n").append(text).append("\r\n");
      written = co_await connection_.write_all(std::move(framed), {});
    } else {
      written = co_await connection_.write_all({}, text);
    }
    if (!written) closed_ = true;
    co_return written;
  }

  asio::awaitable<bool> keep_alive() override { co_return co_await send_raw(": keep-alive\n\n"); }

  asio::awaitable<bool> finish() {
    if (closed() || !chunked_) co_return false;
    co_return co_await connection_.write_all("0\r\n\r\n", {});
  }

  bool closed() const override { return closed_ || connection_.disconnected().cancelled(); }
  CancelToken disconnected() const override { return connection_.disconnected(); }
  CancelToken shutting_down() const override { return connection_.host().shutting_down(); }

 private:
  HttpConnection& connection_;
  const bool chunked_;
  bool closed_ = false;
};

// Outside the coroutine: g++ 12 cannot build nested initializer lists inside one.
void log_failed_handshake(Log& log, const std::string& peer, const std::string& why) {
  log.debug("a TLS handshake failed", {{"peer", peer}, {"why", why}});
}

void log_failure(Log& log, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log.error("an HTTP handler threw", {{"what", error.what()}});
  } catch (...) {
    log.error("an HTTP handler threw something unknown");
  }
}

}  // namespace

asio::awaitable<bool> HttpConnection::write_stream(const HttpResponse& response) {
  if (!co_await write_all(response_head(response, true), {})) co_return false;
  ConnectionSse writer(*this, !http_1_0_);
  enter(Phase::kHandling, std::chrono::milliseconds::zero());
  start_watch();
  std::exception_ptr failure;
  try {
    co_await response.stream(writer);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) log_failure(host_->log(), failure);
  co_await stop_watch();
  co_return co_await writer.finish() && !failure;
}

asio::awaitable<HttpResponse> HttpConnection::handle(HttpRequest& request) {
  enter(Phase::kHandling, std::chrono::milliseconds::zero());
  std::exception_ptr failure;
  HttpResponse response;
  try {
    response = co_await host_->dispatch(std::move(request), *this);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    log_failure(host_->log(), failure);
    response = HttpResponse::text(500, "the server failed to answer this request\n");
  }
  watch_after_ns_.store(0, std::memory_order_relaxed);
  co_await stop_watch();
  co_return response;
}

asio::awaitable<void> HttpConnection::run_websocket(HttpRequest request, HttpResponse response) {
  // WebSockets are served in the clear only: what speaks them here are doubles of services.
  // A client that speaks before the 101 does not follow RFC 6455, and its bytes are in our buffer.
  if (request.method.empty() || buffer_.size() > 0 || !stream_.is_open() || stream_.is_tls()) {
    close_after_ = true;
    HttpResponse refusal = HttpResponse::text(426, "this address serves WebSockets only\n");
    refusal.headers.add("Upgrade", "websocket");
    co_await write_response(refusal, false);
    co_return;
  }
  enter(Phase::kHandling, std::chrono::milliseconds::zero());
  watch_after_ns_.store(0, std::memory_order_relaxed);
  auto accepted =
      co_await accept_websocket(std::move(stream_.socket()), std::move(request),
                                std::move(response.headers), response.websocket_options);
  if (!accepted.ok()) co_return;
  websocket_ = std::move(*accepted);
  if (host_->draining()) websocket_->start_close(1001, "the server is stopping");
  std::exception_ptr failure;
  try {
    co_await response.websocket(websocket_);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) log_failure(host_->log(), failure);
  websocket_->abort();
  close_now();
}

// The handshake has the time of a request's header, from the first byte that is waited for.
asio::awaitable<bool> HttpConnection::open_stream() {
  if (!host_->tls()) co_return true;
  enter(Phase::kIdle, host_->options().header_timeout);
  std::string why;
  const auto opening = co_await stream_.start_tls(host_->tls()->context(), why);
  if (opening == HttpStream::Opening::kReady) co_return true;
  log_failed_handshake(host_->log(), remote_address_, why);
  if (opening == HttpStream::Opening::kPlainHttp) {
    co_await refuse(400, "this port speaks TLS: use https:// instead of http://");
    co_await close_gently();
  } else {
    close_now();
  }
  co_return false;
}

asio::awaitable<void> HttpConnection::run() {
  const auto self = shared_from_this();
  if (!co_await open_stream()) co_return;
  while (true) {
    if (buffer_.size() == 0 && !co_await wait_for_request()) break;
    HttpRequest request;
    if (!take_plain_request(request)) {
      request = {};
      if (co_await read_request(request) != ReadOutcome::kRequest) break;
    }
    const bool is_head = request.method == "HEAD";
    const std::size_t asked_bytes = request.body.size();
    HttpRequest upgrade;  // kept only if it asks for one
    if (is_websocket_upgrade(request)) upgrade = request;
    const HttpResponse response = co_await handle(request);
    if (!keep_alive_ || response.close) close_after_ = true;
    if (response.websocket) {
      co_await run_websocket(std::move(upgrade), response);
      break;
    }
    bool written = false;
    if (response.stream && !is_head) {
      written = co_await write_stream(response);
    } else {
      written = co_await write_response(response, is_head);
    }
    if (!written || close_after_) break;
    if (!response.stream && begin_move(asked_bytes + response.body.size())) {
      enter(Phase::kClosing, std::chrono::milliseconds::zero());
      co_return;
    }
  }
  co_await close_gently();
}

}  // namespace state_engine::net
