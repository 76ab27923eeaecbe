// Each tool shows one thing that clients meet: structured text, progress, cancellation, a throw.

#include "tests/mcp/echo_tools.h"

#include <algorithm>
#include <stdexcept>

#include <boost/asio/this_coro.hpp>

#include "net/wake_signal.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

using ToolAnswer = asio::awaitable<Result<ToolResult>>;

json::Object schema(std::string_view text) {
  auto parsed = json::parse(text);
  SE_ASSERT(parsed.ok());
  return parsed->get_object();
}

ToolDefinition tool(std::string name, std::string_view input_schema, ToolHandler handler) {
  ToolDefinition definition;
  definition.title = name;
  definition.description = "A test tool: " + name + ".";
  definition.name = std::move(name);
  definition.input_schema = schema(input_schema);
  definition.annotations = {true, false, true, false};
  definition.handler = std::move(handler);
  return definition;
}

ToolAnswer echo(json::Object arguments, RequestContext&) {
  ArgumentReader reader(arguments, "echo");
  json::Object result;
  result["text"] = reader.required_string("text", {.bytes_max = 200'000});
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  co_return ToolResult::object(std::move(result));
}

ToolAnswer add(json::Object arguments, RequestContext&) {
  ArgumentReader reader(arguments, "add");
  const auto a = reader.required_int("a", -1'000'000, 1'000'000);
  const auto b = reader.required_int("b", -1'000'000, 1'000'000);
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  co_return ToolResult::object_text("{\"sum\":" + std::to_string(a + b) + "}");
}

ToolAnswer big(json::Object arguments, RequestContext&) {
  ArgumentReader reader(arguments, "big");
  const auto bytes = reader.required_int("bytes", 0, 10'000'000);
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  json::Object result;
  result["text"] = std::string(static_cast<std::size_t>(bytes), 'x');
  co_return ToolResult::object(std::move(result));
}

ToolAnswer crash(json::Object, RequestContext&) {
  throw std::runtime_error("this tool always throws");
  co_return ToolResult{};
}

ToolAnswer whoami(json::Object, RequestContext& context) {
  json::Object result;
  result["actor"] = context.caller.actor;
  result["principal"] = context.caller.principal;
  result["traceparent"] = context.traceparent;
  result["version"] = context.protocol_version;
  co_return ToolResult::object(std::move(result));
}

// Ten steps, each with a progress report; stops early when nobody waits any more.
ToolAnswer run_sleep(EchoWorld& world, json::Object arguments, RequestContext& context) {
  ArgumentReader reader(arguments, "sleep");
  const auto ms = reader.required_int("ms", 0, 60'000);
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  const net::WakeSignal wake(co_await asio::this_coro::executor);
  const auto watch = context.cancel.on_cancel([wake] { wake.notify(); });
  ++world.started_sleeps;
  constexpr int kSteps = 10;
  for (int step = 1; step <= kSteps; ++step) {
    if (context.cancel.cancelled() ||
        co_await wake.wait(std::chrono::milliseconds{ms / kSteps + 1})) {
      ++world.cancelled_calls;
      co_return ToolResult::error("cancelled");
    }
    context.report_progress(step, kSteps, "step " + std::to_string(step));
  }
  ++world.finished_sleeps;
  json::Object result;
  result["slept_ms"] = ms;
  co_return ToolResult::object(std::move(result));
}

ToolAnswer run_bump(Server& server, EchoWorld& world) {
  json::Object result;
  result["counter"] = ++world.counter;
  server.notify_resource_updated("test://counter");
  co_return ToolResult::object(std::move(result));
}

ToolAnswer run_touch(Server& server, json::Object arguments) {
  ArgumentReader reader(arguments, "touch");
  const std::string uri = reader.required_string("uri");
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  server.notify_resource_updated(uri);
  json::Object result;
  result["uri"] = uri;
  co_return ToolResult::object(std::move(result));
}

asio::awaitable<Result<std::vector<ResourceContents>>> read(EchoWorld& world, std::string uri) {
  std::vector<ResourceContents> contents(1);
  contents[0].uri = uri;
  if (uri == "test://counter") {
    contents[0].text = "{\"counter\":" + std::to_string(world.counter.load()) + "}";
  } else if (uri.starts_with("test://item/") && uri.size() > 12 && !uri.ends_with("missing")) {
    contents[0].text = "{\"item\":\"" + uri.substr(12) + "\"}";
  } else {
    co_return Error{ErrorCode::kNotFound, "Resource not found: " + uri};
  }
  co_return contents;
}

asio::awaitable<Result<PromptResult>> greet(json::Object arguments, RequestContext&) {
  PromptResult result;
  result.description = "A greeting";
  json::Object content;
  content["type"] = "text";
  content["text"] = "Greet " + json::find_string(arguments, "name").value_or("nobody");
  json::Object message;
  message["role"] = "user";
  message["content"] = std::move(content);
  result.messages.push_back(std::move(message));
  co_return result;
}

asio::awaitable<Result<std::vector<std::string>>> complete(CompletionRequest request,
                                                           RequestContext&) {
  std::vector<std::string> found;
  for (int i = 0; i < 250; ++i) {
    std::string candidate = "item" + std::to_string(i);
    if (candidate.starts_with(request.value)) found.push_back(std::move(candidate));
  }
  co_return found;
}

void register_resources(Server& server, EchoWorld& world) {
  server.add_resource({"test://counter", "counter", "Counter", "How often bump was called."});
  server.add_resource_template({"test://item/{id}", "item", "Item", "An item by id."});
  server.set_resource_reader(
      [&world](std::string uri, RequestContext&) { return read(world, std::move(uri)); });
  server.set_subscribable([](std::string_view uri) { return uri.starts_with("test://"); });
  server.add_prompt({"greet", "Greet", "Greets a person.", {{"name", "Whom", true}}, greet});
  server.set_completion(complete);
}

}  // namespace

void register_echo_tools(Server& server, EchoWorld& world) {
  constexpr std::string_view kNoInput = R"({"type":"object","properties":{}})";
  ToolDefinition echo_tool = tool(
      "echo", R"({"type":"object","properties":{"text":{"type":"string"}},"required":["text"]})",
      echo);
  echo_tool.output_schema =
      schema(R"({"type":"object","properties":{"text":{"type":"string"}},"required":["text"]})");
  server.add_tool(std::move(echo_tool));
  server.add_tool(tool("add",
                       R"({"type":"object","properties":{"a":{"type":"integer"},
                           "b":{"type":"integer"}},"required":["a","b"]})",
                       add));
  server.add_tool(tool(
      "big", R"({"type":"object","properties":{"bytes":{"type":"integer"}},"required":["bytes"]})",
      big));
  server.add_tool(tool("crash", kNoInput, crash));
  server.add_tool(tool("whoami", kNoInput, whoami));
  server.add_tool(
      tool("sleep", R"({"type":"object","properties":{"ms":{"type":"integer"}},"required":["ms"]})",
           [&world](json::Object arguments, RequestContext& context) {
             return run_sleep(world, std::move(arguments), context);
           }));
  server.add_tool(tool("bump", kNoInput, [&server, &world](json::Object, RequestContext&) {
    return run_bump(server, world);
  }));
  server.add_tool(tool(
      "touch", R"({"type":"object","properties":{"uri":{"type":"string"}},"required":["uri"]})",
      [&server](json::Object arguments, RequestContext&) {
        return run_touch(server, std::move(arguments));
      }));
  register_resources(server, world);
}

}  // namespace state_engine::mcp
