// Newline-framed streams: hello, era pinning, cancellation, subscriptions, half-close.

#include <algorithm>
#include <memory>
#include <sys/socket.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>

#include "mcp/protocol/subscriptions.h"
#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

class UnixStreamTest : public EchoFixture {
 protected:
  static void send(net::BlockingSocket& socket, const std::string& line) {
    ASSERT_TRUE(socket.write_all(line + "\n", soon()).ok());
  }

  // Sends `lines`, closes the sending side and returns all that comes back.
  std::string converse(const std::vector<std::string>& lines) {
    net::BlockingSocket socket = connect_unix();
    for (const std::string& line : lines) send(socket, line);
    ::shutdown(socket.descriptor(), SHUT_WR);
    return read_until(socket, {});
  }
};

constexpr char kInitialize[] =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})";
constexpr char kPing[] = R"({"jsonrpc":"2.0","id":"p","method":"ping"})";

TEST_F(UnixStreamTest, SocketFileIsPrivateAndRemovedAtTheEnd) {
  struct stat info {};
  ASSERT_EQ(::stat(socket_path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  StreamEndpoint second(runtime_, server_, {}, authenticate, log_);
  const Status status = second.listen_unix(socket_path_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kFailedPrecondition);
  runtime_.run_blocking(streams_.shutdown(1s));
  EXPECT_NE(::stat(socket_path_.c_str(), &info), 0);
}

TEST_F(UnixStreamTest, HelloIsConsumedAndNamesTheCaller) {
  const std::string whoami = modern("tools/call", R"("name":"whoami",)");
  const std::string text =
      converse({R"({"stateEngineHello":{"client":"cli","token":"t0"}})", whoami});
  EXPECT_NE(text.find(R"("actor":"cli:)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("principal":"t0")"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST_F(UnixStreamTest, RefusedHelloIsAnsweredWithTheRequestsId) {
  const std::string text =
      converse({R"({"stateEngineHello":{"client":"cli","token":"wrong"}})", kPing});
  EXPECT_NE(text.find(R"("id":"p","error")"), std::string::npos) << text;
  EXPECT_NE(text.find("not allowed"), std::string::npos);
}

TEST_F(UnixStreamTest, FirstRequestPinsTheEra) {
  const std::string after_modern =
      converse({modern("server/discover", {}, "1"), kInitialize, kPing});
  EXPECT_NE(after_modern.find("supportedVersions"), std::string::npos);
  EXPECT_NE(after_modern.find("-32022"), std::string::npos) << after_modern;
  EXPECT_NE(after_modern.find("-32602"), std::string::npos);
  const std::string after_legacy =
      converse({kInitialize, modern("server/discover", {}, "2"), kPing});
  EXPECT_NE(after_legacy.find("-32601"), std::string::npos) << after_legacy;
  EXPECT_NE(after_legacy.find(R"("id":"p","result":{})"), std::string::npos);
  EXPECT_EQ(after_legacy.find("resultType"), std::string::npos);
}

TEST_F(UnixStreamTest, BadLinesDoNotEndTheStream) {
  const std::string text =
      converse({"nonsense", "", "[1]", std::string(2 * 1024 * 1024, 'x'), "\xff", kPing});
  EXPECT_NE(text.find("-32700"), std::string::npos);
  EXPECT_NE(text.find("-32600"), std::string::npos);
  EXPECT_NE(text.find("a line may have at most"), std::string::npos);
  EXPECT_NE(text.find(R"("id":"p","result":{})"), std::string::npos);
}

TEST_F(UnixStreamTest, CancelledRequestIsStoppedAndNeverAnswered) {
  const std::string sleep =
      R"({"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"sleep",)"
      R"("arguments":{"ms":20000}}})";
  const std::string cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}})";
  const std::string text = converse({kInitialize, sleep, cancel, kPing});
  EXPECT_NE(text.find(R"("id":"p")"), std::string::npos);
  EXPECT_EQ(text.find(R"("id":4)"), std::string::npos) << text;
  EXPECT_EQ(world_.cancelled_calls, 1);
}

TEST_F(UnixStreamTest, HalfCloseStillAnswersWhatIsInFlight) {
  const std::string sleep =
      R"({"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"sleep",)"
      R"("arguments":{"ms":100}}})";
  EXPECT_NE(converse({kInitialize, sleep}).find(R"("slept_ms":100)"), std::string::npos);
}

TEST_F(UnixStreamTest, ModernListenIsTaggedAndStopsWhenCancelled) {
  net::BlockingSocket socket = connect_unix();
  send(socket, modern("subscriptions/listen",
                      R"("notifications":{"resourceSubscriptions":["test://counter"]},)", "8"));
  EXPECT_NE(read_until(socket, "\n").find("acknowledged"), std::string::npos);
  server_.notify_resource_updated("test://counter");
  EXPECT_NE(read_until(socket, "\n").find(R"("io.modelcontextprotocol/subscriptionId":8)"),
            std::string::npos);
  send(socket, R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":8}})");
  EXPECT_TRUE(eventually([&] { return server_.subscriptions().subscription_count() == 0; }));
}

TEST_F(UnixStreamTest, LegacySubscriptionIsUntagged) {
  net::BlockingSocket socket = connect_unix();
  send(socket, kInitialize);
  EXPECT_NE(read_until(socket, "\n").find(R"("subscribe":true)"), std::string::npos);
  send(
      socket,
      R"({"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"test://item/"}})");
  EXPECT_NE(read_until(socket, "\n").find(R"("id":2,"result":{})"), std::string::npos);
  server_.notify_resource_updated("test://item/3");
  const std::string update = read_until(socket, "\n");
  EXPECT_NE(update.find("test://item/3"), std::string::npos);
  EXPECT_EQ(update.find("subscriptionId"), std::string::npos);
}

TEST_F(UnixStreamTest, PeerThatDoesNotReadStopsOnlyItself) {
  net::BlockingSocket lazy = connect_unix();
  const std::string big = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big",)"
                          R"("arguments":{"bytes":1000000}}})";
  std::size_t sent = 0;
  while (sent < 200 && lazy.write_all(big + "\n", std::chrono::steady_clock::now() + 20ms).ok()) {
    ++sent;
  }
  EXPECT_NE(converse({kInitialize, kPing}).find(R"("id":"p")"), std::string::npos);
}

// The last reference to a connection may go while the server does.
TEST(ScopedListenerTest, OutlivesTheServerItListenedTo) {
  boost::asio::io_context context;
  auto hub = std::make_unique<SubscriptionHub>(context.get_executor());
  auto listener = std::make_unique<ScopedListener>(*hub);
  EXPECT_TRUE(listener->add("state://a", 10));
  hub.reset();
  listener->remove("state://a");
  EXPECT_TRUE(listener->add("state://b", 10));
  listener.reset();
}

}  // namespace
}  // namespace state_engine::mcp
