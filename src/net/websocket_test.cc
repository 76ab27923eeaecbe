#include <atomic>
#include <future>
#include <optional>

#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "net/http_server.h"
#include "net/tls_server_test.h"
#include "net/websocket_client.h"

namespace state_engine::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;
using Socket = std::shared_ptr<WebSocket>;

// An HttpServer with WebSockets, and clients of it.
class WebSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    route("/echo", [](Socket socket) -> asio::awaitable<void> {
      while (true) {
        auto message = co_await socket->read();
        if (!message.ok()) co_return;
        if (message->text == "bye") {
          co_await socket->close(4007, "as you wish");
          co_return;
        }
        if (!socket->send(std::move(message->text)).ok()) co_return;
      }
    });
    route("/silent", [this](Socket socket) -> asio::awaitable<void> {
      auto message = co_await socket->read();
      while (message.ok()) message = co_await socket->read();
      server_saw_ = socket->closed().code;
    });
    route("/drop", [](Socket socket) -> asio::awaitable<void> {
      socket->abort();
      co_return;
    });
    server_->route("/denied",
                   sync_handler([](const HttpRequest&) { return HttpResponse::text(403, "no"); }));
    ASSERT_TRUE(server_->listen("127.0.0.1", 0).ok());
  }
  void TearDown() override {
    if (server_) runtime_.run_blocking(server_->shutdown(2s));
  }

  void route(std::string path, WebSocketBody body) {
    server_->route(std::move(path), sync_handler([body](const HttpRequest& request) {
                     HttpResponse response;
                     response.websocket = body;
                     if (request.headers.get("Sec-WebSocket-Protocol") == "known") {
                       response.headers.add("Sec-WebSocket-Protocol", "known");
                     }
                     if (request.headers.get("X-Given") == "yes") {
                       response.headers.add("X-Taken", "yes");
                     }
                     return response;
                   }));
  }

  WebSocketRequest request(std::string_view path) const {
    WebSocketRequest out;
    out.url = "ws://127.0.0.1:" + std::to_string(server_->port()) + std::string{path};
    return out;
  }

  using Talk = std::function<asio::awaitable<void>(Socket socket)>;

  // Connects, runs `talk`; returns why connecting failed.
  Status connect(WebSocketRequest what, Talk talk, const TlsOptions& tls = {}) {
    auto context = TlsContext::create(tls);
    EXPECT_TRUE(context.ok());
    Status out;
    auto task = [](WebSocketRequest one, TlsContext trust, Talk& then,
                   Status& status) -> asio::awaitable<void> {
      auto socket = co_await connect_websocket(std::move(one), std::move(trust));
      if (!socket.ok()) {
        status = socket.error();
      } else {
        co_await then(*socket);
        (*socket)->abort();
      }
    };
    runtime_.run_blocking(task(std::move(what), *context, talk, out));
    return out;
  }

  Error connect_error(WebSocketRequest what) {
    const Status status = connect(std::move(what), [](Socket) -> asio::awaitable<void> {
      ADD_FAILURE() << "connected";
      co_return;
    });
    return status.ok() ? Error{} : status.error();
  }

  std::atomic<int> server_saw_{0};
  NullLog log_;
  IoRuntime runtime_{2};
  std::unique_ptr<HttpServer> server_ =
      std::make_unique<HttpServer>(runtime_, HttpServerOptions{}, log_);
};

TEST_F(WebSocketTest, EchoesInOrder) {
  auto what = request("/echo");
  what.options.quick_ack = true;
  const Status status = connect(what, [](Socket socket) -> asio::awaitable<void> {
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(socket->send(std::to_string(i)).ok());
    EXPECT_TRUE((co_await socket->write(std::string(100'000, 'x'))).ok());
    for (int i = 0; i < 200; ++i) {
      auto message = co_await socket->read(10s);
      EXPECT_TRUE(message.ok());
      if (!message.ok()) co_return;
      EXPECT_EQ(message->text, std::to_string(i));
      EXPECT_FALSE(message->binary);
    }
    auto long_one = co_await socket->read(10s);
    EXPECT_TRUE(long_one.ok());
    EXPECT_EQ(long_one->text.size(), 100'000U);
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST_F(WebSocketTest, TellsThePeersCloseCode) {
  const Status status = connect(request("/echo"), [](Socket socket) -> asio::awaitable<void> {
    EXPECT_TRUE(socket->send("bye").ok());
    auto message = co_await socket->read(10s);
    EXPECT_FALSE(message.ok());
    EXPECT_FALSE(socket->is_open());
    EXPECT_EQ(socket->closed().code, 4007);
    EXPECT_EQ(socket->closed().reason, "as you wish");
    EXPECT_EQ(socket->send("more").error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE((co_await socket->read()).ok());
    EXPECT_FALSE((co_await socket->write("more")).ok());
  });
  EXPECT_TRUE(status.ok());
}

TEST_F(WebSocketTest, ClosesWithACodeOfItsOwn) {
  const Status status = connect(request("/silent"), [](Socket socket) -> asio::awaitable<void> {
    co_await socket->close(4100, "done");
    EXPECT_FALSE(socket->is_open());
  });
  EXPECT_TRUE(status.ok());
  runtime_.run_blocking(server_->shutdown(2s));  // waits for the handler
  server_.reset();
  EXPECT_EQ(server_saw_, 4100);
}

TEST_F(WebSocketTest, ADroppedConnectionIs1006) {
  const Status status = connect(request("/drop"), [](Socket socket) -> asio::awaitable<void> {
    EXPECT_FALSE((co_await socket->read(10s)).ok());
    EXPECT_EQ(socket->closed().code, 1006);
  });
  EXPECT_TRUE(status.ok());
}

TEST_F(WebSocketTest, AReadHasADeadline) {
  const Status status = connect(request("/silent"), [](Socket socket) -> asio::awaitable<void> {
    auto message = co_await socket->read(50ms);
    EXPECT_FALSE(message.ok());
    EXPECT_EQ(message.error().code, ErrorCode::kDeadlineExceeded);
    EXPECT_FALSE(socket->is_open());
  });
  EXPECT_TRUE(status.ok());
}

TEST_F(WebSocketTest, AMessageOverTheLimitEndsTheConnection) {
  auto what = request("/echo");
  what.options.message_bytes_max = 1000;
  const Status status = connect(what, [](Socket socket) -> asio::awaitable<void> {
    EXPECT_TRUE(socket->send(std::string(1001, 'x')).ok());
    EXPECT_FALSE((co_await socket->read(10s)).ok());
    EXPECT_EQ(socket->closed().code, 1009);
  });
  EXPECT_TRUE(status.ok());
}

TEST_F(WebSocketTest, AFullQueueRefuses) {
  auto what = request("/silent");
  what.options.queue_bytes_max = 1000;
  const Status status = connect(what, [](Socket socket) -> asio::awaitable<void> {
    EXPECT_TRUE(socket->send(std::string(900, 'x')).ok());
    EXPECT_EQ(socket->send(std::string(900, 'x')).error().code, ErrorCode::kResourceExhausted);
    co_return;
  });
  EXPECT_TRUE(status.ok());
}

TEST_F(WebSocketTest, AgreesOnASubprotocolOrRefuses) {
  auto what = request("/echo");
  what.subprotocol = "known";
  const Status status = connect(what, [](Socket socket) -> asio::awaitable<void> {
    EXPECT_EQ(socket->subprotocol(), "known");
    co_return;
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
  what.subprotocol = "other";
  EXPECT_EQ(connect_error(what).code, ErrorCode::kFailedPrecondition);
}

TEST_F(WebSocketTest, SaysWhyItCouldNotConnect) {
  EXPECT_EQ(connect_error(request("/denied")).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(connect_error(request("/nothing")).code, ErrorCode::kUnavailable);
  WebSocketRequest what;
  what.url = "http://127.0.0.1:1/";
  EXPECT_EQ(connect_error(what).code, ErrorCode::kInvalidArgument);
}

TEST_F(WebSocketTest, AServerThatNeverAnswersIsGivenUp) {
  std::promise<void> done;
  const OneConnectionServer server([&done](tcp::socket) { done.get_future().wait(); });
  WebSocketRequest what;
  what.url = "ws://127.0.0.1:" + std::to_string(server.port()) + "/";
  what.options.connect_timeout = 50ms;
  EXPECT_EQ(connect_error(what).code, ErrorCode::kDeadlineExceeded);
  done.set_value();
}

TEST_F(WebSocketTest, AHangingPeerIsNoticedByPings) {
  std::promise<void> done;
  const OneConnectionServer server([&done](tcp::socket socket) {
    boost::beast::websocket::stream<tcp::socket> stream(std::move(socket));
    boost::system::error_code ignored;
    stream.accept(ignored);
    done.get_future().wait();  // No read: no pong.
  });
  WebSocketRequest what;
  what.url = "ws://127.0.0.1:" + std::to_string(server.port()) + "/";
  what.options.idle_timeout = 100ms;
  const Status status = connect(what, [](Socket socket) -> asio::awaitable<void> {
    EXPECT_FALSE((co_await socket->read(10s)).ok());
    EXPECT_EQ(socket->closed().code, 1006);
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
  done.set_value();
}

TEST_F(WebSocketTest, AStoppingServerSaysGoodbye) {
  auto stop = [this] { runtime_.run_blocking(server_->shutdown(2s)); };
  std::thread stopper;
  const Status status =
      connect(request("/silent"), [&stopper, stop](Socket socket) -> asio::awaitable<void> {
        stopper = std::thread(stop);
        EXPECT_FALSE((co_await socket->read(10s)).ok());
        EXPECT_EQ(socket->closed().code, 1001);
      });
  EXPECT_TRUE(status.ok());
  if (stopper.joinable()) stopper.join();
  server_.reset();
}

TEST_F(WebSocketTest, APlainRequestIsAsked426) {
  auto context = TlsContext::create({});
  ASSERT_TRUE(context.ok());
  OneConnectionServer unused([](tcp::socket) {});
  tcp::iostream stream("127.0.0.1", std::to_string(server_->port()));
  stream << "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n" << std::flush;
  std::string line;
  std::getline(stream, line);
  EXPECT_NE(line.find("426"), std::string::npos) << line;
}

TEST_F(WebSocketTest, SpeaksTls) {
  const TestCertificate certificate = make_certificate("localhost");
  const OneConnectionServer server([&certificate](tcp::socket socket) {
    serve_tls(std::move(socket), certificate, [](OneConnectionServer::Tls& tls) {
      boost::beast::websocket::stream<OneConnectionServer::Tls&> stream(tls);
      boost::system::error_code error;
      stream.accept(error);
      boost::beast::flat_buffer buffer;
      stream.read(buffer, error);
      if (!error) stream.write(buffer.data(), error);
      stream.close(boost::beast::websocket::close_code::normal, error);
    });
  });
  WebSocketRequest what;
  what.url = "wss://localhost:" + std::to_string(server.port()) + "/";
  TlsOptions careless;
  careless.verify = false;
  const Status status = connect(
      what,
      [](Socket socket) -> asio::awaitable<void> {
        EXPECT_TRUE(socket->send("over TLS").ok());
        auto message = co_await socket->read(10s);
        EXPECT_TRUE(message.ok());
        EXPECT_EQ(message.ok() ? message->text : message.error().message, "over TLS");
        EXPECT_FALSE((co_await socket->read(10s)).ok());
        EXPECT_EQ(socket->closed().code, 1000);
      },
      careless);
  EXPECT_TRUE(status.ok()) << status.error().message;
}

}  // namespace
}  // namespace state_engine::net
