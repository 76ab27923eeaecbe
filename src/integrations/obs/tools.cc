// Texts are for models that see nothing else. Parameters are read by read_command, so that tools,
// effects and the configuration take the same names.

#include "integrations/obs/tools.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::obs {
namespace {

using Reply = boost::asio::awaitable<Result<mcp::ToolResult>>;

struct CommandTool {
  CommandKind kind;
  std::string_view title;
  std::string_view description;
  std::string_view properties;  // of the input
  std::string_view required;
  bool destructive;
  std::chrono::seconds timeout;
};

constexpr std::array<CommandTool, 10> kTools = {{
    {CommandKind::kSwitchScene, "Switch the OBS scene",
     "Puts a scene on air in OBS and answers when OBS shows it. Scene names are listed by "
     "obs_get_status. Asking for the scene that is on air already changes nothing.",
     R"({"scene":{"type":"string","description":"Name of the scene, exactly as OBS shows it"}})",
     R"(["scene"])", false, std::chrono::seconds{15}},
    {CommandKind::kStartStream, "Start streaming",
     "Starts the stream in OBS and answers when OBS is live, or says that it could not get live. "
     "The public sees what OBS shows from then on. Does nothing if OBS is live already.",
     "{}", "[]", true, std::chrono::seconds{30}},
    {CommandKind::kStopStream, "Stop streaming",
     "Ends the stream in OBS and answers when it has ended. Does nothing if OBS is not live.", "{}",
     "[]", true, std::chrono::seconds{30}},
    {CommandKind::kStartRecord, "Start recording",
     "Starts a recording in OBS and answers when it runs. Does nothing if one runs already.", "{}",
     "[]", false, std::chrono::seconds{15}},
    {CommandKind::kStopRecord, "Stop recording",
     "Ends the recording in OBS and answers with outputPath, the file it went to.", "{}", "[]",
     true, std::chrono::seconds{30}},
    {CommandKind::kPauseRecord, "Pause the recording",
     "Pauses the recording that runs in OBS. A recording with the quality of the stream cannot be "
     "paused.",
     "{}", "[]", false, std::chrono::seconds{10}},
    {CommandKind::kResumeRecord, "Resume the recording", "Goes on with a paused recording in OBS.",
     "{}", "[]", false, std::chrono::seconds{10}},
    {CommandKind::kSetMute, "Mute or unmute an OBS input",
     "Mutes or unmutes an audio input in OBS and answers when OBS says so.",
     R"({"input":{"type":"string","description":"Name of the input, for example Mic/Aux"},
         "muted":{"type":"boolean"}})",
     R"(["input","muted"])", false, std::chrono::seconds{10}},
    {CommandKind::kSetSourceVisible, "Show or hide an OBS source",
     "Shows or hides a source in a scene of OBS; without `scene`, in the one on air.",
     R"({"source":{"type":"string"},"visible":{"type":"boolean"},
         "scene":{"type":"string","description":"Default: the scene on air"}})",
     R"(["source","visible"])", false, std::chrono::seconds{10}},
    {CommandKind::kSetText, "Set the text of an OBS text source",
     "Replaces the text of a text source in OBS and answers when OBS has taken it.",
     R"({"input":{"type":"string","description":"Name of the text source"},
         "text":{"type":"string","maxLength":16384}})",
     R"(["input","text"])", false, std::chrono::seconds{10}},
}};

constexpr std::string_view kStatusProperties =
    R"("connected":{"type":"boolean"},"detail":{"type":"string"},
       "obsVersion":{"type":"string"},"scene":{"type":"string"},
       "scenes":{"type":"array","items":{"type":"string"}},
       "stream":{"type":"string","enum":["live","off","starting","stopping","failed","unknown"]},
       "streamReconnecting":{"type":"boolean"},
       "recording":{"type":"string",
                    "enum":["on","paused","off","starting","stopping","failed","unknown"]})";

json::Object schema(const std::string& text) {
  auto parsed = json::parse(text);
  SE_ASSERT(parsed.ok());
  return std::move(parsed->get_object());
}

json::Object status_object(const BridgeStatus& status) {
  json::Object out;
  out["connected"] = status.connected;
  if (!status.connected) out["detail"] = status.detail;
  if (!status.obs_version.empty()) out["obsVersion"] = status.obs_version;
  if (status.connected) {
    out["scene"] = status.scene;
    json::Array scenes;
    for (const std::string& scene : status.scenes) scenes.emplace_back(boost::json::string(scene));
    out["scenes"] = std::move(scenes);
  }
  out["stream"] = status.stream;
  out["streamReconnecting"] = status.stream_reconnecting;
  out["recording"] = status.recording;
  return out;
}

// What to do after an outcome that is none.
std::string_view advice(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kUnavailable:
      return "Nothing is known to have changed. Do not act as if it had; call obs_get_status and "
             "try again when connected is true.";
    case OutcomeKind::kUnconfirmed:
      return "Call obs_get_status to see what became of it before you do anything else.";
    case OutcomeKind::kSuperseded:
      return "Somebody asked for something else meanwhile; call obs_get_status.";
    default:
      return "Call obs_get_status to see the state of OBS.";
  }
}

std::optional<std::string> unknown_argument(const json::Object& arguments,
                                            const json::Object& input_schema) {
  const json::Object& known = input_schema.at("properties").get_object();
  for (const auto& argument : arguments) {
    if (!known.contains(argument.key())) return std::string(argument.key());
  }
  return std::nullopt;
}

Reply run_command(Bridge& bridge, CommandTool tool, json::Object input_schema,
                  json::Object arguments) {
  if (const auto unknown = unknown_argument(arguments, input_schema)) {
    co_return mcp::ToolResult::error(
        fmt::format("invalid_argument: '{}' is no argument of obs_{}; see its input schema",
                    *unknown, to_string(tool.kind)));
  }
  auto command = read_command(tool.kind, arguments);
  if (!command.ok()) {
    co_return mcp::ToolResult::error("invalid_argument: " + command.error().message);
  }
  const Outcome outcome = co_await bridge.execute(std::move(*command), tool.timeout);
  const BridgeStatus status = co_await bridge.status();
  if (!outcome.ok()) {
    std::string why = outcome.message;
    if (outcome.kind == OutcomeKind::kUnavailable && !status.detail.empty()) {
      why += fmt::format(" ({})", status.detail);
    }
    co_return mcp::ToolResult::error(fmt::format("{}: {}. {}\n{}", to_string(outcome.kind), why,
                                                 advice(outcome.kind),
                                                 json::write(status_object(status))));
  }
  json::Object out = outcome.facts;
  out["outcome"] = boost::json::string(to_string(outcome.kind));
  if (!outcome.message.empty()) out["message"] = outcome.message;
  out["obs"] = status_object(status);
  co_return mcp::ToolResult::object(std::move(out));
}

void add_command(mcp::Server& server, Bridge& bridge, const CommandTool& tool) {
  mcp::ToolDefinition definition;
  definition.name = fmt::format("obs_{}", to_string(tool.kind));
  definition.title = tool.title;
  definition.description = tool.description;
  definition.input_schema = schema(fmt::format(
      R"({{"type":"object","properties":{},"required":{},"additionalProperties":false}})",
      tool.properties, tool.required));
  definition.output_schema = schema(fmt::format(
      R"({{"type":"object","properties":{{"outcome":{{"type":"string","enum":["done","no_change"]}},
           "message":{{"type":"string"}},"outputPath":{{"type":"string"}},
           "obs":{{"type":"object","properties":{{{}}}}}}},"required":["outcome","obs"]}})",
      kStatusProperties));
  definition.annotations = {
      .read_only = false, .destructive = tool.destructive, .idempotent = true, .open_world = true};
  definition.required_scope = "state:write";
  definition.handler = [&bridge, tool, input = definition.input_schema](json::Object arguments,
                                                                        mcp::RequestContext&) {
    return run_command(bridge, tool, input, std::move(arguments));
  };
  server.add_tool(std::move(definition));
}

Reply get_status(Bridge& bridge, json::Object arguments) {
  if (!arguments.empty()) {
    co_return mcp::ToolResult::error(
        "invalid_argument: this tool takes no arguments; call it "
        "with {}");
  }
  const BridgeStatus status = co_await bridge.status();
  co_return mcp::ToolResult::object(status_object(status));
}

}  // namespace

void add_obs_tools(mcp::Server& server, Bridge& bridge) {
  mcp::ToolDefinition status;
  status.name = "obs_get_status";
  status.title = "See what OBS does";
  status.description =
      "Tells whether OBS is connected, which scene is on air, which scenes there are (top of the "
      "list first), and the state of stream and recording. `unknown` means that OBS is not "
      "connected: do not act on an earlier answer then.";
  status.input_schema = schema(R"({"type":"object","properties":{},"additionalProperties":false})");
  status.output_schema = schema(fmt::format(
      R"({{"type":"object","properties":{{{}}},"required":["connected","stream","recording"]}})",
      kStatusProperties));
  status.annotations = {
      .read_only = true, .destructive = false, .idempotent = true, .open_world = true};
  status.required_scope = "state:read";
  status.handler = [&bridge](json::Object arguments, mcp::RequestContext&) {
    return get_status(bridge, std::move(arguments));
  };
  server.add_tool(std::move(status));
  for (const CommandTool& tool : kTools) add_command(server, bridge, tool);
}

}  // namespace state_engine::obs
