// Our own client and the stdio bridge against the real transports.

#include "mcp/client/client.h"

#include <fcntl.h>

#include "mcp/client/stdio_bridge.h"
#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

class ClientTest : public EchoFixture {
 protected:
  std::vector<ClientOptions> both() const {
    ClientOptions http;
    http.url = url();
    ClientOptions local;
    local.socket_path = socket_path_;
    return {http, local};
  }
};

json::Object text_argument(std::string_view text) {
  json::Object arguments;
  arguments["text"] = text;
  return arguments;
}

TEST_F(ClientTest, CallsToolsOverBothTransports) {
  for (const ClientOptions& options : both()) {
    auto client = Client::connect(options);
    ASSERT_TRUE(client.ok());
    for (int i = 0; i < 3; ++i) {
      auto reply = (*client)->call_tool("echo", text_argument("h\xc3\xa9\"\n"));
      ASSERT_TRUE(reply.ok()) << reply.error().message;
      EXPECT_FALSE(reply->is_error);
      EXPECT_EQ(json::find_string(reply->structured.get_object(), "text"), "h\xc3\xa9\"\n");
    }
    auto fault = (*client)->call_tool("add", {});
    ASSERT_TRUE(fault.ok());
    EXPECT_TRUE(fault->is_error);
    EXPECT_TRUE(fault->structured.is_null());
    EXPECT_NE(fault->text.find("'a' is required"), std::string::npos);
    auto unknown = (*client)->call_tool("n\xc3\xb6pe", {});
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(unknown.error().message.find("Unknown tool"), std::string::npos);
  }
}

TEST_F(ClientTest, ListenerHearsOfUpdates) {
  for (const ClientOptions& options : both()) {
    auto client = Client::connect(options);
    ASSERT_TRUE(client.ok());
    auto listener = (*client)->listen({"test://counter"});
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    auto nothing = (*listener)->next(20ms);
    ASSERT_TRUE(nothing.ok());
    EXPECT_FALSE(nothing->has_value());
    ASSERT_TRUE((*client)->call_tool("bump", {}).ok());
    auto update = (*listener)->next(10s);
    ASSERT_TRUE(update.ok()) << update.error().message;
    EXPECT_EQ(*update, "test://counter");
    EXPECT_FALSE((*client)->listen({"other://x"}).ok());
  }
}

TEST_F(ClientTest, RefusedCredentialsAreDenied) {
  for (ClientOptions options : both()) {
    options.token = "wrong";
    auto client = Client::connect(options);
    ASSERT_TRUE(client.ok());
    auto reply = (*client)->call_tool("bump", {});
    ASSERT_FALSE(reply.ok());
    EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied) << reply.error().message;
  }
}

TEST_F(ClientTest, MissingEngineSaysWhatToDo) {
  ClientOptions options;
  options.socket_path = socket_path_ + ".none";
  auto client = Client::connect(options);
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(client.error().message.find("state-engine serve"), std::string::npos);
}

TEST_F(ClientTest, BridgeAnswersEverythingThatWasInFlightAtTheEndOfInput) {
  int input[2];
  int output[2];
  ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(output, O_CLOEXEC), 0);
  const std::string lines = modern("tools/call", R"("name":"sleep","arguments":{"ms":100},)", "1") +
                            "\n" + modern("tools/call", R"("name":"whoami",)", "2") + "\n";
  ASSERT_EQ(::write(input[1], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  ::close(input[1]);
  const Status status = run_stdio_bridge({socket_path_, "", input[0], output[1]});
  EXPECT_TRUE(status.ok());
  ::close(output[1]);
  std::string text(64 * 1024, '\0');
  const ssize_t count = ::read(output[0], text.data(), text.size());
  ASSERT_GT(count, 0);
  text.resize(static_cast<std::size_t>(count));
  EXPECT_NE(text.find("slept_ms"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("actor":"mcp:)"), std::string::npos) << text;
  ::close(input[0]);
  ::close(output[0]);
}

}  // namespace
}  // namespace state_engine::mcp
