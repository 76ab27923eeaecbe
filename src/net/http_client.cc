// Beast's parser, fed by hand: one stream type for TCP and TLS behind two virtual calls, instead of
// every Beast operation twice. Each piece of the body is taken out of the parser as it comes.

#include "net/http_client.h"

#include <algorithm>
#include <array>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/client_stream.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kReadChunk = 16 * 1024;
constexpr std::uint32_t kHeaderBytesMax = 64 * 1024;
constexpr int kInterimAnswersMax = 8;  // 1xx answers before the final one

std::chrono::milliseconds left_until(SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds{1});
}

// The bytes of one connection.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual asio::awaitable<std::pair<boost::system::error_code, std::size_t>> read_some(
      asio::mutable_buffer buffer) = 0;
  virtual asio::awaitable<boost::system::error_code> write_all(std::string_view text) = 0;
  virtual void close() = 0;
};

template <typename Socket>
class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(Socket socket) : socket_(std::move(socket)) {}

  asio::awaitable<std::pair<boost::system::error_code, std::size_t>> read_some(
      asio::mutable_buffer buffer) override {
    const auto [error, count] = co_await socket_.async_read_some(buffer, kAwaitTuple);
    co_return std::pair{error, count};
  }
  asio::awaitable<boost::system::error_code> write_all(std::string_view text) override {
    const auto [error, count] =
        co_await asio::async_write(socket_, asio::buffer(text.data(), text.size()), kAwaitTuple);
    co_return error;
  }
  void close() override {
    boost::system::error_code ignored;  // Closing twice is harmless.
    socket_.lowest_layer().close(ignored);
  }

 private:
  Socket socket_;
};

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 127 &&
           std::string_view{"()<>@,;:\\\"/[]?={}"}.find(c) == std::string::npos;
  });
}

// A line break in a value would let the caller's data write headers of its own.
bool is_field_value(std::string_view text) {
  return text.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

Status check(const HttpClientRequest& request, const Url& url) {
  if (url.is_websocket()) return invalid_argument("an HTTP request needs an http or https URL");
  if (!is_token(request.method)) return invalid_argument("the HTTP method is malformed");
  for (const Header& field : request.headers) {
    if (!is_token(field.name) || !is_field_value(field.value)) {
      return invalid_argument("the HTTP header '" +
                              std::string{is_token(field.name) ? field.name : "?"} +
                              "' is malformed: a line break or another forbidden character");
    }
  }
  return {};
}

std::string request_text(const HttpClientRequest& request, const Url& url) {
  std::string text = request.method + " " + url.target + " HTTP/1.1\r\nHost: " + url.authority() +
                     "\r\nConnection: close\r\n";
  if (!request.headers.find("User-Agent")) text += "User-Agent: state-engine\r\n";
  for (const Header& field : request.headers) {
    text += field.name + ": " + field.value + "\r\n";
  }
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
      request.method == "PATCH") {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  text += "\r\n";
  text += request.body;
  return text;
}

class Exchange final : public HttpResponseStream {
 public:
  Exchange(asio::any_io_executor strand, std::unique_ptr<Transport> transport, Url url,
           const HttpClientRequest& request)
      : strand_(std::move(strand)),
        transport_(std::move(transport)),
        url_(std::move(url)),
        cancel_(request.cancel),
        is_head_(request.method == "HEAD"),
        body_bytes_max_(request.body_bytes_max) {
    stop_ = cancel_.on_cancel([strand = strand_, transport = transport_] {
      asio::post(strand, [transport] { transport->close(); });
    });
  }
  ~Exchange() override { transport_->close(); }

  int status() const override { return status_; }
  const Headers& headers() const override { return headers_; }

  asio::awaitable<Status> send(std::string text, SteadyTime deadline) {
    const DeadlineTimer timer = deadline_in(left_until(deadline));
    const auto error = co_await transport_->write_all(text);
    if (error)
      co_return transport_error(url_, "sending the request", error, timer.expired(), cancel_);
    co_return Status{};
  }

  // Reads until the final answer's header is complete.
  asio::awaitable<Status> read_header(SteadyTime deadline) {
    for (int i = 0; i <= kInterimAnswersMax; ++i) {
      start_parser();
      while (!parser_->is_header_done()) {
        SE_CO_RETURN_IF_ERROR(co_await advance(left_until(deadline)));
      }
      status_ = static_cast<int>(parser_->get().result_int());
      if (status_ >= 200) break;
      if (status_ == 101) {
        co_return Error{ErrorCode::kUnavailable, url_.display() + " switched protocols unasked"};
      }
    }
    for (const auto& field : parser_->get()) {
      headers_.add(std::string{field.name_string()}, std::string{field.value()});
    }
    co_return Status{};
  }

  asio::awaitable<Result<std::string>> read(std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
      std::string& body = parser_->get().body();
      if (!body.empty()) {
        std::string piece = std::move(body);
        body.clear();
        body_bytes_ += piece.size();
        if (body_bytes_ > body_bytes_max_) co_return too_large();
        co_return piece;
      }
      if (parser_->is_done()) co_return std::string{};
      Status advanced = co_await advance(left_until(deadline));
      if (!advanced.ok()) co_return advanced.error();
    }
  }

 private:
  DeadlineTimer deadline_in(std::chrono::milliseconds timeout) {
    return {strand_, timeout, [transport = transport_] { transport->close(); }};
  }

  Error too_large() const {
    return {ErrorCode::kResourceExhausted, url_.display() + " answered more than the " +
                                               std::to_string(body_bytes_max_) + " bytes allowed"};
  }

  void start_parser() {
    parser_.emplace();
    parser_->eager(true);
    parser_->skip(is_head_);
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(body_bytes_max_);
  }

  // Feeds what is buffered to the parser, or what comes next.
  asio::awaitable<Status> advance(std::chrono::milliseconds timeout) {
    boost::system::error_code error;
    bool at_end = false;
    if (buffer_.size() == 0 || wants_more_) {
      const DeadlineTimer timer = deadline_in(timeout);
      const auto [failed, count] = co_await transport_->read_some(buffer_.prepare(kReadChunk));
      buffer_.commit(count);
      // A peer that closes without TLS's own goodbye is common; the parser knows if it was too
      // soon.
      at_end = failed == asio::error::eof || failed == asio::ssl::error::stream_truncated;
      if (failed && !at_end) {
        co_return transport_error(url_, "reading the answer", failed, timer.expired(), cancel_);
      }
      if (timer.expired() || cancel_.cancelled()) {
        co_return transport_error(url_, "reading the answer", failed, timer.expired(), cancel_);
      }
    }
    if (at_end) {
      if (parser_->got_some()) parser_->put_eof(error);
      if (error || !parser_->is_done()) {
        co_return Error{ErrorCode::kUnavailable,
                        url_.display() + " closed the connection before its answer was complete"};
      }
      co_return Status{};
    }
    buffer_.consume(parser_->put(buffer_.data(), error));
    wants_more_ = error == http::error::need_more;
    if (error == http::error::body_limit) co_return too_large();
    if (error && !wants_more_) {
      co_return Error{ErrorCode::kUnavailable,
                      url_.display() + " answered something that is not HTTP: " + error.message()};
    }
    co_return Status{};
  }

  const asio::any_io_executor strand_;
  const std::shared_ptr<Transport> transport_;
  const Url url_;
  const CancelToken cancel_;
  const bool is_head_;
  const std::size_t body_bytes_max_;
  CancelRegistration stop_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  bool wants_more_ = false;
  std::size_t body_bytes_ = 0;
  int status_ = 0;
  Headers headers_;
};

asio::awaitable<Result<std::unique_ptr<Transport>>> connect(Url url, TlsContext tls,
                                                            std::chrono::milliseconds timeout,
                                                            CancelToken cancel) {
  if (url.is_tls()) {
    auto socket = co_await connect_tls(std::move(url), std::move(tls), timeout, cancel);
    if (!socket.ok()) co_return std::move(socket).error();
    co_return std::make_unique<SocketTransport<TlsSocket>>(std::move(*socket));
  }
  auto socket = co_await connect_tcp(std::move(url), timeout, cancel);
  if (!socket.ok()) co_return std::move(socket).error();
  co_return std::make_unique<SocketTransport<TcpSocket>>(std::move(*socket));
}

asio::awaitable<Result<std::unique_ptr<HttpResponseStream>>> start(TlsContext tls,
                                                                   HttpClientRequest request) {
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  auto url = parse_url(request.url);
  if (!url.ok()) co_return std::move(url).error();
  SE_CO_RETURN_IF_ERROR(check(request, *url));
  auto transport = co_await connect(*url, std::move(tls), request.timeout, request.cancel);
  if (!transport.ok()) co_return std::move(transport).error();
  auto exchange = std::make_unique<Exchange>(co_await asio::this_coro::executor,
                                             std::move(*transport), *url, request);
  SE_CO_RETURN_IF_ERROR(co_await exchange->send(request_text(request, *url), deadline));
  SE_CO_RETURN_IF_ERROR(co_await exchange->read_header(deadline));
  co_return std::unique_ptr<HttpResponseStream>(std::move(exchange));
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<HttpResponseStream>>> HttpClient::open(
    HttpClientRequest request) const {
  return start(tls_, std::move(request));
}

asio::awaitable<Result<HttpClientResponse>> HttpClient::request(HttpClientRequest request) const {
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  auto stream = co_await start(tls_, std::move(request));
  if (!stream.ok()) co_return std::move(stream).error();
  HttpClientResponse response;
  response.status = (*stream)->status();
  response.headers = (*stream)->headers();
  while (true) {
    auto piece = co_await (*stream)->read(left_until(deadline));
    if (!piece.ok()) co_return std::move(piece).error();
    if (piece->empty()) break;
    response.body += *piece;
  }
  co_return response;
}

}  // namespace state_engine::net
