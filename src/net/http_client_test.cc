#include "net/http_client.h"

#include <atomic>
#include <filesystem>
#include <fstream>

#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "net/http_server.h"
#include "net/tls_server_test.h"

namespace state_engine::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

class HttpClientTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.route("/echo", sync_handler([](const HttpRequest& request) {
                    HttpResponse response = HttpResponse::text(
                        201, request.method + " " + request.query + " " + request.body);
                    response.headers.add("X-Seen", std::string{request.headers.get("X-Given")});
                    return response;
                  }));
    server_.route("/stream", sync_handler([](const HttpRequest&) {
                    HttpResponse response;
                    response.stream = [](SseWriter& writer) -> asio::awaitable<void> {
                      for (const char* word : {"one", "two", "three"}) {
                        if (!co_await writer.send(word)) co_return;
                      }
                    };
                    return response;
                  }));
    server_.route("/never",
                  [this](HttpRequest, HttpExchange& exchange) -> asio::awaitable<HttpResponse> {
                    asio::steady_timer timer(co_await asio::this_coro::executor, 20s);
                    waiting_ = true;
                    const auto gone = exchange.disconnected().on_cancel([&timer, &exchange] {
                      asio::post(exchange.executor(), [&timer] { timer.cancel(); });
                    });
                    boost::system::error_code ignored;
                    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
                    co_return HttpResponse::text(200, "late");
                  });
    ASSERT_TRUE(server_.listen("127.0.0.1", 0).ok());
  }
  void TearDown() override { runtime_.run_blocking(server_.shutdown(2s)); }

  HttpClient client(TlsOptions tls = {}) {
    auto context = TlsContext::create(tls);
    EXPECT_TRUE(context.ok());
    return HttpClient(*context);
  }

  std::string url(std::string_view path) const { return url_at(server_.port(), path); }
  static std::string url_at(std::uint16_t port, std::string_view path) {
    return "http://127.0.0.1:" + std::to_string(port) + std::string{path};
  }

  Result<HttpClientResponse> request(HttpClientRequest request, TlsOptions tls = {}) {
    std::optional<Result<HttpClientResponse>> out;
    auto task = [](HttpClient one, HttpClientRequest what,
                   std::optional<Result<HttpClientResponse>>& result) -> asio::awaitable<void> {
      result = co_await one.request(std::move(what));
    };
    runtime_.run_blocking(task(client(std::move(tls)), std::move(request), out));
    return std::move(*out);
  }

  // What a server that answers `text` to anything looks like to the client.
  Result<HttpClientResponse> answer_of(std::string text, HttpClientRequest what = {}) {
    OneConnectionServer server([text](tcp::socket socket) {
      std::string got;
      boost::system::error_code ignored;
      asio::read_until(socket, asio::dynamic_buffer(got), "\r\n\r\n", ignored);
      asio::write(socket, asio::buffer(text), ignored);
    });
    what.url = url_at(server.port(), "/x");
    what.timeout = 10s;
    return request(std::move(what));
  }

  std::atomic<bool> waiting_{false};
  NullLog log_;
  IoRuntime runtime_{2};
  HttpServer server_{runtime_, {}, log_};
};

TEST_F(HttpClientTest, SendsARequestAndReadsTheAnswer) {
  HttpClientRequest one;
  one.method = "POST";
  one.url = url("/echo?a=1");
  one.headers.add("X-Given", "yes");
  one.body = "hello";
  const auto response = request(one);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "POST a=1 hello");
  EXPECT_EQ(response->headers.get("x-seen"), "yes");
}

TEST_F(HttpClientTest, HandsOverAStreamPieceByPiece) {
  std::string all;
  auto task = [](HttpClient one, std::string where, std::string& out) -> asio::awaitable<void> {
    HttpClientRequest what;
    what.url = where;
    auto stream = co_await one.open(what);
    EXPECT_TRUE(stream.ok());
    EXPECT_EQ((*stream)->status(), 200);
    EXPECT_EQ((*stream)->headers().get("content-type"), "text/event-stream");
    while (true) {
      auto piece = co_await (*stream)->read(10s);
      EXPECT_TRUE(piece.ok());
      if (!piece.ok() || piece->empty()) break;
      out += *piece;
    }
  };
  runtime_.run_blocking(task(client(), url("/stream"), all));
  EXPECT_EQ(all, "data: one\n\ndata: two\n\ndata: three\n\n");
}

TEST_F(HttpClientTest, GivesUpAtItsDeadline) {
  HttpClientRequest one;
  one.url = url("/never?token=secret");
  one.timeout = 50ms;
  const auto response = request(one);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(response.error().message.find("secret"), std::string::npos);
}

TEST_F(HttpClientTest, StopsWhenCancelled) {
  CancelSource source;
  HttpClientRequest one;
  one.url = url("/never");
  one.cancel = source.token();
  std::thread canceller([this, &source] {
    while (!waiting_) std::this_thread::yield();
    source.cancel();
  });
  const auto response = request(one);
  canceller.join();
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kCancelled);
}

TEST_F(HttpClientTest, SaysThatNobodyListens) {
  std::uint16_t port = 0;
  {
    const OneConnectionServer gone([](tcp::socket) {});
    port = gone.port();
  }
  HttpClientRequest one;
  one.url = url_at(port, "/");
  const auto response = request(one);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
}

TEST_F(HttpClientTest, RefusesHeadersThatWouldSmuggleOthers) {
  HttpClientRequest one;
  one.url = url("/echo");
  one.headers.add("X-Given", "a\r\nX-Evil: 1");
  EXPECT_EQ(request(one).error().code, ErrorCode::kInvalidArgument);
  one.headers = {{"X Evil", "1"}};
  EXPECT_EQ(request(one).error().code, ErrorCode::kInvalidArgument);
  one.headers = {};
  one.method = "GET /\r\n";
  EXPECT_EQ(request(one).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(HttpClientTest, BoundsTheAnswer) {
  HttpClientRequest small;
  small.body_bytes_max = 10;
  EXPECT_EQ(
      answer_of("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890", small).error().code,
      ErrorCode::kResourceExhausted);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n0").error().code,
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n",
                      small)
                .error()
                .code,
            ErrorCode::kResourceExhausted);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\n\r\n01234567890", small).error().code,
            ErrorCode::kResourceExhausted);
}

TEST_F(HttpClientTest, TellsAShortAnswerFromAWholeOne) {
  const auto until_end = answer_of("HTTP/1.1 200 OK\r\n\r\nto the end");
  ASSERT_TRUE(until_end.ok()) << until_end.error().message;
  EXPECT_EQ(until_end->body, "to the end");
  EXPECT_FALSE(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").ok());
  EXPECT_FALSE(answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").ok());
  EXPECT_FALSE(answer_of("HTTP/1.1 200").ok());
  EXPECT_FALSE(answer_of("").ok());
  EXPECT_FALSE(answer_of("220 ftp.example ready\r\n\r\n").ok());
}

TEST_F(HttpClientTest, PassesOverInterimAnswers) {
  const auto response = answer_of(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n");
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 204);
  EXPECT_EQ(response->headers.get("X-A"), "b");
  EXPECT_EQ(response->headers.count("Link"), 0U);
  EXPECT_FALSE(answer_of("HTTP/1.1 101 Switching Protocols\r\n\r\n").ok());
}

class HttpClientTlsTest : public HttpClientTest {
 protected:
  Result<HttpClientResponse> ask(const std::string& host, const TlsOptions& options) {
    OneConnectionServer server([this](tcp::socket socket) {
      serve_tls(std::move(socket), certificate_, [](OneConnectionServer::Tls& stream) {
        std::string got;
        boost::system::error_code ignored;
        asio::read_until(stream, asio::dynamic_buffer(got), "\r\n\r\n", ignored);
        asio::write(stream, asio::buffer(std::string{"HTTP/1.1 200 OK\r\n\r\nsecret"}), ignored);
        stream.shutdown(ignored);
      });
    });
    HttpClientRequest one;
    one.url = "https://" + host + ":" + std::to_string(server.port()) + "/";
    one.timeout = 10s;
    return request(one, options);
  }

  TestCertificate certificate_ = make_certificate("localhost");
};

TEST_F(HttpClientTlsTest, TrustsTheCaFileForItsHostOnly) {
  const auto file =
      std::filesystem::temp_directory_path() / ("se-ca-" + std::to_string(::getpid()) + ".pem");
  std::ofstream(file) << certificate_.certificate_pem;
  TlsOptions trusting;
  trusting.ca_file = file.string();
  const auto good = ask("localhost", trusting);
  const auto other_name = ask("127.0.0.1", trusting);
  std::filesystem::remove(file);
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_EQ(good->body, "secret");
  ASSERT_FALSE(other_name.ok());
  EXPECT_EQ(other_name.error().code, ErrorCode::kFailedPrecondition) << other_name.error().message;
}

TEST_F(HttpClientTlsTest, RefusesAnUnknownAuthorityUnlessTold) {
  const auto refused = ask("localhost", {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition) << refused.error().message;
  TlsOptions careless;
  careless.verify = false;
  EXPECT_TRUE(ask("localhost", careless).ok());
}

TEST_F(HttpClientTlsTest, SaysThatACaFileIsMissing) {
  TlsOptions options;
  options.ca_file = "/nonexistent/ca.pem";
  const auto context = TlsContext::create(options);
  ASSERT_FALSE(context.ok());
  EXPECT_NE(context.error().message.find("/nonexistent/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::net
