// mcp-conformance-server [--port N] [--stdio]: the conformance fixture on the transports of the
// product. Prints the URL on stderr and serves until its standard input ends. Never shipped.

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/stream_endpoint.h"
#include "tests/mcp/conformance_fixture.h"

namespace {

using namespace state_engine;  // NOLINT(google-build-using-namespace): a test program

mcp::AuthOutcome let_in(const mcp::Credentials&) {
  return {{"anonymous", "none", {"*"}}, std::nullopt};
}

boost::asio::awaitable<void> serve_stdio(mcp::StreamEndpoint& streams, Status& status) {
  status = co_await streams.serve_descriptors(STDIN_FILENO, STDOUT_FILENO);
}

void wait_for_end_of_input() {
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int serve(std::uint16_t port, bool stdio) {
  NullLog log;
  SystemRandom random;
  net::IoRuntime runtime(2);
  mcp::ServerOptions options;
  options.name = "mcp-conformance-server";
  options.version = "1.0.0";
  options.logging = true;
  mcp::Server server(runtime.make_strand(), std::move(options), log);
  mcp::register_content_tools(server);
  mcp::register_asking_tools(server);
  mcp::register_fixture_resources(server);
  mcp::register_fixture_prompts(server);
  net::HttpServer http(runtime, {}, log);
  mcp::HttpEndpoint endpoint(server, {}, let_in, random, log);
  endpoint.mount(http);
  mcp::StreamEndpoint streams(runtime, server, {}, let_in, log);
  Status status;
  if (stdio) {
    runtime.run_blocking(serve_stdio(streams, status));
  } else {
    status = http.listen("127.0.0.1", port);
    if (status.ok()) {
      std::cerr << "http://127.0.0.1:" << http.port() << "/mcp" << std::endl;
      wait_for_end_of_input();
    }
  }
  runtime.run_blocking(http.shutdown(std::chrono::seconds{1}));
  runtime.run_blocking(streams.shutdown(std::chrono::seconds{1}));
  runtime.stop();
  if (!status.ok()) std::cerr << status.error().message << std::endl;
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::uint16_t port = 0;
  bool stdio = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--stdio") stdio = true;
    if (arguments[i] == "--port" && i + 1 < arguments.size()) {
      port = static_cast<std::uint16_t>(std::atoi(arguments[i + 1].c_str()));
    }
  }
  return serve(port, stdio);
}
