// The doors of MCP: the JSON-RPC dispatcher, HTTP with its bodies, and the line framing of stdio.

#include <array>
#include <chrono>
#include <sys/socket.h>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <unistd.h>

#include "mcp/protocol/era.h"
#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/message.h"
#include "mcp/protocol/stream_endpoint.h"
#include "net/blocking_socket.h"
#include "tests/fuzz/targets.h"
#include "tests/mcp/echo_tools.h"

namespace state_engine::fuzz {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

net::BlockingSocket::Deadline soon() { return std::chrono::steady_clock::now() + 20s; }

mcp::AuthOutcome let_in(const mcp::Credentials&) {
  return {mcp::Caller{"fuzz", "fuzz", {"*"}}, std::nullopt};
}

// One server behind all doors, for the life of the process.
struct World {
  World() {
    mcp::register_echo_tools(server, echo);
    endpoint.mount(http);
    const Status listening = http.listen("127.0.0.1", 0);
    SE_ASSERT(listening.ok());
  }

  static World& get() {
    static World* const world = new World;  // Never destroyed: threads of it outlive main().
    return *world;
  }

  NullLog log;
  SystemRandom random;
  mcp::EchoWorld echo;
  net::IoRuntime runtime{2};
  mcp::Server server{runtime.make_strand(), {.version = "1", .instructions = "Echo."}, log};
  net::HttpServer http{runtime, {}, log};
  mcp::HttpEndpoint endpoint{server, {}, let_in, random, log};
  mcp::StreamEndpoint streams{runtime, server, {}, let_in, log};
};

void check_reply(const mcp::Message& message, const mcp::Reply& reply, mcp::Era era) {
  const auto value = json::parse(reply.text, json::trusted_limits());
  SE_ASSERT(value.ok() && value->is_object());
  const json::Object& object = value->get_object();
  const json::Value* id = object.if_contains("id");
  SE_ASSERT(id != nullptr && json::write(*id) == message.id);
  const json::Value* result = object.if_contains("result");
  SE_ASSERT((result == nullptr) == object.contains("error"));
  if (result == nullptr) return;
  SE_ASSERT(result->get_object().contains("resultType") == (era == mcp::Era::kModern));
}

void fuzz_dispatcher(std::string_view input) {
  World& world = World::get();
  static auto* const loop = new asio::io_context;
  auto parsed = mcp::parse_message(input);
  if (const auto* fault = std::get_if<mcp::MessageFault>(&parsed)) {
    SE_ASSERT(json::parse(mcp::error_text(fault->id, fault->error), json::trusted_limits()).ok());
    return;
  }
  const mcp::Message& message = std::get<mcp::Message>(parsed);
  if (message.kind != mcp::Message::Kind::kRequest) return;
  // Waits in real time, and tells nothing about parsing.
  if (input.find("sleep") != std::string_view::npos) return;
  mcp::RequestContext context;
  context.era = mcp::era_of_body(message).value_or(mcp::Era::kLegacy);
  context.executor = loop->get_executor();
  mcp::fill_context(message, context);
  mcp::Reply reply;
  auto handle = [&]() -> asio::awaitable<void> {
    reply = co_await world.server.handle(message, context);
  };
  auto done = asio::co_spawn(*loop, handle, asio::use_future);
  loop->restart();
  loop->run();
  done.get();
  check_reply(message, reply, context.era);
}

void fuzz_http(std::string_view input) {
  World& world = World::get();
  auto socket =
      net::BlockingSocket::connect_tcp("127.0.0.1", std::to_string(world.http.port()), soon());
  SE_ASSERT(socket.ok());
  // The server may close before it has read everything.
  std::ignore = socket->write_all(input, soon());
  ::shutdown(socket->descriptor(), SHUT_WR);
  std::string answer;
  while (true) {
    const auto bytes = socket->read_some(soon());
    if (!bytes.ok()) SE_ASSERT(bytes.error().code != ErrorCode::kDeadlineExceeded);
    if (!bytes.ok() || bytes->empty()) break;
    if (answer.size() < 64) answer += *bytes;
  }
  SE_ASSERT(answer.empty() || answer.starts_with("HTTP/1.1 "));
  // A reset, so that no port stays taken for a minute.
  const linger at_once{1, 0};
  ::setsockopt(socket->descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void fuzz_stdio(std::string_view input) {
  World& world = World::get();
  // As much as a pipe takes at once.
  input = input.substr(0, 32 * 1024);
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  SE_ASSERT(::pipe(in.data()) == 0 && ::pipe(out.data()) == 0);
  SE_ASSERT(::write(in[1], input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  ::close(in[1]);
  std::string text;
  std::thread reader([&] {
    std::array<char, 4096> chunk{};
    for (ssize_t count = 0; (count = ::read(out[0], chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
  });
  Status status;
  world.runtime.run_blocking(
      [](mcp::StreamEndpoint& streams, int from, int to, Status& done) -> asio::awaitable<void> {
        done = co_await streams.serve_descriptors(from, to);
      }(world.streams, in[0], out[1], status));
  ::close(in[0]);
  ::close(out[1]);
  reader.join();
  ::close(out[0]);
  SE_ASSERT(status.ok());
  for (std::size_t start = 0; start < text.size();) {
    const auto end = text.find('\n', start);
    SE_ASSERT(end != std::string::npos);
    SE_ASSERT(json::parse(text.substr(start, end - start), json::trusted_limits()).ok());
    start = end + 1;
  }
}

constexpr std::array<Target, 3> kTargets{
    {{"dispatcher", fuzz_dispatcher}, {"http", fuzz_http}, {"stdio", fuzz_stdio}}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

}  // namespace state_engine::fuzz
