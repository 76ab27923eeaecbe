#include "net/http_server.h"

#include <atomic>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include "net/blocking_socket.h"
#include "net/wake_signal.h"

namespace state_engine::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

BlockingSocket::Deadline soon() { return std::chrono::steady_clock::now() + 10s; }

// A server with a few routes, and raw connections to it.
class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    server_ = std::make_unique<HttpServer>(runtime_, options, log_);
    server_->route("/echo", sync_handler([](const HttpRequest& request) {
                     return HttpResponse::text(200, request.method + ":" + request.body);
                   }));
    server_->route("/get", "GET, HEAD", sync_handler([](const HttpRequest&) {
                     return HttpResponse::text(200, "hello");
                   }));
    server_->route("/throw", sync_handler([](const HttpRequest&) -> HttpResponse {
                     throw std::runtime_error("planted");
                   }));
    server_->route("/where", sync_handler([](const HttpRequest&) {
                     std::ostringstream text;
                     text << "thread " << std::this_thread::get_id() << '!';
                     return HttpResponse::text(200, text.str());
                   }));
    server_->route("/wait", [this](HttpRequest, HttpExchange& exchange) { return wait(exchange); });
    server_->route("/stream", sync_handler([this](const HttpRequest&) {
                     HttpResponse response;
                     response.stream = [this](SseWriter& writer) { return stream(writer); };
                     return response;
                   }));
    ASSERT_TRUE(server_->listen("127.0.0.1", 0).ok());
  }

  void TearDown() override {
    if (server_) runtime_.run_blocking(server_->shutdown(2s));
  }

  // Answers when the client is gone, or after a long time.
  asio::awaitable<HttpResponse> wait(HttpExchange& exchange) {
    const WakeSignal wake(co_await asio::this_coro::executor);
    const auto gone = exchange.disconnected().on_cancel([wake] { wake.notify(); });
    waiting_ = true;
    if (co_await wake.wait(20s)) departures_ += 1;
    co_return HttpResponse::text(200, "waited");
  }

  asio::awaitable<void> stream(SseWriter& writer) {
    const WakeSignal wake(co_await asio::this_coro::executor);
    const auto gone = writer.disconnected().on_cancel([wake] { wake.notify(); });
    const auto stop = writer.shutting_down().on_cancel([wake] { wake.notify(); });
    bool open = co_await writer.send("first\nsecond", "greeting", "1");
    waiting_ = true;
    if (open) co_await wake.wait(20s);
    if (writer.shutting_down().cancelled()) co_await writer.send("bye");
    departures_ += 1;
  }

  BlockingSocket connect() {
    auto socket = BlockingSocket::connect_tcp("127.0.0.1", std::to_string(server_->port()), soon());
    EXPECT_TRUE(socket.ok());
    return std::move(*socket);
  }

  // Reads until `mark` came or the connection ended.
  static std::string read_until(BlockingSocket& socket, std::string_view mark) {
    std::string all;
    while (mark.empty() || all.find(mark) == std::string::npos) {
      auto bytes = socket.read_some(soon());
      if (!bytes.ok() || bytes->empty()) break;
      all += *bytes;
    }
    return all;
  }

  std::string exchange(std::string_view text, std::string_view mark = {}) {
    BlockingSocket socket = connect();
    EXPECT_TRUE(socket.write_all(text, soon()).ok());
    return read_until(socket, mark);
  }

  // The thread that serves a connection, by an exchange over it.
  static std::string thread_of(BlockingSocket& socket) {
    EXPECT_TRUE(socket.write_all("GET /where HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
    const std::string answer = read_until(socket, "!");
    const auto begin = answer.find("thread ");
    EXPECT_NE(begin, std::string::npos) << answer;
    return begin == std::string::npos ? "" : answer.substr(begin);
  }

  static std::set<std::string> threads_of(std::vector<BlockingSocket>& sockets) {
    std::set<std::string> threads;
    for (BlockingSocket& socket : sockets) threads.insert(thread_of(socket));
    return threads;
  }

  static void exchange_small(BlockingSocket& socket, int count) {
    for (int i = 0; i < count; ++i) ASSERT_NE(thread_of(socket), "");
  }

  static void exchange_large(BlockingSocket& socket) {
    const std::string body(20'000, 'x');
    ASSERT_TRUE(
        socket
            .write_all("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + body,
                       soon())
            .ok());
    ASSERT_NE(read_until(socket, "POST:" + body).find("POST:" + body), std::string::npos);
  }

  template <typename Condition>
  static bool eventually(Condition condition) {
    for (const auto end = soon(); std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  NullLog log_;
  std::atomic<bool> waiting_{false};
  std::atomic<int> departures_{0};
  IoRuntime runtime_{2};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  const std::string answer = exchange(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
      "GET /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto one = answer.find("POST:one");
  const auto two = answer.find("POST:two");
  const auto three = answer.find("hello");
  ASSERT_NE(three, std::string::npos) << answer;
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
}

TEST_F(HttpServerTest, HeadAndOptionsAndWrongMethodsAnswerWithoutTheHandler) {
  start();
  const std::string head = exchange("HEAD /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 5"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  const std::string options =
      exchange("OPTIONS /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(options.starts_with("HTTP/1.1 204"));
  EXPECT_NE(options.find("Allow: GET, HEAD"), std::string::npos);
  const std::string put = exchange("PUT /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(put.starts_with("HTTP/1.1 405"));
}

TEST_F(HttpServerTest, RefusesWhatIsMalformedOrTooLarge) {
  start();
  const std::string big_head = "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(20'000, 'a');
  const std::pair<std::string, std::string_view> cases[] = {
      {"nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"GET /get HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
      {"GET /get HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "HTTP/1.1 501"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", "HTTP/1.1 501"},
      {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", "HTTP/1.1 413"},
      {big_head + "\r\n\r\n", "HTTP/1.1 431"},
      {"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404"},
  };
  for (const auto& [text, status] : cases) {
    EXPECT_TRUE(exchange(text).starts_with(status)) << text.substr(0, 120);
  }
}

TEST_F(HttpServerTest, LateHeadersGet408AndIdleConnectionsAreClosed) {
  HttpServerOptions options;
  options.header_timeout = 60ms;
  options.idle_timeout = 60ms;
  start(options);
  EXPECT_TRUE(exchange("GET /get HTTP/1.1\r\nHo").starts_with("HTTP/1.1 408"));
  EXPECT_EQ(exchange(""), "");
}

TEST_F(HttpServerTest, KeepsIdleConnectionsLongerThanProxiesDo) {
  // Common proxies and load balancers reuse a connection for up to 75 seconds.
  EXPECT_GT(HttpServerOptions{}.idle_timeout, 75s);
}

TEST_F(HttpServerTest, ThrowingHandlerIs500AndTheConnectionGoesOn) {
  start();
  const std::string answer = exchange(
      "GET /throw HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500"));
  EXPECT_EQ(answer.find("planted"), std::string::npos);
  EXPECT_NE(answer.find("hello"), std::string::npos);
}

TEST_F(HttpServerTest, DepartureOfAClientReachesItsHandler) {
  start();
  {
    BlockingSocket socket = connect();
    ASSERT_TRUE(socket.write_all("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
    ASSERT_TRUE(eventually([&] { return waiting_.load(); }));
  }
  EXPECT_TRUE(eventually([&] { return departures_ == 1; }));
  EXPECT_TRUE(eventually([&] { return server_->open_connections() == 0; }));
}

TEST_F(HttpServerTest, StreamsEventsAndSaysGoodbyeAtShutdown) {
  start();
  BlockingSocket socket = connect();
  ASSERT_TRUE(socket.write_all("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
  const std::string first = read_until(socket, "second\n\n");
  EXPECT_NE(first.find("text/event-stream"), std::string::npos);
  EXPECT_NE(first.find("event: greeting\nid: 1\ndata: first\ndata: second\n\n"), std::string::npos);
  runtime_.run_blocking(server_->shutdown(2s));
  EXPECT_NE(read_until(socket, {}).find("data: bye\n\n"), std::string::npos);
  EXPECT_EQ(server_->open_connections(), 0U);
}

TEST_F(HttpServerTest, ShutdownDoesNotWaitForeverForAHandler) {
  start();
  BlockingSocket socket = connect();
  ASSERT_TRUE(socket.write_all("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
  ASSERT_TRUE(eventually([&] { return waiting_.load(); }));
  const auto before = std::chrono::steady_clock::now();
  runtime_.run_blocking(server_->shutdown(50ms));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  EXPECT_EQ(departures_, 1);
}

TEST_F(HttpServerTest, TakenPortIsNamedWithAWayOut) {
  start();
  HttpServer second(runtime_, {}, log_);
  const Status status = second.listen("127.0.0.1", server_->port());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(status.error().message.find(std::to_string(server_->port())), std::string::npos);
  EXPECT_NE(status.error().message.find("--listen"), std::string::npos);
}

TEST_F(HttpServerTest, ConnectionsOverTheLimitAreRefusedPolitely) {
  HttpServerOptions options;
  options.connections_max = 1;
  start(options);
  BlockingSocket first = connect();
  ASSERT_TRUE(first.write_all("GET /get HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
  ASSERT_NE(read_until(first, "hello").find("hello"), std::string::npos);
  EXPECT_TRUE(exchange("").starts_with("HTTP/1.1 503"));
}

TEST_F(HttpServerTest, SmallExchangesShareHalfOfTheThreadsAndLargeOnesUseAll) {
  start();
  std::vector<BlockingSocket> sockets;
  for (int i = 0; i < 4; ++i) sockets.push_back(connect());
  EXPECT_EQ(threads_of(sockets).size(), 2U);
  for (int round = 0; round < 3; ++round) {
    for (BlockingSocket& socket : sockets) exchange_small(socket, 70);
    EXPECT_EQ(threads_of(sockets).size(), 1U);
    for (BlockingSocket& socket : sockets) exchange_large(socket);
    EXPECT_EQ(threads_of(sockets).size(), 2U);
  }
  EXPECT_EQ(server_->open_connections(), 4U);
  sockets.clear();
  EXPECT_TRUE(eventually([&] { return server_->open_connections() == 0; }));
}

// The next requests are sent as soon as the last answer is there: while the connection moves.
TEST_F(HttpServerTest, AConnectionThatMovesLosesNoPipelinedRequest) {
  start();
  std::string requests;
  std::string bodies;
  for (int i = 100; i < 180; ++i) {
    const std::string number = std::to_string(i);
    requests += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n" + number;
    bodies += "POST:" + number;
  }
  std::vector<BlockingSocket> sockets;  // one on each thread to begin with, so that one must move
  for (int i = 0; i < 2; ++i) sockets.push_back(connect());
  for (int round = 0; round < 20; ++round) {
    for (BlockingSocket& socket : sockets) {
      ASSERT_TRUE(socket.write_all(requests, soon()).ok());
      const std::string answers = read_until(socket, "POST:179");
      std::string found;
      for (std::size_t at = 0; (at = answers.find("POST:", at)) != std::string::npos; at += 5) {
        found += answers.substr(at, 8);
      }
      EXPECT_EQ(found, bodies);
    }
    EXPECT_EQ(threads_of(sockets).size(), 1U);
    for (BlockingSocket& socket : sockets) exchange_large(socket);
    EXPECT_EQ(threads_of(sockets).size(), 2U);
  }
}

TEST_F(HttpServerTest, AShutdownReachesConnectionsThatMove) {
  start();
  std::atomic<int> moves{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&, socket = connect()]() mutable {
      const std::string large = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" +
                                std::string(20'000, 'x');
      const std::string echoed = "POST:" + std::string(20'000, 'x');
      while (true) {
        for (int small = 0; small < 66; ++small) {
          if (!socket.write_all("GET /get HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok()) return;
          if (read_until(socket, "hello").find("hello") == std::string::npos) return;
        }
        if (!socket.write_all(large, soon()).ok()) return;
        if (read_until(socket, echoed).find(echoed) == std::string::npos) return;
        moves += 2;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return moves > 40; }));
  const auto before = std::chrono::steady_clock::now();
  runtime_.run_blocking(server_->shutdown(5s));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 4s) << "one was not told";
  EXPECT_EQ(server_->open_connections(), 0U);
  for (std::thread& client : clients) client.join();
}

}  // namespace
}  // namespace state_engine::net
