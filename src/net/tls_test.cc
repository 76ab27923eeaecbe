// TLS of HttpServer against our own client, with certificates made on the spot.

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "net/blocking_socket.h"
#include "net/http_server.h"
#include "net/tls_identity.h"
#include "net/wake_signal.h"

namespace state_engine::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

BlockingSocket::Deadline soon() { return std::chrono::steady_clock::now() + 10s; }

class TlsTest : public testing::Test {
 protected:
  TlsTest() { std::filesystem::create_directories(home_); }

  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "missing openssl; ./dev test installs it";
    }
    make("one", "DNS:localhost,IP:127.0.0.1");
  }

  void TearDown() override {
    if (server_) runtime_.run_blocking(server_->shutdown(2s));
    std::filesystem::remove_all(home_);
  }

  std::string file(const std::string& name) const { return home_ + "/" + name; }
  TlsFiles files(const std::string& name) const {
    return {file(name + ".crt"), file(name + ".key")};
  }

  // Makes NAME.crt and NAME.key.
  void make(const std::string& name, const std::string& alt_names) const {
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=" +
        name + " -addext subjectAltName=" + alt_names + " -keyout " + file(name + ".key") +
        " -out " + file(name + ".crt") + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
  }

  void start(HttpServerOptions options = {}) {
    auto identity = TlsIdentity::open(files("one"));
    ASSERT_TRUE(identity.ok());
    identity_ = *identity;
    server_ = std::make_unique<HttpServer>(runtime_, options, log_);
    server_->use_tls(identity_);
    server_->route("/echo", sync_handler([](const HttpRequest& request) {
                     return HttpResponse::text(200,
                                               (request.is_tls ? "tls:" : "plain:") + request.body);
                   }));
    server_->route("/stream", sync_handler([this](const HttpRequest&) {
                     HttpResponse response;
                     response.stream = [this](SseWriter& writer) { return stream(writer); };
                     return response;
                   }));
    ASSERT_TRUE(server_->listen("127.0.0.1", 0).ok());
  }

  asio::awaitable<void> stream(SseWriter& writer) {
    const WakeSignal wake(co_await asio::this_coro::executor);
    const auto gone = writer.disconnected().on_cancel([wake] { wake.notify(); });
    const auto stop = writer.shutting_down().on_cancel([wake] { wake.notify(); });
    bool open = co_await writer.send("first");
    waiting_ = true;
    if (open) co_await wake.wait(20s);
    if (writer.shutting_down().cancelled()) co_await writer.send("bye");
    departures_ += 1;
  }

  BlockingSocket connect_plain() const {
    auto socket = BlockingSocket::connect_tcp("127.0.0.1", std::to_string(server_->port()), soon());
    EXPECT_TRUE(socket.ok());
    return std::move(*socket);
  }

  BlockingSocket connect(const std::string& ca = "one") const {
    BlockingSocket socket = connect_plain();
    const Status status = socket.start_tls("localhost", file(ca + ".crt"), soon());
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    return socket;
  }

  static std::string read_until(BlockingSocket& socket, std::string_view mark) {
    std::string all;
    while (mark.empty() || all.find(mark) == std::string::npos) {
      auto bytes = socket.read_some(soon());
      if (!bytes.ok() || bytes->empty()) break;
      all += *bytes;
    }
    return all;
  }

  template <typename Condition>
  static bool eventually(Condition condition) {
    for (const auto end = soon(); std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  const std::string home_ = testing::TempDir() + "tls-" + std::to_string(::getpid());
  NullLog log_;
  std::atomic<bool> waiting_{false};
  std::atomic<int> departures_{0};
  IoRuntime runtime_{2};
  std::shared_ptr<TlsIdentity> identity_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsTest, AnswersPipelinedRequestsAndBigBodies) {
  start();
  BlockingSocket socket = connect();
  const std::string big(900'000, 'b');
  ASSERT_TRUE(
      socket
          .write_all("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
                     "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                         std::to_string(big.size()) + "\r\n\r\n" + big,
                     soon())
          .ok());
  const std::string answers = read_until(socket, {});
  EXPECT_NE(answers.find("tls:one"), std::string::npos);
  EXPECT_TRUE(answers.ends_with("tls:" + big)) << answers.size();
}

TEST_F(TlsTest, EndOfTheAnswersIsToldByTls) {
  start();
  BlockingSocket socket = connect();
  ASSERT_TRUE(
      socket.write_all("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", soon()).ok());
  read_until(socket, "tls:");
  // An end that TLS did not announce would be an error.
  const auto end = socket.read_some(soon());
  ASSERT_TRUE(end.ok()) << end.error().message;
  EXPECT_EQ(*end, "");
}

TEST_F(TlsTest, StreamsNoticeDepartureAndSayGoodbye) {
  start();
  constexpr std::string_view kAsk = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
  {
    BlockingSocket socket = connect();
    ASSERT_TRUE(socket.write_all(kAsk, soon()).ok());
    EXPECT_NE(read_until(socket, "first").find("data: first\n\n"), std::string::npos);
  }
  EXPECT_TRUE(eventually([&] { return departures_ == 1; }));
  BlockingSocket socket = connect();
  ASSERT_TRUE(socket.write_all(kAsk, soon()).ok());
  read_until(socket, "first");
  runtime_.run_blocking(server_->shutdown(2s));
  EXPECT_NE(read_until(socket, {}).find("data: bye\n\n"), std::string::npos);
  EXPECT_EQ(server_->open_connections(), 0U);
}

TEST_F(TlsTest, PlainHttpIsToldToUseHttps) {
  start();
  BlockingSocket socket = connect_plain();
  ASSERT_TRUE(socket.write_all("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
  const std::string answer = read_until(socket, {});
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
  EXPECT_NE(answer.find("https://"), std::string::npos) << answer;
}

TEST_F(TlsTest, SlowAndBrokenHandshakesEndAndOthersAreServed) {
  HttpServerOptions options;
  options.header_timeout = 200ms;
  start(options);
  BlockingSocket silent = connect_plain();
  BlockingSocket half = connect_plain();
  ASSERT_TRUE(half.write_all(std::string_view("\x16\x03\x01\x02", 4), soon()).ok());
  BlockingSocket noise = connect_plain();
  ASSERT_TRUE(noise.write_all(std::string("\x16\x03\x01\x00\x05") + "xxxxx", soon()).ok());
  BlockingSocket binary = connect_plain();
  ASSERT_TRUE(binary.write_all(std::string_view("\0\1\2\3", 4), soon()).ok());
  BlockingSocket good = connect();
  ASSERT_TRUE(good.write_all("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
  EXPECT_NE(read_until(good, "tls:").find("tls:"), std::string::npos);
  for (BlockingSocket* socket : {&silent, &half, &noise, &binary}) read_until(*socket, {});
  EXPECT_TRUE(eventually([&] { return server_->open_connections() <= 1; }));
}

TEST_F(TlsTest, ReloadShowsTheNewCertificateToNewConnections) {
  start();
  BlockingSocket old = connect();
  make("two", "DNS:localhost");
  std::filesystem::rename(file("two.crt"), file("one.crt"));
  EXPECT_FALSE(identity_->reload().ok());  // The key is still the old one.
  std::filesystem::rename(file("two.key"), file("one.key"));
  ASSERT_TRUE(identity_->reload().ok());
  EXPECT_GT(identity_->valid_until(), SystemClock().wall_now());
  BlockingSocket fresh = connect();
  for (BlockingSocket* socket : {&old, &fresh}) {
    ASSERT_TRUE(socket->write_all("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", soon()).ok());
    EXPECT_NE(read_until(*socket, "tls:").find("tls:"), std::string::npos);
  }
}

TEST_F(TlsTest, ClientRefusesWhatItDoesNotTrust) {
  start();
  make("other", "DNS:localhost");
  const auto refusal = [&](const std::string& host, const std::string& ca) {
    BlockingSocket socket = connect_plain();
    const Status status = socket.start_tls(host, ca, soon());
    return status.ok() ? std::string("trusted") : status.error().message;
  };
  EXPECT_EQ(refusal("127.0.0.1", file("one.crt")), "trusted");
  EXPECT_NE(refusal("localhost", file("other.crt")).find("--ca FILE"), std::string::npos);
  EXPECT_NE(refusal("localhost", "").find("not trusted"), std::string::npos);
  EXPECT_NE(refusal("elsewhere.example", file("one.crt")).find("not trusted"), std::string::npos);
  EXPECT_NE(refusal("localhost", file("absent.crt")).find("absent.crt"), std::string::npos);
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  make("two", "DNS:localhost");
  write("empty.crt", "");
  write("text.crt", "no certificate\n");
  const std::string encrypt = "openssl ec -aes256 -passout pass:secret -in " + file("two.key") +
                              " -out " + file("locked.key") + " 2>/dev/null";
  ASSERT_EQ(std::system(encrypt.c_str()), 0);
  const auto message = [&](const std::string& certificate, const std::string& key) {
    auto identity = TlsIdentity::open({file(certificate), file(key)});
    return identity.ok() ? std::string("opened") : identity.error().message;
  };
  EXPECT_EQ(message("two.crt", "two.key"), "opened");
  EXPECT_NE(message("absent.crt", "two.key").find("cannot read the certificate"),
            std::string::npos);
  EXPECT_NE(message("two.crt", "absent.key").find("cannot read the key"), std::string::npos);
  EXPECT_NE(message("", "two.key").find("cannot read"), std::string::npos);  // A directory.
  EXPECT_NE(message("empty.crt", "two.key").find("it is empty"), std::string::npos);
  EXPECT_NE(message("text.crt", "two.key").find("no usable certificate"), std::string::npos);
  EXPECT_NE(message("two.crt", "text.crt").find("no usable key"), std::string::npos);
  EXPECT_NE(message("two.crt", "one.key").find("does not belong to"), std::string::npos);
  EXPECT_NE(message("two.crt", "locked.key").find("without one"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::net
