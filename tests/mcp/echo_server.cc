// mcp_echo_server [--port N] [--socket PATH] [--stdio]: the echo tools on real transports.
// Prints the URL on stderr and serves until its standard input ends (or, with --stdio, is served).

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/stream_endpoint.h"
#include "tests/mcp/echo_tools.h"

namespace {

using namespace state_engine;  // NOLINT(google-build-using-namespace): a test program

class StderrLog final : public Log {
 public:
  void write(LogLevel, std::string_view message, std::initializer_list<LogField> fields) override {
    std::string line{message};
    for (const LogField& field : fields) {
      line.append(" ").append(field.name).append("=").append(json::write(field.value));
    }
    std::cerr << line << std::endl;
  }
  bool enabled(LogLevel level) const override { return level >= LogLevel::kWarn; }
};

mcp::AuthOutcome authenticate(const mcp::Credentials& credentials) {
  if (credentials.bearer_token == "wrong") return {{}, mcp::AuthFailure{401, "bad token", {}}};
  mcp::Caller caller;
  caller.actor = credentials.hello_client + ":" + credentials.peer_user;
  caller.principal = "test";
  caller.scopes = {"*"};
  return {std::move(caller), std::nullopt};
}

struct Options {
  std::uint16_t port = 0;
  std::string socket;
  bool stdio = false;
};

Options read_options(const std::vector<std::string_view>& arguments) {
  Options options;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--stdio") options.stdio = true;
    if (i + 1 >= arguments.size()) continue;
    if (arguments[i] == "--port") {
      options.port = static_cast<std::uint16_t>(std::atoi(std::string{arguments[i + 1]}.c_str()));
    }
    if (arguments[i] == "--socket") options.socket = arguments[i + 1];
  }
  return options;
}

boost::asio::awaitable<void> serve_stdio(mcp::StreamEndpoint& streams, Status& status) {
  status = co_await streams.serve_descriptors(STDIN_FILENO, STDOUT_FILENO);
}

int serve(const Options& options) {
  StderrLog log;
  SystemRandom random;
  net::IoRuntime runtime(2);
  mcp::EchoWorld world;
  mcp::Server server(runtime.make_strand(), {.version = "1.0.0", .instructions = "Echo things."},
                     log);
  mcp::register_echo_tools(server, world);
  net::HttpServer http(runtime, {}, log);
  mcp::HttpEndpoint endpoint(server, {}, authenticate, random, log);
  endpoint.mount(http);
  mcp::StreamEndpoint streams(runtime, server, {}, authenticate, log);
  Status status;
  if (options.stdio) {
    runtime.run_blocking(serve_stdio(streams, status));
  } else {
    status = http.listen("127.0.0.1", options.port);
    if (status.ok() && !options.socket.empty()) status = streams.listen_unix(options.socket);
    if (status.ok()) {
      std::cerr << "http://127.0.0.1:" << http.port() << "/mcp" << std::endl;
      char byte = 0;
      while (::read(STDIN_FILENO, &byte, 1) > 0) {
      }
    }
  }
  runtime.run_blocking(http.shutdown(std::chrono::seconds{1}));
  runtime.run_blocking(streams.shutdown(std::chrono::seconds{1}));
  runtime.stop();
  if (!status.ok()) std::cerr << status.error().message << std::endl;
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) { return serve(read_options({argv, argv + argc})); }
