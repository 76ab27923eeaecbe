// Sessions, event streams and departures over HTTP.

#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

class HttpStreamTest : public EchoFixture {
 protected:
  std::string open_session() {
    const HttpAnswer answer =
        post(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":)"
             R"("2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}})");
    EXPECT_NE(answer.body.find("2025-06-18"), std::string::npos);
    constexpr std::string_view kField = "Mcp-Session-Id: ";
    const auto begin = answer.text.find(kField);
    EXPECT_NE(begin, std::string::npos);
    const auto from = begin + kField.size();
    return answer.text.substr(from, answer.text.find("\r\n", from) - from);
  }

  HttpAnswer call_bump() {
    return post(modern("tools/call", R"("name":"bump",)"), modern_headers("tools/call", "bump"));
  }

  net::BlockingSocket open_listen(std::string_view uris, std::string_view id) {
    net::BlockingSocket socket = connect_http();
    net::Headers headers = modern_headers("subscriptions/listen");
    headers.add("Content-Type", "application/json");
    const std::string body =
        modern("subscriptions/listen",
               R"("notifications":{"resourceSubscriptions":)" + std::string{uris} + "},", id);
    EXPECT_TRUE(socket.write_all(http_text("POST", "/mcp", headers, body), soon()).ok());
    return socket;
  }
};

TEST_F(HttpStreamTest, ListenAcknowledgesTagsAndTellsOnlyWhatWasAsked) {
  net::BlockingSocket socket = open_listen(R"(["test://counter","other://x"])", "\"l1\"");
  const std::string first = read_until(socket, "\n\n");
  EXPECT_NE(first.find("notifications/subscriptions/acknowledged"), std::string::npos) << first;
  EXPECT_NE(first.find(R"("resourceSubscriptions":["test://counter"])"), std::string::npos);
  server_.notify_resource_updated("test://item/1");
  EXPECT_EQ(call_bump().status, 200);
  const std::string update = read_until(socket, "\n\n");
  EXPECT_NE(update.find(R"("uri":"test://counter")"), std::string::npos) << update;
  EXPECT_NE(update.find(R"("io.modelcontextprotocol/subscriptionId":"l1")"), std::string::npos);
  EXPECT_EQ(update.find("test://item/1"), std::string::npos);
}

TEST_F(HttpStreamTest, CollectionsHearOfTheirChildren) {
  net::BlockingSocket socket = open_listen(R"(["test://item/"])", "5");
  EXPECT_NE(read_until(socket, "\n\n").find("acknowledged"), std::string::npos);
  server_.notify_resource_updated("test://item/42");
  EXPECT_NE(read_until(socket, "\n\n").find("test://item/42"), std::string::npos);
}

TEST_F(HttpStreamTest, PercentEncodingMakesNoDifference) {
  net::BlockingSocket socket = open_listen(R"(["test://item/a%3Ab","test://it%65m/c%2F"])", "6");
  EXPECT_NE(read_until(socket, "\n\n").find("acknowledged"), std::string::npos);
  server_.notify_resource_updated("test://item/a:b");
  EXPECT_NE(read_until(socket, "\n\n").find(R"("uri":"test://item/a%3Ab")"), std::string::npos);
  server_.notify_resource_updated("test://item/c/d");
  EXPECT_NE(read_until(socket, "\n\n").find(R"("uri":"test://item/c/d")"), std::string::npos);
}

TEST_F(HttpStreamTest, DepartedListenerIsFreedAndShutdownSaysGoodbye) {
  {
    net::BlockingSocket socket = open_listen(R"(["test://counter"])", "1");
    EXPECT_NE(read_until(socket, "\n\n").find("acknowledged"), std::string::npos);
    EXPECT_EQ(endpoint_.listeners(), 1U);
  }
  EXPECT_TRUE(eventually([&] { return endpoint_.listeners() == 0; }));
  EXPECT_EQ(server_.subscriptions().subscription_count(), 0U);
  net::BlockingSocket socket = open_listen(R"(["test://counter"])", "2");
  EXPECT_NE(read_until(socket, "\n\n").find("acknowledged"), std::string::npos);
  runtime_.run_blocking(http_.shutdown(2s));
  const std::string rest = read_until(socket, {});
  EXPECT_NE(rest.find(R"("id":2,"result")"), std::string::npos) << rest;
}

TEST_F(HttpStreamTest, SlowReaderGetsFewerUpdatesAndNeverBlocksTheNotifier) {
  net::BlockingSocket socket = open_listen(R"(["test://item/","test://counter"])", "1");
  EXPECT_NE(read_until(socket, "\n\n").find("acknowledged"), std::string::npos);
  for (int i = 0; i < 200'000; ++i) {
    server_.notify_resource_updated("test://item/" + std::to_string(i));
  }
  server_.notify_resource_updated("test://counter");
  const std::string updates = read_until(socket, R"("uri":"test://counter")");
  EXPECT_NE(updates.find(R"("uri":"test://counter")"), std::string::npos);
}

TEST_F(HttpStreamTest, DepartureCancelsAModernCallButNotALegacyOne) {
  constexpr std::string_view kArguments = R"("name":"sleep","arguments":{"ms":500},)";
  {
    net::BlockingSocket socket = connect_http();
    net::Headers headers = modern_headers("tools/call", "sleep");
    headers.add("Content-Type", "application/json");
    ASSERT_TRUE(
        socket
            .write_all(http_text("POST", "/mcp", headers, modern("tools/call", kArguments)), soon())
            .ok());
    ASSERT_TRUE(eventually([&] { return world_.started_sleeps == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return world_.cancelled_calls == 1; }));
  {
    net::BlockingSocket socket = connect_http();
    const net::Headers headers{{"Content-Type", "application/json"}};
    ASSERT_TRUE(
        socket
            .write_all(http_text("POST", "/mcp", headers,
                                 R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":)"
                                 R"({"name":"sleep","arguments":{"ms":200}}})"),
                       soon())
            .ok());
    ASSERT_TRUE(eventually([&] { return world_.started_sleeps == 2; }));
  }
  EXPECT_TRUE(eventually([&] { return world_.finished_sleeps == 1; }));
  EXPECT_EQ(world_.cancelled_calls, 1);
}

TEST_F(HttpStreamTest, ProgressArrivesBeforeTheResult) {
  const HttpAnswer answer =
      post(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sleep",)"
           R"("arguments":{"ms":20},"_meta":{"progressToken":"p"}}})");
  EXPECT_NE(answer.text.find("text/event-stream"), std::string::npos);
  const auto progress = answer.text.find(R"("progressToken":"p","progress":1,"total":10)");
  const auto result = answer.text.find(R"("id":1,"result")");
  EXPECT_NE(progress, std::string::npos) << answer.text;
  EXPECT_LT(progress, result);
  EXPECT_NE(result, std::string::npos);
}

TEST_F(HttpStreamTest, SessionLivesUntilItIsDeleted) {
  const std::string id = open_session();
  EXPECT_EQ(id.size(), 40U);
  const net::Headers session{{"Mcp-Session-Id", id}};
  constexpr std::string_view kPing = R"({"jsonrpc":"2.0","id":2,"method":"ping"})";
  EXPECT_EQ(post(kPing, session).status, 200);
  EXPECT_EQ(post(kPing, {{"Mcp-Session-Id", id}, {"Authorization", "Bearer other"}}).status, 404);
  EXPECT_EQ(exchange("DELETE", "/mcp", session).status, 204);
  EXPECT_EQ(post(kPing, session).status, 404);
  EXPECT_EQ(exchange("DELETE", "/mcp", session).status, 404);
  EXPECT_EQ(endpoint_.sessions(), 0U);
}

TEST_F(HttpStreamTest, SubscriptionsOfASessionArriveOnItsOneGetStream) {
  const std::string id = open_session();
  const net::Headers session{{"Mcp-Session-Id", id}, {"Accept", "text/event-stream"}};
  net::Headers closing = session;
  closing.add("Connection", "close");
  net::BlockingSocket stream = connect_http();
  ASSERT_TRUE(stream.write_all(http_text("GET", "/mcp", closing, {}), soon()).ok());
  EXPECT_NE(read_until(stream, ": open").find("200 OK"), std::string::npos);
  EXPECT_EQ(exchange("GET", "/mcp", session).status, 409);
  const std::string subscribe = R"({"jsonrpc":"2.0","id":3,"method":"resources/subscribe",)"
                                R"("params":{"uri":"test://counter"}})";
  EXPECT_EQ(post(subscribe, {{"Mcp-Session-Id", id}}).body,
            R"({"jsonrpc":"2.0","id":3,"result":{}})");
  call_bump();
  const std::string update = read_until(stream, "test://counter");
  EXPECT_NE(update.find("notifications/resources/updated"), std::string::npos) << update;
  EXPECT_EQ(update.find("subscriptionId"), std::string::npos);
  EXPECT_EQ(exchange("DELETE", "/mcp", {{"Mcp-Session-Id", id}}).status, 204);
  EXPECT_EQ(read_until(stream, {}).find("event: message"), std::string::npos);
}

TEST_F(HttpStreamTest, OlderTransportAnswersOnItsStream) {
  net::BlockingSocket stream = connect_http();
  ASSERT_TRUE(stream.write_all(http_text("GET", "/sse", {}, {}), soon()).ok());
  const std::string hello = read_until(stream, "\n\n");
  constexpr std::string_view kMark = "event: endpoint\ndata: ";
  const auto begin = hello.find(kMark);
  ASSERT_NE(begin, std::string::npos) << hello;
  const auto from = begin + kMark.size();
  const std::string path = hello.substr(from, hello.find('\n', from) - from);
  EXPECT_TRUE(path.starts_with("/message?sessionId="));
  constexpr std::string_view kPing = R"({"jsonrpc":"2.0","id":9,"method":"ping"})";
  EXPECT_EQ(exchange("POST", path, {}, kPing).status, 202);
  EXPECT_NE(read_until(stream, R"("id":9)").find(R"("result":{})"), std::string::npos);
  EXPECT_EQ(exchange("POST", "/message", {}, kPing).status, 400);
  EXPECT_EQ(exchange("POST", "/message?sessionId=none", {}, kPing).status, 404);
  EXPECT_EQ(exchange("GET", "/sse?token=wrong", {}).status, 401);
  EXPECT_EQ(exchange("GET", "/sse", {{"x-mcp-token", "wrong"}}).status, 401);
}

}  // namespace
}  // namespace state_engine::mcp
