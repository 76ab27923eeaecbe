// Tools that ask the client: by result in revision 2026-07-28, by request before it.

#include "tests/mcp/conformance_fixture.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

ClientQuestion form(std::string key, std::string_view message, std::string_view properties,
                    std::string_view required) {
  json::Object schema = fixture_json(properties);
  json::Array names;
  if (!required.empty()) names.push_back(json::Value(required));
  return {std::move(key), "elicitation/create",
          json::Object{{"message", message},
                       {"requestedSchema", json::Object{{"type", "object"},
                                                        {"properties", std::move(schema)},
                                                        {"required", std::move(names)}}}}};
}

ClientQuestion sampling(std::string key, std::string_view prompt) {
  json::Object content{{"type", "text"}, {"text", prompt}};
  json::Object message{{"role", "user"}, {"content", std::move(content)}};
  return {std::move(key), "sampling/createMessage",
          json::Object{{"messages", json::Array{std::move(message)}}, {"maxTokens", 100}}};
}

ClientQuestion roots(std::string key) { return {std::move(key), "roots/list", {}}; }

ClientQuestion ask_name(std::string key) {
  return form(std::move(key), "What is your name?", R"({"name":{"type":"string"}})", "name");
}

ClientQuestion ask_confirmation() {
  return form("confirm", "Please confirm", R"({"ok":{"type":"boolean"}})", "ok");
}

// Asks once and shows the answers.
ToolAnswer ask_once(std::vector<ClientQuestion> wanted, RequestContext& context) {
  auto answers = co_await context.ask_client(std::move(wanted));
  if (!answers.ok()) co_return std::move(answers).error();
  co_return text_result("The client said: " + json::write(json::Value(*answers)));
}

ToolHandler asks(std::vector<ClientQuestion> wanted) {
  return [wanted = std::move(wanted)](json::Object, RequestContext& context) {
    return ask_once(wanted, context);
  };
}

// The answer to one round is in the state of the next.
ToolAnswer ask_twice(json::Object, RequestContext& context) {
  json::Object state = context.carried_state;
  if (!state.contains("name")) {
    std::vector<ClientQuestion> wanted;
    wanted.push_back(ask_name("step1"));
    auto first = co_await context.ask_client(std::move(wanted));
    if (!first.ok()) co_return std::move(first).error();
    state["name"] = (*first)["step1"];
  }
  std::vector<ClientQuestion> second;
  second.push_back(
      form("step2", "What is your favourite colour?", R"({"color":{"type":"string"}})", "color"));
  auto answers = co_await context.ask_client(std::move(second), state);
  if (!answers.ok()) co_return std::move(answers).error();
  state["color"] = (*answers)["step2"];
  co_return text_result("Both rounds: " + json::write(json::Value(state)));
}

// Asks whatever the client can answer.
ToolAnswer ask_as_able(json::Object, RequestContext& context) {
  std::vector<ClientQuestion> wanted;
  if (context.client_capabilities.contains("elicitation")) wanted.push_back(ask_name("user_name"));
  if (context.client_capabilities.contains("sampling")) {
    wanted.push_back(sampling("greeting", "Write a greeting"));
  }
  return ask_once(std::move(wanted), context);
}

ToolAnswer ask_message(json::Object arguments, RequestContext& context) {
  const std::string message = json::find_string(arguments, "message").value_or("What now?");
  std::vector<ClientQuestion> wanted;
  wanted.push_back(form("answer", message, R"({"response":{"type":"string"}})", "response"));
  return ask_once(std::move(wanted), context);
}

ToolAnswer ask_model(json::Object arguments, RequestContext& context) {
  const std::string prompt = json::find_string(arguments, "prompt").value_or("Say something");
  std::vector<ClientQuestion> wanted;
  wanted.push_back(sampling("reply", prompt));
  return ask_once(std::move(wanted), context);
}

asio::awaitable<Result<PromptResult>> ask_for_prompt(json::Object, RequestContext& context) {
  std::vector<ClientQuestion> wanted;
  wanted.push_back(form("user_context", "What should the prompt be about?",
                        R"({"context":{"type":"string"}})", "context"));
  auto answers = co_await context.ask_client(std::move(wanted));
  if (!answers.ok()) co_return std::move(answers).error();
  json::Object content{{"type", "text"}, {"text", json::write(json::Value(*answers))}};
  PromptResult result;
  result.messages.push_back(json::Object{{"role", "user"}, {"content", std::move(content)}});
  co_return result;
}

constexpr std::string_view kDefaults = R"({
  "name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30},
  "score": {"type": "number", "default": 95.5}, "verified": {"type": "boolean", "default": true},
  "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}})";

constexpr std::string_view kEnums = R"({
  "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
  "titledSingle": {"type": "string", "oneOf": [{"const": "value1", "title": "First"},
    {"const": "value2", "title": "Second"}, {"const": "value3", "title": "Third"}]},
  "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
    "enumNames": ["Option One", "Option Two", "Option Three"]},
  "untitledMulti": {"type": "array", "minItems": 1, "maxItems": 3,
    "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
  "titledMulti": {"type": "array", "minItems": 1, "maxItems": 3,
    "items": {"anyOf": [{"const": "value1", "title": "First"},
      {"const": "value2", "title": "Second"}, {"const": "value3", "title": "Third"}]}}})";

void add(Server& server, std::string name, ToolHandler handler,
         std::string_view input_schema = R"({"type":"object"})") {
  ToolDefinition definition = fixture_tool(std::move(name), std::move(handler), input_schema);
  definition.sends_messages = true;
  server.add_tool(std::move(definition));
}

}  // namespace

void register_asking_tools(Server& server) {
  const std::string prefix = "test_input_required_result_";
  add(server, prefix + "elicitation", asks({ask_name("user_name")}));
  add(server, prefix + "sampling", asks({sampling("capital", "What is the capital of France?")}));
  add(server, prefix + "list_roots", asks({roots("client_roots")}));
  add(server, prefix + "request_state", asks({ask_confirmation()}));
  add(server, prefix + "tampered_state", asks({ask_confirmation()}));
  add(server, prefix + "multiple_inputs",
      asks({ask_name("user_name"), sampling("greeting", "Write a greeting"),
            roots("client_roots")}));
  add(server, prefix + "multi_round", ask_twice);
  add(server, prefix + "capabilities", ask_as_able);
  add(server, "test_missing_capability", asks({sampling("any", "Anything")}));
  add(server, "test_streaming_elicitation", asks({ask_name("user_name")}));
  add(server, "test_elicitation", ask_message,
      R"({"type":"object","properties":{"message":{"type":"string"}},"required":["message"]})");
  add(server, "test_sampling", ask_model,
      R"({"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]})");
  add(server, "test_elicitation_sep1034_defaults",
      asks({form("form", "Please review the defaults", kDefaults, "")}));
  add(server, "test_elicitation_sep1330_enums", asks({form("form", "Please choose", kEnums, "")}));
  server.add_prompt(
      {prefix + "prompt", "Asks first", "Asks what the prompt is about.", {}, ask_for_prompt});
}

}  // namespace state_engine::mcp
