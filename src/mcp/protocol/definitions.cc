// Results are assembled as text: what a handler returns is serialised once and never parsed again.

#include "mcp/protocol/definitions.h"

#include <utility>

namespace state_engine::mcp {

json::Object describe(const ToolDefinition& tool) {
  json::Object object;
  object["name"] = tool.name;
  if (!tool.title.empty()) object["title"] = tool.title;
  object["description"] = tool.description;
  object["inputSchema"] = tool.input_schema;
  if (!tool.output_schema.empty()) object["outputSchema"] = tool.output_schema;
  object["annotations"] = {{"readOnlyHint", tool.annotations.read_only},
                           {"destructiveHint", tool.annotations.destructive},
                           {"idempotentHint", tool.annotations.idempotent},
                           {"openWorldHint", tool.annotations.open_world}};
  for (const auto& member : tool.extra) object[member.key()] = member.value();
  return object;
}

json::Object describe(const ResourceDefinition& resource, std::string_view uri_member) {
  json::Object object;
  object[uri_member] = resource.uri;
  object["name"] = resource.name;
  if (!resource.title.empty()) object["title"] = resource.title;
  if (!resource.description.empty()) object["description"] = resource.description;
  if (!resource.mime_type.empty()) object["mimeType"] = resource.mime_type;
  return object;
}

json::Object describe(const PromptDefinition& prompt) {
  json::Object object;
  object["name"] = prompt.name;
  if (!prompt.title.empty()) object["title"] = prompt.title;
  if (!prompt.description.empty()) object["description"] = prompt.description;
  json::Array arguments;
  for (const PromptArgument& argument : prompt.arguments) {
    arguments.push_back({{"name", argument.name},
                         {"description", argument.description},
                         {"required", argument.required}});
  }
  object["arguments"] = std::move(arguments);
  return object;
}

std::string tool_members(const ToolResult& result) {
  std::string out;
  append_tool_members(out, result);
  return out;
}

void append_tool_members(std::string& out, const ToolResult& result) {
  const bool with_structured = result.has_structured && !result.is_error;
  std::string written;
  if (with_structured && result.structured_text.empty()) written = json::write(result.structured);
  const std::string& structured =
      with_structured && !result.structured_text.empty() ? result.structured_text : written;
  // Room for the answer's end, too.
  out.reserve(out.size() + structured.size() * 5 / 2 + 384);
  out += "\"content\":[";
  if (!result.content.empty()) {
    for (std::size_t i = 0; i < result.content.size(); ++i) {
      if (i > 0) out.push_back(',');
      json::write_to(out, result.content[i]);
    }
  } else {
    out += R"({"type":"text","text":)";
    json::write_string_to(out, result.text ? std::string_view{*result.text} : structured);
    out.push_back('}');
  }
  out.push_back(']');
  if (with_structured) out.append(",\"structuredContent\":").append(structured);
  if (result.is_error) out += ",\"isError\":true";
}

std::vector<HeaderParameter> header_parameters(const json::Object& input_schema) {
  std::vector<HeaderParameter> found;
  const json::Value* properties = input_schema.if_contains("properties");
  if (!properties || !properties->is_object()) return found;
  for (const auto& property : properties->get_object()) {
    if (!property.value().is_object()) continue;
    const auto header = json::find_string(property.value().get_object(), "x-mcp-header");
    if (header) found.push_back({std::string{property.key()}, "Mcp-Param-" + *header});
  }
  return found;
}

ToolResult ToolResult::object(json::Object value) {
  ToolResult result;
  result.structured = std::move(value);
  return result;
}

ToolResult ToolResult::object_text(std::string json_text) {
  ToolResult result;
  result.structured_text = std::move(json_text);
  return result;
}

ToolResult ToolResult::error(std::string message) {
  ToolResult result;
  result.text = std::move(message);
  result.is_error = true;
  result.has_structured = false;
  return result;
}

}  // namespace state_engine::mcp
