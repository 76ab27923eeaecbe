// What comes from a model's server, in all the ways it may be split, wrong or late.

#include "integrations/llm/llm_client.h"

#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integrations/llm/completion_stream.h"
#include "tests/support/json_literal.h"

namespace state_engine::llm {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string chunk(std::string_view delta, std::string_view finish = "null") {
  return R"({"choices":[{"index":0,"delta":)" + std::string(delta) + R"(,"finish_reason":)" +
         std::string(finish) + "}]}";
}

std::string event(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

Result<Completion> read_whole(std::string_view bytes, std::size_t piece) {
  CompletionStream stream;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (Status fed = stream.feed(bytes.substr(at, piece)); !fed.ok()) return fed.error();
  }
  return stream.finish();
}

// ---- Streams ---------------------------------------------------------------------------------

TEST(CompletionStreamTest, AStreamSplitAnywhereGivesTheSameCompletion) {
  const std::string bytes =
      ": a comment\n\n" + event(chunk(R"({"role":"assistant","content":"Grü"})")) +
      event(chunk(R"({"content":"ße, \ud83c\udf55"})")) +
      event(chunk(R"({"tool_calls":[{"index":0,"id":"a","type":"function",)"
                  R"("function":{"name":"start","arguments":""}}]})")) +
      event(chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"pri"}}]})")) +
      event(chunk(R"({"tool_calls":[{"index":1,"id":"b","function":{"name":"stop",)"
                  R"("arguments":"{}"}}]})")) +
      event(chunk(R"({"tool_calls":[{"index":0,"function":{"arguments":"ze\":\"ä\"}"}}]})")) +
      event(chunk("{}", R"("tool_calls")")) +
      event(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}})") +
      event("[DONE]") + "garbage after the end";
  for (std::size_t piece = 1; piece <= 64; ++piece) {
    const auto out = read_whole(bytes, piece);
    ASSERT_TRUE(out.ok()) << piece << ": " << out.error().message;
    EXPECT_EQ(out->content, "Grüße, \xf0\x9f\x8d\x95");
    ASSERT_EQ(out->tool_calls.size(), 2U) << piece;
    EXPECT_EQ(out->tool_calls[0].id, "a");
    EXPECT_EQ(out->tool_calls[0].name, "start");
    EXPECT_EQ(out->tool_calls[0].arguments, R"({"prize":"ä"})");
    EXPECT_EQ(out->tool_calls[1].name, "stop");
    EXPECT_EQ(out->finish_reason, "tool_calls");
    EXPECT_EQ(out->prompt_tokens, 7);
  }
}

TEST(CompletionStreamTest, LinesMayEndInAnyWayAndDataMaySpanLines) {
  for (const std::string end : {"\n", "\r", "\r\n"}) {
    const std::string text =
        "\xef\xbb\xbf"
        "data: {\"choices\":[{\"delta\":" +
        end + "data:{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}" + end + end + "event: x" +
        end + "id: 3" + end + end;
    for (const std::size_t piece : {1UL, 2UL, 1000UL}) {
      const auto out = read_whole(text, piece);
      ASSERT_TRUE(out.ok()) << out.error().message;
      EXPECT_EQ(out->content, "hi");
    }
  }
}

TEST(CompletionStreamTest, ServersWithoutIndexBeginACallWithEachId) {
  const auto out = read_whole(
      event(chunk(R"({"tool_calls":[{"id":"a","function":{"name":"x","arguments":"{}"}},)"
                  R"({"id":"b","function":{"name":"y","arguments":{"n":1}}}]})")) +
          event(chunk("{}", R"("tool_calls")")),
      1000);
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->tool_calls.size(), 2U);
  EXPECT_EQ(out->tool_calls[1].name, "y");
  EXPECT_EQ(out->tool_calls[1].arguments, R"({"n":1})");
}

TEST(CompletionStreamTest, AStreamThatBreaksOffIsAnErrorWorthARetry) {
  const auto out = read_whole(event(chunk(R"({"content":"I will"})")), 1000);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
}

TEST(CompletionStreamTest, AnErrorInTheStreamIsTold) {
  const auto out = read_whole(event(R"({"error":{"message":"model overloaded"}})"), 1000);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(out.error().message, HasSubstr("model overloaded"));
}

TEST(CompletionStreamTest, WhatIsNoChunkIsAnError) {
  for (const std::string bad : {"{", "[]", "7", "{\"a\":1,\"a\":2}"}) {
    const auto out = read_whole(event(bad), 1000);
    ASSERT_FALSE(out.ok()) << bad;
    EXPECT_EQ(out.error().code, ErrorCode::kInternal) << bad;
  }
}

TEST(CompletionStreamTest, StrangeButValidChunksAreHarmless) {
  const auto out =
      read_whole(event("{}") + event(R"({"choices":null})") + event(R"({"choices":[7]})") +
                     event(chunk("null")) + event(chunk(R"({"content":null,"tool_calls":null})")) +
                     event(chunk(R"({"tool_calls":[7,{},{"index":-5,"function":7}]})")) +
                     event(chunk("{}", R"("stop")")),
                 1000);
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->content, "");
}

TEST(CompletionStreamTest, EndlessAnswersAreBounded) {
  const std::string piece(1000, 'x');
  CompletionStream text;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(text.feed(event(chunk(R"({"content":")" + piece + "\"}"))).ok());
  }
  ASSERT_TRUE(text.feed(event("[DONE]")).ok());
  EXPECT_LE(text.finish()->content.size(), kContentBytesMax);

  CompletionStream arguments;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(arguments
                    .feed(event(chunk(R"({"tool_calls":[{"index":0,"id":"a","function":)"
                                      R"({"name":"n","arguments":")" +
                                      piece + "\"}}]}")))
                    .ok());
  }
  ASSERT_TRUE(arguments.feed(event("[DONE]")).ok());
  EXPECT_EQ(arguments.finish()->tool_calls[0].arguments.size(), kArgumentBytesMax + 1);

  CompletionStream calls;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(calls
                    .feed(event(chunk(R"({"tool_calls":[{"index":)" + std::to_string(i) +
                                      R"(,"id":"a","function":{"name":"n"}}]})")))
                    .ok());
  }
  ASSERT_TRUE(calls.feed(event("[DONE]")).ok());
  EXPECT_EQ(calls.finish()->tool_calls.size(), kToolCallsMax);

  CompletionStream no_line_end;
  Status status;
  for (int i = 0; i < 20'000 && status.ok(); ++i) status = no_line_end.feed(piece);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
}

// ---- Whole answers ---------------------------------------------------------------------------

TEST(ParseCompletionTest, ReadsTextPartsAndCallsWithObjectArguments) {
  const auto out = parse_completion(
      R"({"choices":[{"finish_reason":"tool_calls","message":{"content":[{"type":"text",)"
      R"("text":"a"},{"type":"text","text":"b"}],"tool_calls":[{"function":{"name":"n",)"
      R"("arguments":{"x":1}}},{"id":"z"}]}}],"usage":{"prompt_tokens":1,"completion_tokens":2}})");
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->content, "ab");
  ASSERT_EQ(out->tool_calls.size(), 2U);
  EXPECT_EQ(out->tool_calls[0].id, "call_0");
  EXPECT_EQ(out->tool_calls[0].arguments, R"({"x":1})");
  EXPECT_EQ(out->completion_tokens, 2);
}

TEST(ParseCompletionTest, WhatIsNoCompletionIsAnError) {
  for (const std::string bad : {"", "<html>", "[]", "{}", R"({"choices":[]})",
                                R"({"choices":[{}]})", R"({"choices":[{"message":7}]})"}) {
    EXPECT_FALSE(parse_completion(bad).ok()) << bad;
  }
}

TEST(EncodeRequestTest, HasWhatServersExpect) {
  ChatRequest request;
  request.messages = {{Role::kSystem, "be"},
                      {Role::kAssistant, "", {{"c1", "f", "{}", ""}}},
                      {Role::kTool, "done", {}, "c1"}};
  request.tools = {{"f", "does f", testing::json_of(R"({"type":"object"})").as_object()}};
  request.may_call_tools = false;
  const json::Object body = encode_request(request, {"m", true, 0.5, 100});
  EXPECT_EQ(json::write(json::Value(body)),
            R"({"model":"m","messages":[{"role":"system","content":"be"},{"role":"assistant",)"
            R"("content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f",)"
            R"("arguments":"{}"}}]},{"role":"tool","content":"done","tool_call_id":"c1"}],)"
            R"("tools":[{"type":"function","function":{"name":"f","description":"does f",)"
            R"("parameters":{"type":"object"}}}],"tool_choice":"none","temperature":0.5,)"
            R"("max_tokens":100,"stream":true,"stream_options":{"include_usage":true}})");
}

// ---- Retries ---------------------------------------------------------------------------------

struct Reply {
  int status = 200;
  net::Headers headers;
  std::string body;
  std::optional<Error> error;
};

class FakeTransport final : public HttpTransport {
 public:
  Result<HttpHead> post(const HttpPost& request, const BodySink& sink) override {
    posts.push_back(request);
    if (before) before();
    Reply reply = replies.empty() ? Reply{} : replies.front();
    if (!replies.empty()) replies.pop_front();
    if (reply.error) return *reply.error;
    const HttpHead head{reply.status, reply.headers};
    for (const char c : reply.body) {
      if (!sink(head, {&c, 1})) break;
    }
    return head;
  }
  std::deque<Reply> replies;
  std::vector<HttpPost> posts;
  std::function<void()> before;
};

class CapturedLog final : public Log {
 public:
  void write(LogLevel, std::string_view message, std::initializer_list<LogField> fields) override {
    text += std::string(message);
    for (const LogField& field : fields) text += " " + json::write(field.value);
    text += "\n";
  }
  bool enabled(LogLevel) const override { return true; }
  std::string text;
};

class ChatCompletionsTest : public ::testing::Test {
 protected:
  static EndpointSettings settings() {
    EndpointSettings out;
    out.base_url = "http://model/v1/";
    out.api_key = "sk-secret-123";
    out.model.model = "m";
    return out;
  }
  static Reply ok(std::string text = "hello") {
    return {200,
            {{"Content-Type", "application/json"}},
            R"({"choices":[{"finish_reason":"stop","message":{"content":")" + text + "\"}}]}",
            std::nullopt};
  }
  static Reply failure(int status, net::Headers headers = {}, std::string body = "") {
    return {status, std::move(headers), std::move(body), std::nullopt};
  }

  FakeTransport transport;
  ManualClock clock;
  SeededRandom random{1};
  CapturedLog log;
  std::vector<milliseconds> pauses;
  bool stopped = false;
  ChatCompletions client{settings(),
                         transport,
                         [this](milliseconds pause) {
                           pauses.push_back(pause);
                           return !stopped;
                         },
                         clock,
                         random,
                         log};
};

TEST_F(ChatCompletionsTest, PostsToTheEndpointWithTheKey) {
  transport.replies = {ok()};
  const auto out = client.complete({});
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->content, "hello");
  ASSERT_EQ(transport.posts.size(), 1U);
  EXPECT_EQ(transport.posts[0].url, "http://model/v1/chat/completions");
  EXPECT_EQ(transport.posts[0].headers.get("Authorization"), "Bearer sk-secret-123");
}

TEST_F(ChatCompletionsTest, ReadsAStreamWhenTheServerSendsOne) {
  transport.replies = {{200,
                        {{"Content-Type", "text/event-stream; charset=utf-8"}},
                        event(chunk(R"({"content":"streamed"})")) + event("[DONE]"),
                        std::nullopt}};
  const auto out = client.complete({});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->content, "streamed");
}

TEST_F(ChatCompletionsTest, TriesAgainWhatMayHelpWithGrowingPauses) {
  transport.replies = {
      failure(500), failure(503), {200, {}, "", Error{ErrorCode::kUnavailable, "refused"}}, ok()};
  ASSERT_TRUE(client.complete({}).ok());
  EXPECT_EQ(transport.posts.size(), 4U);
  EXPECT_EQ(client.retries(), 3);
  ASSERT_EQ(pauses.size(), 3U);
  EXPECT_GE(pauses[0], milliseconds{250});
  EXPECT_LE(pauses[0], milliseconds{500});
  EXPECT_GE(pauses[2], milliseconds{1000});
  EXPECT_LE(pauses[2], milliseconds{2000});
}

TEST_F(ChatCompletionsTest, GivesUpAfterSomeAttempts) {
  for (int i = 0; i < 9; ++i) transport.replies.push_back(failure(502));
  const auto out = client.complete({});
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(transport.posts.size(), 4U);
}

TEST_F(ChatCompletionsTest, HonoursRetryAfterInItsThreeForms) {
  EXPECT_EQ(retry_after({{"Retry-After", "2"}}, clock.wall_now()), milliseconds{2000});
  EXPECT_EQ(retry_after({{"retry-after-ms", "120"}, {"Retry-After", "9"}}, clock.wall_now()),
            milliseconds{120});
  const Timestamp now = *parse_rfc3339("2026-11-22T18:00:00Z");
  EXPECT_EQ(retry_after({{"Retry-After", "Sun, 22 Nov 2026 18:00:05 GMT"}}, now),
            milliseconds{5000});
  EXPECT_EQ(retry_after({{"Retry-After", "Sun, 22 Nov 2026 17:00:05 GMT"}}, now), milliseconds{0});
  for (const std::string bad : {"", "soon", "-1", "nan", "1e999"}) {
    EXPECT_EQ(retry_after({{"Retry-After", bad}}, now), std::nullopt) << bad;
  }
  transport.replies = {failure(429, {{"Retry-After", "3"}}), ok()};
  ASSERT_TRUE(client.complete({}).ok());
  EXPECT_THAT(pauses, ElementsAre(milliseconds{3000}));
}

TEST_F(ChatCompletionsTest, AServerThatWantsMinutesIsGivenUpAtOnce) {
  transport.replies = {failure(429, {{"Retry-After", "600"}}), ok()};
  const auto out = client.complete({});
  ASSERT_FALSE(out.ok());
  EXPECT_THAT(out.error().message, HasSubstr("600 s"));
  EXPECT_TRUE(pauses.empty());
}

TEST_F(ChatCompletionsTest, WhatCannotHelpIsNotTriedAgainAndSaysWhatToCheck) {
  transport.replies = {failure(401), ok()};
  EXPECT_THAT(client.complete({}).error().message, HasSubstr("LLM_API_KEY"));
  transport.replies = {failure(404), ok()};
  EXPECT_THAT(client.complete({}).error().message, HasSubstr("LLM_MODEL"));
  transport.replies = {failure(400, {}, R"({"error":{"message":"too long\nsecond line"}})"), ok()};
  EXPECT_THAT(client.complete({}).error().message, HasSubstr("too long second line"));
  EXPECT_TRUE(pauses.empty());
}

TEST_F(ChatCompletionsTest, TheKeyIsNeitherLoggedNorInErrors) {
  const std::string tattling = R"({"error":{"message":"bad key sk-secret-123 sk-secret-123"}})";
  transport.replies = {failure(500, {}, tattling), failure(401, {}, tattling)};
  const auto out = client.complete({});
  ASSERT_FALSE(out.ok());
  EXPECT_THAT(out.error().message, HasSubstr("[key]"));
  EXPECT_THAT(out.error().message, Not(HasSubstr("secret")));
  EXPECT_THAT(log.text, Not(HasSubstr("secret")));
  EXPECT_THAT(log.text, HasSubstr("again"));
}

TEST_F(ChatCompletionsTest, DoesNotTryForEverWhenEachAttemptIsSlow) {
  transport.before = [this] { clock.advance(milliseconds{50'000}); };
  for (int i = 0; i < 9; ++i) transport.replies.push_back(failure(503));
  EXPECT_FALSE(client.complete({}).ok());
  EXPECT_EQ(transport.posts.size(), 2U);
}

TEST_F(ChatCompletionsTest, AShutdownEndsTheWait) {
  stopped = true;
  transport.replies = {failure(500), ok()};
  EXPECT_EQ(client.complete({}).error().code, ErrorCode::kCancelled);
}

TEST_F(ChatCompletionsTest, HugeBodiesAreCutOff) {
  transport.replies = {failure(400, {}, std::string(200'000, 'x')),
                       {200, {}, std::string(kAnswerBytesMax + 10, 'x'), std::nullopt}};
  EXPECT_EQ(client.complete({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(client.complete({}).ok());
}

}  // namespace
}  // namespace state_engine::llm
