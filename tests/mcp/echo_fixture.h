// EchoFixture: the echo tools served over HTTP and a Unix socket, with raw access to both.

#ifndef STATE_ENGINE_TESTS_MCP_ECHO_FIXTURE_H_
#define STATE_ENGINE_TESTS_MCP_ECHO_FIXTURE_H_

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/stream_endpoint.h"
#include "mcp/protocol/subscriptions.h"
#include "net/blocking_socket.h"
#include "tests/mcp/echo_tools.h"

namespace state_engine::mcp {

using namespace std::chrono_literals;

struct HttpAnswer {
  int status = 0;
  std::string text;  // head and body as they came
  std::string body;
  json::Object json;  // the body, when it is a JSON object

  // error.code of the body, 0 without one.
  std::int64_t error_code() const {
    const json::Value* error = json.if_contains("error");
    return error && error->is_object() ? json::find_int(error->get_object(), "code").value_or(0)
                                       : 0;
  }
};

inline net::BlockingSocket::Deadline soon() { return std::chrono::steady_clock::now() + 10s; }

template <typename Condition>
bool eventually(Condition condition) {
  for (const auto end = soon(); std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

class EchoFixture : public testing::Test {
 protected:
  EchoFixture() {
    register_echo_tools(server_, world_);
    endpoint_.mount(http_);
    EXPECT_TRUE(http_.listen("127.0.0.1", 0).ok());
    const Status listening = streams_.listen_unix(socket_path_);
    EXPECT_TRUE(listening.ok()) << (listening.ok() ? "" : listening.error().message);
  }

  ~EchoFixture() override {
    runtime_.run_blocking(http_.shutdown(2s));
    runtime_.run_blocking(streams_.shutdown(2s));
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(http_.port()) + "/mcp"; }

  net::BlockingSocket connect_http() const {
    auto socket =
        net::BlockingSocket::connect_tcp("127.0.0.1", std::to_string(http_.port()), soon());
    EXPECT_TRUE(socket.ok());
    return std::move(*socket);
  }

  net::BlockingSocket connect_unix() const {
    auto socket = net::BlockingSocket::connect_unix(socket_path_);
    EXPECT_TRUE(socket.ok());
    return std::move(*socket);
  }

  static std::string read_until(net::BlockingSocket& socket, std::string_view mark) {
    std::string all;
    while (mark.empty() || all.find(mark) == std::string::npos) {
      auto bytes = socket.read_some(soon());
      if (!bytes.ok() || bytes->empty()) break;
      all += *bytes;
    }
    return all;
  }

  static std::string http_text(std::string_view method, std::string_view path,
                               const net::Headers& headers, std::string_view body) {
    std::string text = std::string{method} + " " + std::string{path} + " HTTP/1.1\r\n";
    if (!headers.find("Host")) text += "Host: localhost\r\n";
    for (const net::Header& field : headers) text += field.name + ": " + field.value + "\r\n";
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return text.append(body);
  }

  HttpAnswer exchange(std::string_view method, std::string_view path, net::Headers headers,
                      std::string_view body = {}) const {
    headers.add("Connection", "close");
    net::BlockingSocket socket = connect_http();
    EXPECT_TRUE(socket.write_all(http_text(method, path, headers, body), soon()).ok());
    HttpAnswer answer;
    answer.text = read_until(socket, {});
    if (answer.text.size() > 12) answer.status = std::stoi(answer.text.substr(9, 3));
    const auto head_end = answer.text.find("\r\n\r\n");
    if (head_end != std::string::npos) answer.body = answer.text.substr(head_end + 4);
    auto parsed = json::parse(answer.body, json::trusted_limits());
    if (parsed.ok() && parsed->is_object()) answer.json = parsed->get_object();
    return answer;
  }

  // A POST to /mcp with the usual headers and those given.
  HttpAnswer post(std::string_view body, const net::Headers& more = {}) const {
    net::Headers headers{{"Content-Type", "application/json"},
                         {"Accept", "application/json, text/event-stream"}};
    for (const net::Header& field : more) headers.add(field.name, field.value);
    return exchange("POST", "/mcp", std::move(headers), body);
  }

  static net::Headers modern_headers(std::string_view method, std::string_view name = {}) {
    net::Headers headers{{"MCP-Protocol-Version", "2026-07-28"},
                         {"Mcp-Method", std::string{method}}};
    if (!name.empty()) headers.add("Mcp-Name", std::string{name});
    return headers;
  }

  // A modern request; `params` are members before _meta, with a trailing comma.
  static std::string modern(std::string_view method, std::string_view params = {},
                            std::string_view id = "1") {
    return R"({"jsonrpc":"2.0","id":)" + std::string{id} + R"(,"method":")" + std::string{method} +
           R"(","params":{)" + std::string{params} +
           R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
           R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  }

  static AuthOutcome authenticate(const Credentials& credentials) {
    if (credentials.bearer_token == "wrong") return {{}, AuthFailure{401, "bad token", {}}};
    Caller caller;
    caller.actor = credentials.hello_client.empty()
                       ? "anonymous"
                       : credentials.hello_client + ":" + credentials.peer_user;
    caller.principal = credentials.bearer_token.empty() ? "none" : credentials.bearer_token;
    return {std::move(caller), std::nullopt};
  }

  std::string socket_path_ = testing::TempDir() + "mcp-" + std::to_string(::getpid()) + ".sock";
  NullLog log_;
  SystemRandom random_;
  EchoWorld world_;
  net::IoRuntime runtime_{2};
  Server server_{runtime_.make_strand(), {.version = "1.0.0", .instructions = "Echo."}, log_};
  net::HttpServer http_{runtime_, {}, log_};
  HttpEndpoint endpoint_{server_, {}, authenticate, random_, log_};
  StreamEndpoint streams_{runtime_, server_, {}, authenticate, log_};
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_TESTS_MCP_ECHO_FIXTURE_H_
