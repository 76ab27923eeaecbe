// The ladder of checks of Streamable HTTP as a table: request -> HTTP status and JSON-RPC code.

#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

using HttpLadderTest = EchoFixture;

constexpr std::string_view kPing = R"({"jsonrpc":"2.0","id":7,"method":"ping"})";

struct Rung {
  std::string what;
  std::string body;
  net::Headers headers;
  int status;
  std::int64_t code;  // 0: no error
};

TEST_F(HttpLadderTest, ModernRequestsAreCheckedInOrder) {
  const auto list = modern_headers("tools/list");
  const std::string unknown_version =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{)"
      R"("io.modelcontextprotocol/protocolVersion":"2099-01-01",)"
      R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  const std::string no_capabilities =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{)"
      R"("io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})";
  const std::string call = modern("tools/call", R"("name":"echo","arguments":{"text":"a"},)");
  const Rung rungs[] = {
      {"discover", modern("server/discover"), modern_headers("server/discover"), 200, 0},
      {"list", modern("tools/list"), list, 200, 0},
      {"no version header", modern("tools/list"), {{"Mcp-Method", "tools/list"}}, 400, -32020},
      {"other version header",
       modern("tools/list"),
       {{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Method", "tools/list"}},
       400,
       -32020},
      {"header without _meta", R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", list, 400,
       -32602},
      {"initialize by header", R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})",
       modern_headers("initialize"), 400, -32020},
      {"initialize by body", modern("initialize"), modern_headers("initialize"), 404, -32601},
      {"unknown version",
       unknown_version,
       {{"MCP-Protocol-Version", "2099-01-01"}, {"Mcp-Method", "tools/list"}},
       400,
       -32022},
      {"no capabilities", no_capabilities, list, 400, -32602},
      {"no method header",
       modern("tools/list"),
       {{"MCP-Protocol-Version", "2026-07-28"}},
       400,
       -32020},
      {"other method header", modern("tools/list"), modern_headers("tools/call"), 400, -32020},
      {"method header in other case", modern("tools/list"), modern_headers("Tools/List"), 400,
       -32020},
      {"no name header", call, modern_headers("tools/call"), 400, -32020},
      {"other name header", call, modern_headers("tools/call", "add"), 400, -32020},
      {"encoded name header", call, modern_headers("tools/call", "=?base64?ZWNobw==?="), 200, 0},
      {"padded name header", call, modern_headers("tools/call", "  echo  "), 200, 0},
      {"bad encoded name", call, modern_headers("tools/call", "=?base64?ZWN*bw==?="), 400, -32020},
      {"unknown method", modern("no/such"), modern_headers("no/such"), 404, -32601},
      {"ping is gone", modern("ping"), modern_headers("ping"), 404, -32601},
      {"subscribe is gone", modern("resources/subscribe"), modern_headers("resources/subscribe"),
       404, -32601},
      {"unknown tool", modern("tools/call", R"("name":"nope",)"),
       modern_headers("tools/call", "nope"), 200, -32602},
      {"missing resource", modern("resources/read", R"("uri":"test://missing",)"),
       modern_headers("resources/read", "test://missing"), 200, -32602},
      {"bad cursor", modern("tools/list", R"("cursor":"x",)"), list, 200, -32602},
      {"empty cursor", modern("tools/list", R"("cursor":"",)"), list, 200, 0},
      {"bad listen", modern("subscriptions/listen"), modern_headers("subscriptions/listen"), 200,
       -32602},
      {"tool that throws", modern("tools/call", R"("name":"crash",)"),
       modern_headers("tools/call", "crash"), 200, -32603},
  };
  for (const Rung& rung : rungs) {
    const HttpAnswer answer = post(rung.body, rung.headers);
    EXPECT_EQ(answer.status, rung.status) << rung.what << "\n" << answer.text;
    EXPECT_EQ(answer.error_code(), rung.code) << rung.what << "\n" << answer.text;
    EXPECT_EQ(json::find_int(answer.json, "id"), 1) << rung.what;
  }
}

TEST_F(HttpLadderTest, LegacyRequestsWithoutASessionAreServedStatelessly) {
  const Rung rungs[] = {
      {"ping without header", std::string{kPing}, {}, 200, 0},
      {"ping 2025-11-25", std::string{kPing}, {{"MCP-Protocol-Version", "2025-11-25"}}, 200, 0},
      {"ping 2025-03-26", std::string{kPing}, {{"MCP-Protocol-Version", "2025-03-26"}}, 200, 0},
      {"unsupported header",
       std::string{kPing},
       {{"MCP-Protocol-Version", "1999-01-01"}},
       400,
       -32000},
      {"unknown session", std::string{kPing}, {{"Mcp-Session-Id", "none"}}, 404, -32001},
      {"discover", R"({"jsonrpc":"2.0","id":7,"method":"server/discover"})", {}, 200, -32601},
      {"subscribe needs a session",
       R"({"jsonrpc":"2.0","id":7,"method":"resources/subscribe",)"
       R"("params":{"uri":"test://counter"}})",
       {},
       200,
       -32601},
      {"initialize without version",
       R"({"jsonrpc":"2.0","id":7,"method":"initialize","params":{}})",
       {},
       200,
       -32602},
  };
  for (const Rung& rung : rungs) {
    const HttpAnswer answer = post(rung.body, rung.headers);
    EXPECT_EQ(answer.status, rung.status) << rung.what << "\n" << answer.text;
    EXPECT_EQ(answer.error_code(), rung.code) << rung.what << "\n" << answer.text;
    EXPECT_EQ(json::find_int(answer.json, "id"), 7) << rung.what;
  }
}

TEST_F(HttpLadderTest, HostileBodiesAreRefusedWithoutAnInventedId) {
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  const std::pair<std::string, std::int64_t> bodies[] = {
      {"", -32700},
      {"{", -32700},
      {"nonsense", -32700},
      {"\"\xff\xfe\"", -32700},
      {R"({"jsonrpc":"2.0","id":1,"id":2,"method":"ping"})", -32700},
      {"[]", -32600},
      {"[" + std::string{kPing} + "]", -32600},
      {"7", -32600},
      {R"({"jsonrpc":"2.0","id":null,"method":"ping"})", -32600},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})", -32600},
      {R"({"jsonrpc":"2.0","id":{},"method":"ping"})", -32600},
      {R"({"jsonrpc":"2.0","id":")" + std::string(5000, 'x') + R"(","method":"ping"})", -32600},
  };
  for (const auto& [body, code] : bodies) {
    const HttpAnswer answer = post(body);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 80);
    EXPECT_EQ(answer.error_code(), code) << body.substr(0, 80) << answer.body;
    EXPECT_FALSE(answer.json.contains("id")) << body.substr(0, 80);
  }
  const HttpAnswer nested = post(deep);
  EXPECT_EQ(nested.status, 400);
  EXPECT_LT(nested.error_code(), 0);
  EXPECT_EQ(post(std::string(2'000'000, ' ')).status, 413);
}

TEST_F(HttpLadderTest, TransportFaultsComeBeforeTheBody) {
  const net::Headers json_type{{"Content-Type", "application/json"}};
  EXPECT_EQ(exchange("POST", "/mcp", {{"Content-Type", "text/plain"}}, "{").status, 415);
  EXPECT_EQ(exchange("POST", "/mcp", {}, kPing).status, 415);
  EXPECT_EQ(
      exchange("POST", "/mcp", {{"content-type", "Application/JSON; charset=utf-8"}}, kPing).status,
      200);
  EXPECT_EQ(exchange("POST", "/mcp", json_type, kPing).status, 200);
  const auto with = [&](std::string name, std::string value) {
    net::Headers headers = json_type;
    headers.add(std::move(name), std::move(value));
    return exchange("POST", "/mcp", std::move(headers), kPing).status;
  };
  EXPECT_EQ(with("Accept", "*/*"), 200);
  EXPECT_EQ(with("Accept", "text/html"), 406);
  EXPECT_EQ(with("Origin", "http://evil.example"), 403);
  EXPECT_EQ(with("Origin", "null"), 403);
  EXPECT_EQ(with("Host", "evil.example"), 403);
  EXPECT_EQ(with("Origin", "http://localhost:3000"), 200);
  EXPECT_EQ(with("Authorization", "Bearer wrong"), 401);
  for (const std::string_view method : {"GET", "DELETE", "PUT", "PATCH", "HEAD"}) {
    const HttpAnswer answer = exchange(method, "/mcp", {});
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_NE(answer.text.find("Allow: POST"), std::string::npos) << method;
  }
  EXPECT_EQ(exchange("OPTIONS", "/mcp", {}).status, 204);
}

TEST_F(HttpLadderTest, IdsKeepTheirJsonType) {
  for (const std::string_view id : {"0", "-7", "\"7\"", "\"\"", "\"\\u00e9\""}) {
    const HttpAnswer answer = post(modern("tools/list", {}, id), modern_headers("tools/list"));
    const auto expected = json::parse(id);
    ASSERT_TRUE(expected.ok());
    ASSERT_TRUE(answer.json.contains("id")) << id;
    EXPECT_TRUE(json::equal(answer.json.at("id"), *expected)) << answer.body.substr(0, 80);
    EXPECT_EQ(answer.json.at("id").kind(), expected->kind());
  }
}

TEST_F(HttpLadderTest, OnlyTheModernEraCarriesResultTypeAndCacheHints) {
  const HttpAnswer modern_list = post(modern("tools/list"), modern_headers("tools/list"));
  for (const std::string_view member : {"resultType", "ttlMs", "cacheScope", "serverInfo"}) {
    EXPECT_NE(modern_list.body.find(member), std::string::npos) << member;
  }
  const HttpAnswer legacy_list = post(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  EXPECT_EQ(legacy_list.status, 200);
  for (const std::string_view member : {"resultType", "ttlMs", "cacheScope"}) {
    EXPECT_EQ(legacy_list.body.find(member), std::string::npos) << member;
  }
}

TEST_F(HttpLadderTest, NotificationsAreAcceptedWithoutABody) {
  const HttpAnswer legacy = post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  EXPECT_EQ(legacy.status, 202);
  EXPECT_EQ(legacy.body, "");
  const HttpAnswer modern_one =
      post(R"({"jsonrpc":"2.0","method":"notifications/x"})",
           {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "notifications/x"}});
  EXPECT_EQ(modern_one.status, 202);
}

TEST_F(HttpLadderTest, FailedCallsAreTextOnlyAndNameWhatIsAllowed) {
  const HttpAnswer answer = post(modern("tools/call", R"("name":"add","arguments":{"a":"1"},)"),
                                 modern_headers("tools/call", "add"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("\"isError\":true"), std::string::npos);
  EXPECT_EQ(answer.body.find("structuredContent"), std::string::npos);
  EXPECT_NE(answer.body.find("'a' must be an integer, got string"), std::string::npos);
  EXPECT_NE(answer.body.find("'b' is required"), std::string::npos);
}

TEST_F(HttpLadderTest, TraceparentReachesTheTool) {
  net::Headers headers = modern_headers("tools/call", "whoami");
  headers.add("traceparent", "00-abc-def-01");
  const HttpAnswer answer = post(modern("tools/call", R"("name":"whoami",)"), headers);
  EXPECT_NE(answer.body.find("00-abc-def-01"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::mcp
