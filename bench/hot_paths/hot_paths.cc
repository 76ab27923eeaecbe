// One hot path, run COUNT times in one thread with virtual time, so that its instructions can be
// counted: `bench_hot_paths PATH COUNT`. bench/hot_paths.py runs it under callgrind with two counts
// and takes the difference. Every round checks its result.

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "core/chain.h"
#include "mcp/protocol/era.h"
#include "mcp/protocol/message.h"
#include "mcp/protocol/server.h"
#include "mcp/state/state_service.h"
#include "tests/support/engine_world.h"

namespace state_engine {
namespace {

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "bench_hot_paths: %s\n", message.c_str());
  std::exit(1);
}

void expect(bool holds, const char* what) {
  if (!holds) die(std::string("wrong result: ") + what);
}

std::string call_text(std::string_view tool, std::string_view arguments) {
  return R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":")" + std::string(tool) +
         R"(","arguments":)" + std::string(arguments) +
         R"(,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)" +
         R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
}

constexpr const char* kRules = R"([{"id": "on-air",
  "when": {"and": [{"==": [{"var": "key"}, "stream.state"]}, {"==": [{"var": "value"}, "on"]}]},
  "actions": [{"type": "publishEgress", "payload": {"type": "obs.scene", "scene": "Live"}}]}])";

// An engine with 1,000 keys behind the tools, without a network.
class World {
 public:
  World() {
    service_.install(server_);
    for (int i = 0; i < 1000; ++i) {
      const json::Value fact = json::Object{{"n", i}, {"text", "a fact"}};
      expect(world_.set("user.fact." + std::to_string(i), fact).accepted, "fill");
    }
    expect(world_.set("stream.state", "on").accepted, "fill");
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::string call(const std::string& text) {
    auto parsed = mcp::parse_message(text);
    const auto* message = std::get_if<mcp::Message>(&parsed);
    if (message == nullptr) die("the message does not parse");
    mcp::RequestContext context;
    context.era = mcp::Era::kModern;
    context.caller = mcp::Caller{"bench", "bench", {"*"}};
    context.executor = world_.context().get_executor();
    mcp::fill_context(*message, context);
    auto reply = world_.run(server_.handle(*message, context));
    if (!reply.has_value()) die("no answer");
    world_.changes.clear();
    return std::move(reply->text);
  }

  std::vector<LogEntry> log() { return world_.log(); }

 private:
  // Started before the service below takes its engine.
  struct Started : testing::EngineWorld {
    Started() : EngineWorld({.policy = {{"*"}, {}}, .rules = kRules}) { start(); }
  };

  Started world_;
  NullLog log_;
  SeededRandom random_{7};
  mcp::Server server_{world_.context().get_executor(), {.version = "1", .instructions = ""}, log_};
  mcp::StateService service_{world_.engine(), random_};
};

using Path = std::function<void(int count)>;

void parse_and_write(int count) {
  const std::string text =
      call_text("propose_mutation",
                R"({"key":"stream.state","value":"on","reason":"The streamer went live"})");
  for (int i = 0; i < count; ++i) {
    const auto value = json::parse(text);
    expect(value.ok() && json::write(*value).size() == text.size(), "JSON");
  }
}

void call_tool(std::string_view tool, std::string_view arguments, std::string_view wanted,
               int count) {
  World world;
  const std::string text = call_text(tool, arguments);
  for (int i = 0; i < count; ++i) {
    expect(world.call(text).find(wanted) != std::string::npos, "answer");
  }
}

void hash_entry(int count) {
  World world;
  const LogEntry entry = world.log().back();
  for (int i = 0; i < count; ++i) expect(entry_hash(entry) == entry.hash, "hash");
}

const std::map<std::string_view, Path>& paths() {
  static const std::map<std::string_view, Path> kAll = {
      {"json", parse_and_write},
      {"get_state",
       [](int count) {
         call_tool("get_state", R"({"keys":["stream.state"]})", R"("value":"on")", count);
       }},
      {"get_state_prefix",
       [](int count) {
         call_tool("get_state_prefix", R"({"prefix":"user.","limit":100})", "user.fact.108", count);
       }},
      {"propose_mutation",
       [](int count) {
         call_tool("propose_mutation",
                   R"({"key":"user.fact.1","value":{"n":1},"reason":"benchmark"})", R"("accepted")",
                   count);
       }},
      {"propose_with_rule",
       [](int count) {
         call_tool("propose_mutation",
                   R"({"key":"stream.state","value":"on","reason":"benchmark"})", R"("on-air")",
                   count);
       }},
      {"entry_hash", hash_entry},
  };
  return kAll;
}

int run(std::string_view path, std::string_view count_text) {
  int count = 0;
  const auto [end, error] =
      std::from_chars(count_text.data(), count_text.data() + count_text.size(), count);
  const auto found = paths().find(path);
  if (error != std::errc{} || end != count_text.data() + count_text.size() ||
      found == paths().end()) {
    std::string names;
    for (const auto& [name, unused] : paths()) names += " " + std::string(name);
    die("usage: bench_hot_paths PATH COUNT; paths:" + names);
  }
  found->second(count);
  return 0;
}

}  // namespace
}  // namespace state_engine

int main(int argc, char** argv) {
  if (argc != 3) return state_engine::run("", "");
  return state_engine::run(argv[1], argv[2]);
}
