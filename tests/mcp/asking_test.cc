// Questions to the client, log messages and header parameters, over the real transports, with the
// tools of the conformance fixture.

#include <sys/socket.h>

#include <gtest/gtest.h>

#include "mcp/protocol/input_required.h"
#include "tests/mcp/conformance_fixture.h"
#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

constexpr std::string_view kAsk = "test_input_required_result_elicitation";

ServerOptions with_logging() {
  ServerOptions options;
  options.logging = true;
  return options;
}

// EchoFixture's transports around the fixture's tools.
class AskingTest : public EchoFixture {
 protected:
  AskingTest() {
    register_content_tools(asking_);
    register_asking_tools(asking_);
    asking_endpoint_.mount(asking_http_);
    EXPECT_TRUE(asking_http_.listen("127.0.0.1", 0).ok());
    EXPECT_TRUE(asking_streams_.listen_unix(asking_path_).ok());
  }

  ~AskingTest() override {
    runtime_.run_blocking(asking_http_.shutdown(2s));
    runtime_.run_blocking(asking_streams_.shutdown(2s));
  }

  net::BlockingSocket connect() const {
    auto socket =
        net::BlockingSocket::connect_tcp("127.0.0.1", std::to_string(asking_http_.port()), soon());
    EXPECT_TRUE(socket.ok());
    return std::move(*socket);
  }

  // Sends one POST and returns the connection, for answers that come in parts.
  net::BlockingSocket open_post(std::string_view body, net::Headers headers) const {
    headers.add("Content-Type", "application/json");
    headers.add("Accept", "application/json, text/event-stream");
    headers.add("Connection", "close");
    net::BlockingSocket socket = connect();
    EXPECT_TRUE(socket.write_all(http_text("POST", "/mcp", headers, body), soon()).ok());
    return socket;
  }

  std::string answer_to(std::string_view body, net::Headers headers) const {
    net::BlockingSocket socket = open_post(body, std::move(headers));
    return read_until(socket, {});
  }

  static std::string modern_call(std::string_view tool, std::string_view capabilities,
                                 std::string_view more = {}, std::string_view meta = {}) {
    return R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":")" +
           std::string{tool} + R"(",)" + std::string{more} +
           R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)" +
           std::string{meta} + R"("io.modelcontextprotocol/clientCapabilities":)" +
           std::string{capabilities} + "}}}";
  }

  std::string call(std::string_view tool, std::string_view capabilities, std::string_view more = {},
                   std::string_view meta = {}) const {
    return answer_to(modern_call(tool, capabilities, more, meta),
                     modern_headers("tools/call", tool));
  }

  // The requestState of an answer, as JSON text.
  static std::string state_of(const std::string& answer) {
    const auto body = json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
    if (!body.ok()) return {};
    const json::Value* state = body->at("result").as_object().if_contains("requestState");
    return state ? json::write(*state) : std::string{};
  }

  // A legacy session whose client can answer questions.
  std::string open_session() const {
    const std::string head = answer_to(
        R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
        R"("capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}})",
        {});
    const std::string mark = "Mcp-Session-Id: ";
    const auto at = head.find(mark);
    if (at == std::string::npos) return {};
    return head.substr(at + mark.size(), head.find("\r\n", at) - at - mark.size());
  }

  std::string asking_path_ = socket_path_ + ".ask";
  Server asking_{runtime_.make_strand(), with_logging(), log_};
  net::HttpServer asking_http_{runtime_, {}, log_};
  HttpEndpoint asking_endpoint_{asking_, {}, authenticate, random_, log_};
  StreamEndpoint asking_streams_{runtime_, asking_, {}, authenticate, log_};
};

constexpr std::string_view kLegacyAsk =
    R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":)"
    R"("test_input_required_result_elicitation","arguments":{}}})";
constexpr std::string_view kAnn =
    R"("inputResponses":{"user_name":{"action":"accept","content":{"name":"Ann"}}},)";

TEST_F(AskingTest, ModernCallAsksByResultAndCompletesWithTheAnswer) {
  const std::string first = call(kAsk, R"({"elicitation":{}})");
  EXPECT_NE(first.find(R"("resultType":"input_required")"), std::string::npos) << first;
  EXPECT_NE(first.find(R"("method":"elicitation/create")"), std::string::npos);
  const std::string more = std::string{kAnn} + R"("requestState":)" + state_of(first) + ",";
  const std::string second = call(kAsk, R"({"elicitation":{}})", more);
  EXPECT_NE(second.find(R"("resultType":"complete")"), std::string::npos) << second;
  EXPECT_NE(second.find("Ann"), std::string::npos);
}

TEST_F(AskingTest, UndeclaredCapabilityIsBadRequestThatNamesIt) {
  const std::string answer = call(kAsk, "{}");
  EXPECT_NE(answer.find("400 Bad Request"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("requiredCapabilities":{"elicitation":{}})"), std::string::npos);
  EXPECT_NE(answer.find("-32021"), std::string::npos);
}

TEST_F(AskingTest, StateOfAnotherCallIsRefused) {
  const std::string state = state_of(call(kAsk, R"({"elicitation":{}})"));
  const std::string answer = call("test_input_required_result_request_state",
                                  R"({"elicitation":{}})", R"("requestState":)" + state + ",");
  EXPECT_NE(answer.find("-32602"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("resultType"), std::string::npos);
}

TEST_F(AskingTest, LegacySessionIsAskedOnTheStreamOfTheCall) {
  const net::Headers session{{"Mcp-Session-Id", open_session()}};
  net::BlockingSocket stream = open_post(kLegacyAsk, session);
  const std::string question = read_until(stream, "elicitation/create");
  EXPECT_NE(question.find("text/event-stream"), std::string::npos) << question;
  const std::string taken = answer_to(
      R"({"jsonrpc":"2.0","id":"ask-1","result":{"action":"accept","content":{"name":"Ann"}}})",
      session);
  EXPECT_NE(taken.find("202 Accepted"), std::string::npos) << taken;
  EXPECT_NE(read_until(stream, {}).find("Ann"), std::string::npos);
}

TEST_F(AskingTest, RefusedQuestionEndsTheLegacyCallWithAnError) {
  const net::Headers session{{"Mcp-Session-Id", open_session()}};
  net::BlockingSocket stream = open_post(kLegacyAsk, session);
  read_until(stream, "elicitation/create");
  answer_to(R"({"jsonrpc":"2.0","id":"ask-1","error":{"code":-1,"message":"not today"}})", session);
  const std::string end = read_until(stream, {});
  EXPECT_NE(end.find("not today"), std::string::npos) << end;
  EXPECT_NE(end.find(R"("isError":true)"), std::string::npos) << end;
}

TEST_F(AskingTest, LegacyCallWithoutSessionCannotAsk) {
  EXPECT_NE(answer_to(kLegacyAsk, {}).find("elicitation"), std::string::npos);
}

TEST_F(AskingTest, StreamClientIsAskedAndEndOfInputGivesTheQuestionUp) {
  const std::string initialize =
      R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
      R"("capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}})"
      "\n";
  auto answering = net::BlockingSocket::connect_unix(asking_path_);
  ASSERT_TRUE(answering.ok());
  const std::string ask = initialize + std::string{kLegacyAsk} + "\n";
  ASSERT_TRUE(answering->write_all(ask, soon()).ok());
  read_until(*answering, R"("id":"ask-1")");
  ASSERT_TRUE(answering
                  ->write_all(R"({"jsonrpc":"2.0","id":"ask-1","result":{"action":"decline"}})"
                              "\n",
                              soon())
                  .ok());
  EXPECT_NE(read_until(*answering, R"("id":7)").find("decline"), std::string::npos);

  auto leaving = net::BlockingSocket::connect_unix(asking_path_);
  ASSERT_TRUE(leaving.ok());
  ASSERT_TRUE(leaving->write_all(ask, soon()).ok());
  read_until(*leaving, R"("id":"ask-1")");
  ::shutdown(leaving->descriptor(), SHUT_WR);
  EXPECT_NE(read_until(*leaving, {}).find("nobody waits or answers any more"), std::string::npos);
}

TEST_F(AskingTest, LogMessagesGoOnlyToModernCallsThatWantThem) {
  const std::string silent = call("test_logging_tool", "{}");
  EXPECT_EQ(silent.find("notifications/message"), std::string::npos) << silent;
  const std::string told =
      call("test_logging_tool", "{}", {}, R"("io.modelcontextprotocol/logLevel":"debug",)");
  EXPECT_NE(told.find(R"("data":"finished")"), std::string::npos) << told;
  const std::string above =
      call("test_logging_tool", "{}", {}, R"("io.modelcontextprotocol/logLevel":"error",)");
  EXPECT_EQ(above.find("notifications/message"), std::string::npos) << above;
}

TEST_F(AskingTest, SetLevelSilencesWhatIsBelow) {
  const net::Headers session{{"Mcp-Session-Id", open_session()}};
  const std::string log_call =
      R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"test_logging_tool"}})";
  EXPECT_NE(answer_to(log_call, session).find("notifications/message"), std::string::npos);
  const auto set_level = [&](std::string_view level) {
    return answer_to(R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":")" +
                         std::string{level} + R"("}})",
                     session);
  };
  EXPECT_NE(set_level("loud").find("-32602"), std::string::npos);
  EXPECT_NE(set_level("error").find(R"("result":{})"), std::string::npos);
  EXPECT_EQ(answer_to(log_call, session).find("notifications/message"), std::string::npos);
}

TEST_F(AskingTest, HeaderParameterMustAgreeWithTheArgument) {
  const auto status = [&](std::string_view header) {
    net::Headers headers = modern_headers("tools/call", "test_header_parameter");
    if (!header.empty()) headers.add("Mcp-Param-Region", std::string{header});
    return answer_to(
               modern_call("test_header_parameter", "{}", R"("arguments":{"region":"h\u00e9"},)"),
               headers)
        .substr(9, 3);
  };
  EXPECT_EQ(status("=?base64?aMOp?="), "200");
  EXPECT_EQ(status("other"), "400");
  EXPECT_EQ(status("=?base64?aMOp"), "400");
  EXPECT_EQ(status({}), "400");
}

TEST(StateSealTest, OpensOnlyUnalteredStateOfTheSameCallInTime) {
  const StateSeal seal;
  const StateSeal::TimePoint now{1000s};
  const std::string sealed = seal.seal(fixture_json(R"({"step":2})"), "ann call", now);
  ASSERT_TRUE(seal.open(sealed, "ann call", now).has_value());
  EXPECT_EQ(json::find_int(*seal.open(sealed, "ann call", now), "step"), 2);
  EXPECT_FALSE(seal.open(sealed, "bob call", now).has_value());
  EXPECT_FALSE(seal.open(sealed + " ", "ann call", now).has_value());
  EXPECT_FALSE(seal.open(sealed, "ann call", now + 1h).has_value());
  EXPECT_FALSE(StateSeal().open(sealed, "ann call", now).has_value());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string altered = sealed;
    altered[i] = altered[i] == '1' ? '2' : '1';
    EXPECT_FALSE(seal.open(altered, "ann call", now).has_value()) << i;
    EXPECT_FALSE(seal.open(sealed.substr(0, i), "ann call", now).has_value()) << i;
  }
}

}  // namespace
}  // namespace state_engine::mcp
