// Tools, resources and prompts that only return content.

#include <boost/asio/this_coro.hpp>

#include "net/wake_signal.h"
#include "tests/mcp/conformance_fixture.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

// A PNG image of one red pixel and a WAV file without samples.
constexpr std::string_view kImage =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ"
    "/pLvAAAAAElFTkSuQmCC";
constexpr std::string_view kAudio = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

json::Value text_block(std::string_view text) {
  return json::Object{{"type", "text"}, {"text", text}};
}

json::Value image_block() {
  return json::Object{{"type", "image"}, {"data", kImage}, {"mimeType", "image/png"}};
}

json::Value resource_block(std::string_view uri, std::string_view mime_type,
                           std::string_view text) {
  return json::Object{
      {"type", "resource"},
      {"resource", json::Object{{"uri", uri}, {"mimeType", mime_type}, {"text", text}}}};
}

ToolHandler gives(std::vector<json::Value> content) {
  return [content = std::move(content)](json::Object, RequestContext&) -> ToolAnswer {
    ToolResult result;
    result.has_structured = false;
    result.content = content;
    co_return result;
  };
}

ToolAnswer fail(json::Object, RequestContext&) {
  co_return ToolResult::error("This tool always fails, on purpose. There is nothing to repair.");
}

ToolAnswer report_progress(json::Object, RequestContext& context) {
  const net::WakeSignal pause(co_await asio::this_coro::executor);
  for (const double step : {0.0, 50.0, 100.0}) {
    context.report_progress(step, 100.0, "at " + std::to_string(static_cast<int>(step)));
    co_await pause.wait(std::chrono::milliseconds{10});
  }
  co_return text_result("three steps done");
}

ToolAnswer log_steps(json::Object, RequestContext& context) {
  const net::WakeSignal pause(co_await asio::this_coro::executor);
  for (const std::string_view step : {"started", "working", "finished"}) {
    context.log_to_client("info", json::Value(step));
    co_await pause.wait(std::chrono::milliseconds{10});
  }
  co_return text_result("three messages logged");
}

void add_header_tool(Server& server) {
  server.add_tool(fixture_tool("test_header_parameter", gives({text_block("headers agree")}),
                               R"({"type":"object","properties":{"region":{"type":"string",
                                   "description":"Where to look.","x-mcp-header":"Region"}},
                                   "required":["region"]})"));
}

// Keywords that a server must hand on as they are; the fixture's only root-level combinators.
void add_schema_tool(Server& server) {
  server.add_tool(fixture_tool("json_schema_2020_12_tool", gives({text_block("schema kept")}), R"({
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object",
              "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                   "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                   "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]}, "else": {"required": ["email"]},
    "additionalProperties": false})"));
}

asio::awaitable<Result<std::vector<ResourceContents>>> read(std::string uri, RequestContext&) {
  constexpr std::string_view kTemplateStart = "test://template/";
  constexpr std::string_view kTemplateEnd = "/data";
  std::vector<ResourceContents> contents(1);
  ResourceContents& item = contents[0];
  item.uri = uri;
  item.mime_type = "text/plain";
  if (uri == "test://static-text" || uri == "test://watched-resource") {
    item.text = "The text of " + uri;
  } else if (uri == "test://static-binary") {
    item.mime_type = "image/png";
    item.is_blob = true;
    item.blob_base64 = kImage;
  } else if (uri.starts_with(kTemplateStart) && uri.ends_with(kTemplateEnd) &&
             uri.size() > kTemplateStart.size() + kTemplateEnd.size()) {
    const std::string id =
        uri.substr(kTemplateStart.size(), uri.size() - kTemplateStart.size() - kTemplateEnd.size());
    item.mime_type = "application/json";
    item.text = json::write(json::Object{{"id", id}, {"data", "Data for ID: " + id}});
  } else {
    co_return Error{ErrorCode::kNotFound, "Resource not found: " + uri};
  }
  co_return contents;
}

PromptHandler says(std::function<json::Array(const json::Object&)> blocks) {
  return [blocks = std::move(blocks)](json::Object arguments,
                                      RequestContext&) -> asio::awaitable<Result<PromptResult>> {
    PromptResult result;
    for (const json::Value& block : blocks(arguments)) {
      result.messages.push_back(json::Object{{"role", "user"}, {"content", block}});
    }
    co_return result;
  };
}

asio::awaitable<Result<std::vector<std::string>>> complete(CompletionRequest request,
                                                           RequestContext&) {
  std::vector<std::string> found;
  for (const std::string_view candidate : {"paris", "park", "party"}) {
    if (candidate.starts_with(request.value)) found.emplace_back(candidate);
  }
  co_return found;
}

}  // namespace

json::Object fixture_json(std::string_view text) {
  auto parsed = json::parse(text);
  SE_ASSERT(parsed.ok());
  return parsed->get_object();
}

ToolDefinition fixture_tool(std::string name, ToolHandler handler, std::string_view input_schema) {
  ToolDefinition definition;
  definition.title = name;
  definition.description = "A tool of the conformance fixture: " + name + ".";
  definition.name = std::move(name);
  definition.input_schema = fixture_json(input_schema);
  definition.annotations = {true, false, true, false};
  definition.handler = std::move(handler);
  return definition;
}

ToolResult text_result(std::string text) {
  ToolResult result;
  result.has_structured = false;
  result.content = {text_block(text)};
  return result;
}

void register_content_tools(Server& server) {
  server.add_tool(fixture_tool("test_simple_text", gives({text_block("A simple text.")})));
  server.add_tool(fixture_tool("test_image_content", gives({image_block()})));
  server.add_tool(fixture_tool(
      "test_audio_content",
      gives({json::Object{{"type", "audio"}, {"data", kAudio}, {"mimeType", "audio/wav"}}})));
  server.add_tool(fixture_tool(
      "test_embedded_resource",
      gives({resource_block("test://embedded-resource", "text/plain", "An embedded resource.")})));
  server.add_tool(
      fixture_tool("test_multiple_content_types",
                   gives({text_block("Several kinds:"), image_block(),
                          resource_block("test://mixed-content-resource", "application/json",
                                         R"({"test":"data","value":123})")})));
  server.add_tool(fixture_tool("test_error_handling", fail));
  server.add_tool(fixture_tool("test_tool_with_progress", report_progress));
  for (const char* name : {"test_tool_with_logging", "test_logging_tool"}) {
    ToolDefinition logging = fixture_tool(name, log_steps);
    logging.sends_messages = true;
    server.add_tool(std::move(logging));
  }
  add_header_tool(server);
  add_schema_tool(server);
}

void register_fixture_resources(Server& server) {
  server.add_resource({"test://static-text", "static-text", "Text", "A text.", "text/plain"});
  server.add_resource({"test://static-binary", "static-binary", "Image", "A pixel.", "image/png"});
  server.add_resource(
      {"test://watched-resource", "watched-resource", "Watched", "To subscribe to.", "text/plain"});
  server.add_resource_template(
      {"test://template/{id}/data", "template", "Template", "An item by its id."});
  server.set_resource_reader(read);
  server.set_subscribable([](std::string_view uri) { return uri.starts_with("test://"); });
  server.set_completion(complete);
}

void register_fixture_prompts(Server& server) {
  const auto argument = [](const json::Object& arguments, std::string_view name) {
    return json::find_string(arguments, name).value_or("");
  };
  server.add_prompt(
      {"test_simple_prompt", "Simple", "Without arguments.", {}, says([](const json::Object&) {
         return json::Array{text_block("A simple prompt.")};
       })});
  server.add_prompt({"test_prompt_with_arguments",
                     "Arguments",
                     "Repeats its arguments.",
                     {{"arg1", "The first.", true}, {"arg2", "The second.", true}},
                     says([argument](const json::Object& given) {
                       return json::Array{text_block("arg1='" + argument(given, "arg1") +
                                                     "', arg2='" + argument(given, "arg2") + "'")};
                     })});
  server.add_prompt({"test_prompt_with_embedded_resource",
                     "Resource",
                     "Embeds a resource.",
                     {{"resourceUri", "What to embed.", true}},
                     says([argument](const json::Object& given) {
                       return json::Array{resource_block(argument(given, "resourceUri"),
                                                         "text/plain", "Embedded for testing."),
                                          text_block("Look at the resource above.")};
                     })});
  server.add_prompt(
      {"test_prompt_with_image", "Image", "Shows an image.", {}, says([](const json::Object&) {
         return json::Array{image_block(), text_block("Look at the image above.")};
       })});
}

}  // namespace state_engine::mcp
