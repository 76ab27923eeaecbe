// Challenges, metadata and scopes of the HTTP endpoint, over raw sockets.

#include "mcp/client/client.h"
#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

AuthOutcome by_token(const Credentials& credentials) {
  Caller caller{"bot", "token:" + credentials.bearer_token, {}};
  if (credentials.bearer_token == "reader") {
    caller.scopes = {"state:read"};
  } else if (credentials.bearer_token == "writer") {
    caller.scopes = {"state:write"};
  } else {
    return {{}, AuthFailure{401, "a token is needed", {}}};
  }
  return {std::move(caller), std::nullopt};
}

HttpEndpointOptions protected_options() {
  HttpEndpointOptions options;
  options.path = "/guarded";
  options.legacy_sse = false;
  options.keep_alive = 20ms;
  options.listens_per_client_max = 2;
  options.resource.authorization_servers = {"https://issuer.example"};
  options.resource.scopes = {"state:read", "state:write"};
  return options;
}

class AuthorizationTest : public EchoFixture {
 protected:
  AuthorizationTest() {
    ToolDefinition write;
    write.name = "write";
    write.description = "Needs a scope.";
    write.input_schema = json::Object{{"type", "object"}};
    write.required_scope = "state:write";
    write.handler = [](json::Object,
                       RequestContext&) -> boost::asio::awaitable<Result<ToolResult>> {
      co_return ToolResult::object({});
    };
    guarded_.add_tool(std::move(write));
    guarded_.set_read_scope("state:read");
    guarded_.set_resource_reader(
        [](std::string uri,
           RequestContext&) -> boost::asio::awaitable<Result<std::vector<ResourceContents>>> {
          std::vector<ResourceContents> contents(1);
          contents[0].uri = uri;
          contents[0].text = "{}";
          co_return contents;
        });
    guarded_.set_subscribable([](std::string_view) { return true; });
    endpoint_guarded_.mount(http_guarded_);
    EXPECT_TRUE(http_guarded_.listen("127.0.0.1", 0).ok());
  }

  ~AuthorizationTest() override { runtime_.run_blocking(http_guarded_.shutdown(2s)); }

  net::BlockingSocket ask_guarded(std::string_view method, std::string_view path,
                                  const net::Headers& headers, std::string_view body = {}) {
    auto socket =
        net::BlockingSocket::connect_tcp("127.0.0.1", std::to_string(http_guarded_.port()), soon());
    EXPECT_TRUE(socket.ok());
    EXPECT_TRUE(socket->write_all(http_text(method, path, headers, body), soon()).ok());
    return std::move(*socket);
  }

  std::string call(std::string_view token, std::string_view method, std::string_view name,
                   std::string_view params) {
    net::Headers headers = modern_headers(method, name);
    headers.add("Content-Type", "application/json");
    headers.add("Accept", "application/json, text/event-stream");
    headers.add("Connection", "close");
    if (!token.empty()) headers.add("Authorization", "Bearer " + std::string{token});
    net::BlockingSocket socket = ask_guarded("POST", "/guarded", headers, modern(method, params));
    return read_until(socket, {});
  }

  std::string call_write(std::string_view token) {
    return call(token, "tools/call", "write", R"("name":"write",)");
  }

  std::string read_resource(std::string_view token) {
    return call(token, "resources/read", "state://a", R"("uri":"state://a",)");
  }

  Server guarded_{runtime_.make_strand(), {}, log_};
  std::atomic<bool> open_{true};
  net::HttpServer http_guarded_{runtime_, {}, log_};
  HttpEndpoint endpoint_guarded_{guarded_, protected_options(),
                                 [this](const Credentials& credentials) {
                                   return open_ ? by_token(credentials) : by_token(Credentials{});
                                 },
                                 random_, log_};
};

TEST_F(AuthorizationTest, MissingTokenIsChallengedWithMetadataAndScopes) {
  const std::string answer = call_write("");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
  EXPECT_NE(answer.find(R"(WWW-Authenticate: Bearer resource_metadata="http://localhost/)"
                        R"(.well-known/oauth-protected-resource/guarded", )"
                        R"(scope="state:read state:write")"),
            std::string::npos)
      << answer;
  EXPECT_EQ(answer.find("invalid_token"), std::string::npos);
  EXPECT_NE(call_write("stale").find(R"(error="invalid_token")"), std::string::npos);
}

TEST_F(AuthorizationTest, MetadataNamesResourceAndAuthorizationServer) {
  for (const char* path :
       {"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/guarded"}) {
    net::BlockingSocket socket = ask_guarded("GET", path, {{"Connection", "close"}});
    const std::string answer = read_until(socket, {});
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
    EXPECT_NE(answer.find(R"("resource":"http://localhost/guarded")"), std::string::npos);
    EXPECT_NE(answer.find(R"("authorization_servers":["https://issuer.example"])"),
              std::string::npos);
  }
}

TEST_F(AuthorizationTest, WithoutAuthorizationServersThereIsNoMetadata) {
  EXPECT_EQ(exchange("GET", "/.well-known/oauth-protected-resource", {}).status, 404);
}

TEST_F(AuthorizationTest, HostThatIsNoAuthorityNeverReachesAHeader) {
  net::BlockingSocket socket = ask_guarded("GET", "/.well-known/oauth-protected-resource",
                                           {{"Host", "evil\"/x"}, {"Connection", "close"}});
  const std::string answer = read_until(socket, {});
  EXPECT_FALSE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_EQ(answer.find("evil"), std::string::npos) << answer;
}

TEST_F(AuthorizationTest, MissingScopeIs403ThatNamesAllScopesAtOnce) {
  const std::string answer = call_write("reader");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403")) << answer;
  EXPECT_NE(answer.find(R"(error="insufficient_scope", scope="state:read state:write")"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("Ask the user"), std::string::npos);
  EXPECT_TRUE(call_write("writer").starts_with("HTTP/1.1 200"));
}

TEST_F(AuthorizationTest, OurClientSaysWhichScopeIsMissing) {
  ClientOptions options;
  options.url = "http://127.0.0.1:" + std::to_string(http_guarded_.port()) + "/guarded";
  options.token = "reader";
  auto client = Client::connect(options);
  ASSERT_TRUE(client.ok());
  const auto reply = (*client)->call_tool("write", {});
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(reply.error().message.find("state:write"), std::string::npos) << reply.error().message;
}

TEST_F(AuthorizationTest, ReadingNeedsItsScopeOutsideToolsToo) {
  EXPECT_TRUE(read_resource("reader").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(read_resource("writer").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(call("writer", "subscriptions/listen", {},
                   R"("notifications":{"resourceSubscriptions":["state://a"]},)")
                  .starts_with("HTTP/1.1 403"));
}

TEST_F(AuthorizationTest, WithdrawnTokenEndsAnOpenListen) {
  net::Headers headers = modern_headers("subscriptions/listen");
  headers.add("Content-Type", "application/json");
  headers.add("Authorization", "Bearer reader");
  net::BlockingSocket socket =
      ask_guarded("POST", "/guarded", headers,
                  modern("subscriptions/listen",
                         R"("notifications":{"resourceSubscriptions":["state://a"]},)"));
  read_until(socket, "acknowledged");
  EXPECT_TRUE(eventually([&] { return endpoint_guarded_.listeners() == 1; }));
  open_ = false;
  EXPECT_TRUE(eventually([&] { return endpoint_guarded_.listeners() == 0; }));
}

TEST_F(AuthorizationTest, OneClientCannotTakeAllListens) {
  const auto listen = [&] {
    net::Headers headers = modern_headers("subscriptions/listen");
    headers.add("Content-Type", "application/json");
    headers.add("Authorization", "Bearer reader");
    return ask_guarded("POST", "/guarded", headers,
                       modern("subscriptions/listen",
                              R"("notifications":{"resourceSubscriptions":["state://a"]},)"));
  };
  {
    net::BlockingSocket first = listen();
    net::BlockingSocket second = listen();
    read_until(first, "acknowledged");
    read_until(second, "acknowledged");
    net::BlockingSocket third = listen();
    EXPECT_NE(read_until(third, "end one first").find("HTTP/1.1 429"), std::string::npos);
  }
  EXPECT_TRUE(eventually([&] { return endpoint_guarded_.listeners() == 0; }));
  net::BlockingSocket again = listen();
  EXPECT_NE(read_until(again, "acknowledged").find("HTTP/1.1 200"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::mcp
