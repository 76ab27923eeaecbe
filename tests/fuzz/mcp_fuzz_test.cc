// Broken input to the JSON-RPC dispatcher, the HTTP endpoint and the line framing of streams.
//
// A deterministic mutator rather than libFuzzer: it needs no second compiler, and the sanitizers of
// the dev build see the same faults. SE_FUZZ_SECONDS sets the time of each target, SE_FUZZ_SEED the
// seed; a failure prints the seed and the input.

#include <algorithm>
#include <cstdlib>
#include <future>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "mcp/protocol/era.h"
#include "mcp/protocol/message.h"
#include "tests/fuzz/mutator.h"
#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

const std::vector<std::string> kWords{"{",
                                      "}",
                                      "[",
                                      "]",
                                      "\"",
                                      "\\u0000",
                                      "\\ud800",
                                      "null",
                                      "-0",
                                      "1e999",
                                      "0.1e-9",
                                      "true",
                                      ":",
                                      ",",
                                      "\n",
                                      "\r\n",
                                      "\xff",
                                      "\xc3",
                                      "\"id\"",
                                      "jsonrpc",
                                      "method",
                                      "_meta",
                                      "params",
                                      "tools/call",
                                      "resources/read",
                                      "server/discover",
                                      "initialize",
                                      "subscriptions/listen",
                                      "9223372036854775808",
                                      "Content-Length: 5\r\n",
                                      "Transfer-Encoding: chunked\r\n",
                                      "Mcp-Method: ping\r\n",
                                      "Accept: */*\r\n",
                                      "=?base64?aGk=?=",
                                      "0\r\n\r\n",
                                      "state://",
                                      "progressToken"};

class McpFuzzTest : public EchoFixture {
 protected:
  static std::vector<std::string> messages() {
    std::vector<std::string> all;
    for (const char* method : {"tools/list", "server/discover", "resources/list", "prompts/list",
                               "resources/templates/list", "ping", "subscriptions/listen"}) {
      all.push_back(modern(method));
      all.push_back(R"({"jsonrpc":"2.0","id":"x","method":")" + std::string{method} + R"("})");
    }
    all.push_back(modern("tools/call", R"("name":"echo","arguments":{"text":"h\u00e9"},)"));
    all.push_back(modern("tools/call", R"("name":"add","arguments":{"a":1,"b":-2},)", "\"s\""));
    all.push_back(modern("tools/call", R"("name":"crash","requestState":"1.a.{}",)"));
    all.push_back(modern("resources/read", R"("uri":"test://item/1",)"));
    all.push_back(modern("prompts/get", R"("name":"greet","arguments":{"name":"Ann"},)"));
    all.push_back(modern("completion/complete", R"("ref":{"type":"ref/prompt","name":"greet"},)"
                                                R"("argument":{"name":"name","value":"item1"},)"));
    all.push_back(
        R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
        R"("capabilities":{},"clientInfo":{"name":"f","version":"1"}}})");
    all.push_back(
        R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
    all.push_back(R"({"jsonrpc":"2.0","id":"ask-1","result":{"action":"accept"}})");
    all.push_back(R"({"jsonrpc":"2.0","id":"ask-1","error":{"code":-1,"message":"no"}})");
    all.push_back(R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])");
    return all;
  }

  // Calls `probe` with broken inputs until the time is over; `probe` returns what is wrong, or "".
  template <typename Probe>
  void fuzz(std::vector<std::string> corpus, Probe probe) {
    const std::uint64_t seed = setting("SE_FUZZ_SEED", 20261122);
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds{setting("SE_FUZZ_SECONDS", 3)};
    Mutator mutator(seed, std::move(corpus), kWords);
    std::uint64_t count = 0;
    for (; std::chrono::steady_clock::now() < end; ++count) {
      const std::string input = mutator.next();
      const std::string fault = probe(input);
      ASSERT_EQ(fault, "") << "seed " << seed << ", input " << count << ": "
                           << json::write(json::Value(testing::PrintToString(input)));
    }
    RecordProperty("inputs", static_cast<int>(count));
    EXPECT_GT(count, 20U);
  }

  // What comes back for `bytes` followed by the end of input.
  static std::string exchange_bytes(net::BlockingSocket socket, const std::string& bytes) {
    // The server may close before it has read everything: then there is less to read, no fault.
    std::ignore = socket.write_all(bytes, soon());
    ::shutdown(socket.descriptor(), SHUT_WR);
    return read_until(socket, {});
  }
};

std::string check_reply(const Message& message, const Reply& reply, Era era) {
  const auto value = json::parse(reply.text, json::trusted_limits());
  if (!value.ok()) return "the reply is no JSON: " + reply.text;
  const json::Object& object = value->get_object();
  const json::Value* id = object.if_contains("id");
  if (!id || json::write(*id) != message.id) return "another id: " + reply.text;
  const json::Value* result = object.if_contains("result");
  if (!result == !object.contains("error")) return "not one of result and error: " + reply.text;
  if (result && result->get_object().contains("resultType") != (era == Era::kModern)) {
    return "resultType in the wrong era: " + reply.text;
  }
  return {};
}

TEST_F(McpFuzzTest, DispatcherAnswersEveryRequestOnceWithItsId) {
  boost::asio::io_context loop;
  const auto probe = [&](const std::string& input) -> std::string {
    auto parsed = parse_message(input);
    if (auto* fault = std::get_if<MessageFault>(&parsed)) {
      const std::string text = error_text(fault->id, fault->error);
      return json::parse(text, json::trusted_limits()).ok() ? "" : "no JSON: " + text;
    }
    Message& message = std::get<Message>(parsed);
    if (message.kind != Message::Kind::kRequest) return {};
    RequestContext context;
    context.era = era_of_body(message).value_or(Era::kLegacy);
    context.executor = loop.get_executor();
    fill_context(message, context);
    Reply reply;
    auto handle = [&]() -> boost::asio::awaitable<void> {
      reply = co_await server_.handle(message, context);
    };
    auto done = boost::asio::co_spawn(loop, handle, boost::asio::use_future);
    loop.restart();
    loop.run();
    done.get();
    return check_reply(message, reply, context.era);
  };
  fuzz(messages(), probe);
}

TEST_F(McpFuzzTest, HttpEndpointAnswersOrClosesAndLivesOn) {
  std::vector<std::string> corpus;
  for (const std::string& body : messages()) {
    // A listen has no end of its own.
    if (body.find("subscriptions/listen") != std::string::npos) continue;
    net::Headers headers = modern_headers("tools/call", "echo");
    headers.add("Content-Type", "application/json");
    headers.add("Accept", "application/json, text/event-stream");
    corpus.push_back(http_text("POST", "/mcp", headers, body));
    corpus.push_back(http_text("POST", "/message?sessionId=x", {}, body));
  }
  corpus.push_back(http_text("GET", "/mcp", {{"Mcp-Session-Id", "none"}}, {}));
  corpus.push_back(http_text("DELETE", "/mcp", {{"Mcp-Session-Id", "none"}}, {}));
  corpus.push_back(corpus[0] + corpus[1]);
  const auto probe = [&](const std::string& input) -> std::string {
    // Nor has the stream of the older transport.
    if (input.find("/sse") != std::string::npos || input.find("listen") != std::string::npos) {
      return {};
    }
    const std::string answer = exchange_bytes(connect_http(), input);
    return answer.empty() || answer.starts_with("HTTP/1.1 ") ? "" : "no HTTP: " + answer;
  };
  fuzz(std::move(corpus), probe);
  EXPECT_EQ(post(R"({"jsonrpc":"2.0","id":1,"method":"ping"})").status, 200);
  EXPECT_TRUE(eventually([&] { return http_.open_connections() == 0; }));
}

TEST_F(McpFuzzTest, StreamAnswersInLinesOfJson) {
  std::vector<std::string> corpus;
  std::string all;
  for (const std::string& message : messages()) {
    corpus.push_back(message + "\n");
    all += message + "\n";
  }
  corpus.push_back(all);
  const auto probe = [&](const std::string& input) -> std::string {
    std::string text = exchange_bytes(connect_unix(), input);
    for (std::size_t start = 0; start < text.size();) {
      const auto end = text.find('\n', start);
      if (end == std::string::npos) return "an unfinished line: " + text.substr(start);
      const std::string_view line = std::string_view{text}.substr(start, end - start);
      if (!json::parse(line, json::trusted_limits()).ok()) return "no JSON: " + std::string{line};
      start = end + 1;
    }
    return {};
  };
  fuzz(std::move(corpus), probe);
}

}  // namespace
}  // namespace state_engine::mcp
