// The methods of MCP. Definitions are written as JSON text when they are registered, results are
// assembled as text: what a handler returns is serialised once and never parsed again.

#include "mcp/protocol/server.h"

#include <algorithm>
#include <exception>
#include <map>
#include <unordered_map>

#include "mcp/protocol/definitions.h"
#include "mcp/protocol/input_required.h"
#include "mcp/protocol/list_page.h"
#include "mcp/protocol/message.h"
#include "mcp/protocol/subscriptions.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kCompletionsMax = 100;

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 &&
         name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
             std::string_view::npos;
}

bool offered_on(const ToolDefinition& tool, TransportKind transport) {
  return tool.transports.empty() || std::find(tool.transports.begin(), tool.transports.end(),
                                              transport) != tool.transports.end();
}

RpcError missing_resource(const std::string& uri) {
  return {rpc::kInvalidParams, "Resource not found: " + uri.substr(0, 1024), {{"uri", uri}}};
}

// The methods whose result may be input_required.
bool may_ask(const Message& message) {
  return message.is("tools/call") || message.is("resources/read") || message.is("prompts/get");
}

bool needs_read_scope(const Message& message) {
  return message.is("resources/read") || message.is("prompts/get") ||
         message.is("completion/complete") || message.is("resources/subscribe") ||
         message.is("subscriptions/listen");
}

RpcError invalid_params(std::string message) {
  return {rpc::kInvalidParams, std::move(message), nullptr};
}

// What a method came to: members of the result object as text, or an error.
struct Outcome {
  std::string members;
  std::optional<RpcError> error;
  bool cacheable = false;
  std::chrono::milliseconds ttl{0};
  bool is_public = false;
  bool input_required = false;
  bool begun = false;  // `members` starts as the answer does: reply_begin()

  static Outcome result(std::string members) {
    return {std::move(members), {}, false, {}, false, false};
  }
  static Outcome failed(RpcError error) { return {{}, std::move(error), false, {}, false, false}; }
  static Outcome cached(std::string members, std::chrono::milliseconds ttl, bool is_public) {
    return {std::move(members), {}, true, ttl, is_public, false};
  }
  static Outcome asking(std::string members) {
    return {std::move(members), {}, false, {}, false, true};
  }
};

}  // namespace

struct Server::Registry {
  struct Tool {
    ToolDefinition definition;
    std::string text;
    std::vector<HeaderParameter> headers;
  };
  using Method = asio::awaitable<Outcome> (Registry::*)(const Message&, RequestContext&);
  struct MethodEntry {
    Method method;
    bool modern;
    bool legacy;
  };

  Registry(asio::any_io_executor executor, ServerOptions server_options, Log& server_log)
      : options(std::move(server_options)), log(server_log), hub(std::move(executor)) {
    add_methods();
    json::Object info{{"name", options.name}, {"version", options.version}};
    if (!options.title.empty()) info["title"] = options.title;
    server_info = json::write(json::Value(info));
  }

  void add_methods();
  const Tool* called_tool(const Message& message) const;
  json::Object capabilities() const;
  std::string finish(Outcome outcome, std::string_view id, const RequestContext& context) const;
  Outcome list_outcome(const Message& message, std::string_view list,
                       const std::vector<std::string>& items) const;

  asio::awaitable<Outcome> discover(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> initialize(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> ping(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> tools_list(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> tools_call(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> resources_list(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> templates_list(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> resources_read(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> prompts_list(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> prompts_get(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> complete(const Message& message, RequestContext& context);
  asio::awaitable<Outcome> set_log_level(const Message& message, RequestContext& context);
  RpcError server_fault(const Error& error, std::string_view what) const;
  std::optional<Outcome> question(const Message& message, const RequestContext& context) const;
  void report_throw(const Message& message, const std::string& what) const {
    log.error("a request handler threw", {{"method", message.method}, {"what", what}});
  }

  const ServerOptions options;
  const StateSeal seal;
  Log& log;
  SubscriptionHub hub;
  std::string server_info;
  std::unordered_map<std::string, MethodEntry> methods;
  std::vector<Tool> tools;
  std::map<std::string, std::size_t, std::less<>> tool_index;  // found by a view
  std::vector<ResourceDefinition> resources;
  std::vector<ResourceDefinition> templates;
  std::vector<PromptDefinition> prompts;
  ResourceReader reader;
  std::string read_scope;
  ResourceFilter subscribable;
  CompletionHandler completion;
};

void Server::Registry::add_methods() {
  methods = {
      {"server/discover", {&Registry::discover, true, false}},
      {"initialize", {&Registry::initialize, false, true}},
      {"ping", {&Registry::ping, false, true}},
      {"tools/list", {&Registry::tools_list, true, true}},
      {"tools/call", {&Registry::tools_call, true, true}},
      {"resources/list", {&Registry::resources_list, true, true}},
      {"resources/templates/list", {&Registry::templates_list, true, true}},
      {"resources/read", {&Registry::resources_read, true, true}},
      {"prompts/list", {&Registry::prompts_list, true, true}},
      {"prompts/get", {&Registry::prompts_get, true, true}},
      {"completion/complete", {&Registry::complete, true, true}},
  };
  if (options.logging) methods["logging/setLevel"] = {&Registry::set_log_level, false, true};
}

json::Object Server::Registry::capabilities() const {
  json::Object capabilities;
  if (!tools.empty()) capabilities["tools"] = json::Object{};
  if (reader) {
    json::Object resource_capabilities;
    if (subscribable) resource_capabilities["subscribe"] = true;
    capabilities["resources"] = std::move(resource_capabilities);
  }
  if (!prompts.empty()) capabilities["prompts"] = json::Object{};
  if (completion) capabilities["completions"] = json::Object{};
  if (options.logging) capabilities["logging"] = json::Object{};
  return capabilities;
}

// The whole answer as text. A large one is not copied here.
std::string Server::Registry::finish(Outcome outcome, std::string_view id,
                                     const RequestContext& context) const {
  std::string out = outcome.begun ? std::move(outcome.members) : reply_begin(id) + outcome.members;
  if (context.era == Era::kModern) {
    if (out.back() != '{') out.push_back(',');
    out += outcome.input_required ? "\"resultType\":\"input_required\""
                                  : "\"resultType\":\"complete\"";
    if (outcome.cacheable) {
      out.append(",\"ttlMs\":").append(std::to_string(outcome.ttl.count()));
      out.append(",\"cacheScope\":").append(outcome.is_public ? "\"public\"" : "\"private\"");
    }
    out.append(",\"_meta\":{\"").append(kMetaServerInfo).append("\":");
    out.append(server_info).append("}");
  }
  out.append("}}");
  return out;
}

// One page of `items`, each a JSON object as text.
Outcome Server::Registry::list_outcome(const Message& message, std::string_view list,
                                       const std::vector<std::string>& items) const {
  const auto page = page_of(list, items.size(), options.list_page_max, message.params);
  if (!page) return Outcome::failed(invalid_params("invalid cursor: start again without one"));
  std::string members = "\"" + std::string{list} + "\":[";
  for (std::size_t i = page->begin; i < page->end; ++i) {
    if (i > page->begin) members.push_back(',');
    members += items[i];
  }
  members.push_back(']');
  if (!page->next_cursor.empty()) {
    members += ",\"nextCursor\":";
    json::write_string_to(members, page->next_cursor);
  }
  return Outcome::cached(std::move(members), options.list_ttl, true);
}

RpcError Server::Registry::server_fault(const Error& error, std::string_view what) const {
  if (error.code == ErrorCode::kInvalidArgument) return invalid_params(error.message);
  log.error("a request failed",
            {{"what", what}, {"code", to_string(error.code)}, {"message", error.message}});
  return {rpc::kInternalError, error.message, {{"code", to_string(error.code)}}};
}

// What a handler's failure means when it has asked the client, or could not.
std::optional<Outcome> Server::Registry::question(const Message& message,
                                                  const RequestContext& context) const {
  if (!context.lacking_capability.empty()) {
    RpcError error = missing_capability(context.lacking_capability);
    // That code is of revision 2026-07-28.
    if (context.era == Era::kLegacy) error.code = rpc::kInvalidParams;
    return Outcome::failed(std::move(error));
  }
  if (!context.unanswered.empty()) {
    const std::string why = "not done: " + context.unanswered;
    if (message.is("tools/call")) return Outcome::result(tool_members(ToolResult::error(why)));
    return Outcome::failed(invalid_params(why));
  }
  if (context.questions.empty()) return std::nullopt;
  return Outcome::asking(
      input_required_members(message, seal, std::chrono::steady_clock::now(), context));
}

asio::awaitable<Outcome> Server::Registry::set_log_level(const Message& message,
                                                         RequestContext& context) {
  const auto level = json::find_string(message.params, "level");
  const auto rank = log_level_rank(level.value_or(""));
  if (!rank) {
    co_return Outcome::failed(
        invalid_params("logging/setLevel needs params.level: debug, info, notice, warning, error, "
                       "critical, alert or emergency"));
  }
  if (context.session_log_level) *context.session_log_level = *rank;
  co_return Outcome::result({});
}

asio::awaitable<Outcome> Server::Registry::discover(const Message&, RequestContext&) {
  std::string members = "\"supportedVersions\":[\"" + std::string{kModernVersion} + "\"]";
  members += ",\"capabilities\":" + json::write(json::Value(capabilities()));
  if (!options.instructions.empty()) {
    members += ",\"instructions\":";
    json::write_string_to(members, options.instructions);
  }
  co_return Outcome::cached(std::move(members), options.list_ttl, true);
}

asio::awaitable<Outcome> Server::Registry::initialize(const Message& message, RequestContext&) {
  const auto asked = json::find_string(message.params, "protocolVersion");
  if (!asked) {
    co_return Outcome::failed(invalid_params("initialize needs params.protocolVersion, a string"));
  }
  const std::string_view version = is_legacy_version(*asked) ? *asked : kLatestLegacyVersion;
  std::string members = "\"protocolVersion\":\"" + std::string{version} + "\"";
  members += ",\"capabilities\":" + json::write(json::Value(capabilities()));
  members += ",\"serverInfo\":" + server_info;
  if (!options.instructions.empty()) {
    members += ",\"instructions\":";
    json::write_string_to(members, options.instructions);
  }
  co_return Outcome::result(std::move(members));
}

asio::awaitable<Outcome> Server::Registry::ping(const Message&, RequestContext&) {
  co_return Outcome::result({});
}

asio::awaitable<Outcome> Server::Registry::tools_list(const Message& message,
                                                      RequestContext& context) {
  std::vector<std::string> items;
  for (const Tool& tool : tools) {
    if (offered_on(tool.definition, context.transport)) items.push_back(tool.text);
  }
  co_return list_outcome(message, "tools", items);
}

asio::awaitable<Outcome> Server::Registry::tools_call(const Message& message,
                                                      RequestContext& context) {
  const auto name = find_text(message.params, "name");
  if (!name) co_return Outcome::failed(invalid_params("tools/call needs params.name, a string"));
  const auto found = tool_index.find(*name);
  if (found == tool_index.end() ||
      !offered_on(tools[found->second].definition, context.transport)) {
    co_return Outcome::failed(invalid_params("Unknown tool: " + std::string(name->substr(0, 128))));
  }
  const ToolDefinition& tool = tools[found->second].definition;
  const json::Value* arguments = message.params.if_contains("arguments");
  if (arguments && !arguments->is_object()) {
    co_return Outcome::failed(invalid_params("params.arguments must be an object"));
  }
  const json::Object none;
  const json::Object& given = arguments ? arguments->get_object() : none;
  const Result<ToolResult> result = co_await tool.handler(given, context);
  if (auto asked = question(message, context)) co_return std::move(*asked);
  if (!result.ok()) co_return Outcome::failed(server_fault(result.error(), tool.name));
  Outcome outcome = Outcome::result(reply_begin(message.id));
  outcome.begun = true;
  append_tool_members(outcome.members, *result);
  co_return outcome;
}

asio::awaitable<Outcome> Server::Registry::resources_list(const Message& message, RequestContext&) {
  std::vector<std::string> items;
  items.reserve(resources.size());
  for (const auto& resource : resources) items.push_back(json::write(describe(resource, "uri")));
  co_return list_outcome(message, "resources", items);
}

asio::awaitable<Outcome> Server::Registry::templates_list(const Message& message, RequestContext&) {
  std::vector<std::string> items;
  items.reserve(templates.size());
  for (const auto& item : templates) items.push_back(json::write(describe(item, "uriTemplate")));
  co_return list_outcome(message, "resourceTemplates", items);
}

asio::awaitable<Outcome> Server::Registry::resources_read(const Message& message,
                                                          RequestContext& context) {
  const auto uri = json::find_string(message.params, "uri");
  if (!uri) co_return Outcome::failed(invalid_params("resources/read needs params.uri, a string"));
  RpcError missing = missing_resource(*uri);
  if (!reader) co_return Outcome::failed(std::move(missing));
  const auto contents = co_await reader(*uri, context);
  if (auto asked = question(message, context)) co_return std::move(*asked);
  if (!contents.ok()) {
    if (contents.error().code != ErrorCode::kNotFound) {
      co_return Outcome::failed(server_fault(contents.error(), "resources/read"));
    }
    if (!contents.error().message.empty()) missing.message = contents.error().message;
    co_return Outcome::failed(std::move(missing));
  }
  std::string members = "\"contents\":[";
  for (std::size_t i = 0; i < contents->size(); ++i) {
    const ResourceContents& item = (*contents)[i];
    members += i > 0 ? ",{\"uri\":" : "{\"uri\":";
    json::write_string_to(members, item.uri);
    members += ",\"mimeType\":";
    json::write_string_to(members, item.mime_type);
    members += item.is_blob ? ",\"blob\":" : ",\"text\":";
    json::write_string_to(members, item.is_blob ? item.blob_base64 : item.text);
    members.push_back('}');
  }
  members.push_back(']');
  co_return Outcome::cached(std::move(members), std::chrono::milliseconds::zero(), false);
}

asio::awaitable<Outcome> Server::Registry::prompts_list(const Message& message, RequestContext&) {
  std::vector<std::string> items;
  items.reserve(prompts.size());
  for (const auto& prompt : prompts) items.push_back(json::write(describe(prompt)));
  co_return list_outcome(message, "prompts", items);
}

asio::awaitable<Outcome> Server::Registry::prompts_get(const Message& message,
                                                       RequestContext& context) {
  const auto name = json::find_string(message.params, "name");
  if (!name) co_return Outcome::failed(invalid_params("prompts/get needs params.name, a string"));
  const auto prompt =
      std::find_if(prompts.begin(), prompts.end(),
                   [&](const PromptDefinition& candidate) { return candidate.name == *name; });
  if (prompt == prompts.end()) {
    co_return Outcome::failed(invalid_params("Unknown prompt: " + name->substr(0, 128)));
  }
  const json::Value* arguments = message.params.if_contains("arguments");
  if (arguments && !arguments->is_object()) {
    co_return Outcome::failed(invalid_params("params.arguments must be an object"));
  }
  json::Object given = arguments ? arguments->get_object() : json::Object{};
  for (const PromptArgument& argument : prompt->arguments) {
    if (argument.required && !given.contains(argument.name)) {
      co_return Outcome::failed(
          invalid_params("prompt " + *name + " needs the argument '" + argument.name + "'"));
    }
  }
  const auto result = co_await prompt->handler(std::move(given), context);
  if (auto asked = question(message, context)) co_return std::move(*asked);
  if (!result.ok()) co_return Outcome::failed(server_fault(result.error(), prompt->name));
  std::string members;
  if (!result->description.empty()) {
    members += "\"description\":";
    json::write_string_to(members, result->description);
    members.push_back(',');
  }
  members += "\"messages\":" + json::write(result->messages);
  co_return Outcome::result(std::move(members));
}

asio::awaitable<Outcome> Server::Registry::complete(const Message& message,
                                                    RequestContext& context) {
  const json::Value* ref = message.params.if_contains("ref");
  const json::Value* argument = message.params.if_contains("argument");
  if (!ref || !ref->is_object() || !argument || !argument->is_object()) {
    co_return Outcome::failed(
        invalid_params("completion/complete needs params.ref and params.argument, objects"));
  }
  CompletionRequest request;
  const auto type = json::find_string(ref->get_object(), "type");
  const auto name = json::find_string(ref->get_object(), "name");
  const auto uri = json::find_string(ref->get_object(), "uri");
  if (type == "ref/prompt" && name) {
    request.prompt = *name;
  } else if (type == "ref/resource" && uri) {
    request.uri_template = *uri;
  } else {
    co_return Outcome::failed(
        invalid_params("params.ref must be a ref/prompt with name or a ref/resource with uri"));
  }
  const auto argument_name = json::find_string(argument->get_object(), "name");
  const auto value = json::find_string(argument->get_object(), "value");
  if (!argument_name || !value) {
    co_return Outcome::failed(invalid_params("params.argument needs name and value, strings"));
  }
  request.argument = *argument_name;
  request.value = *value;
  if (const json::Value* chosen = message.params.if_contains("context");
      chosen && chosen->is_object()) {
    if (const json::Value* given = chosen->get_object().if_contains("arguments");
        given && given->is_object()) {
      request.context = given->get_object();
    }
  }
  json::Array values;
  std::size_t total = 0;
  if (completion) {
    const auto found = co_await completion(std::move(request), context);
    if (!found.ok()) co_return Outcome::failed(server_fault(found.error(), "completion"));
    total = found->size();
    for (std::size_t i = 0; i < std::min(total, kCompletionsMax); ++i) {
      values.push_back(json::Value((*found)[i]));
    }
  }
  const bool has_more = values.size() < total;
  json::Object result;
  result["values"] = std::move(values);
  result["total"] = total;
  result["hasMore"] = has_more;
  co_return Outcome::result("\"completion\":" + json::write(result));
}

Server::Server(asio::any_io_executor executor, ServerOptions options, Log& log)
    : registry_(std::make_unique<Registry>(std::move(executor), std::move(options), log)) {}

Server::~Server() = default;

void Server::add_tool(ToolDefinition tool) {
  SE_ASSERT(is_tool_name(tool.name));
  SE_ASSERT(!registry_->tool_index.contains(tool.name));
  SE_ASSERT(json::find_string(tool.input_schema, "type") == "object");
  SE_ASSERT(tool.handler != nullptr);
  registry_->tool_index[tool.name] = registry_->tools.size();
  std::string text = json::write(json::Value(describe(tool)));
  std::vector<HeaderParameter> headers = header_parameters(tool.input_schema);
  registry_->tools.push_back({std::move(tool), std::move(text), std::move(headers)});
}

void Server::add_resource(ResourceDefinition resource) {
  registry_->resources.push_back(std::move(resource));
}

void Server::add_resource_template(ResourceDefinition resource_template) {
  registry_->templates.push_back(std::move(resource_template));
}

void Server::set_resource_reader(ResourceReader reader) { registry_->reader = std::move(reader); }

void Server::set_read_scope(std::string scope) { registry_->read_scope = std::move(scope); }

void Server::set_subscribable(ResourceFilter filter) {
  registry_->subscribable = std::move(filter);
}

void Server::add_prompt(PromptDefinition prompt) {
  SE_ASSERT(prompt.handler != nullptr);
  registry_->prompts.push_back(std::move(prompt));
}

void Server::set_completion(CompletionHandler handler) {
  registry_->completion = std::move(handler);
}

void Server::notify_resource_updated(std::string_view uri) { registry_->hub.notify(uri); }

asio::awaitable<Reply> Server::handle(const Message& message, RequestContext& context) {
  if (message.kind != Message::Kind::kRequest) co_return Reply{};
  const bool modern = context.era == Era::kModern;
  const auto found = registry_->methods.find(message.method);
  if (found == registry_->methods.end() ||
      !(modern ? found->second.modern : found->second.legacy)) {
    const RpcError error{rpc::kMethodNotFound, "Method not found: " + message.method.substr(0, 128),
                         nullptr};
    co_return Reply{error_text(message.id, error), modern ? 404 : 200};
  }
  if (const auto missing = missing_scope(message, context)) {
    const RpcError error = scope_error(*missing, message, context);
    // A model reads the results of its tools, and rarely errors.
    if (!message.is("tools/call")) co_return Reply{error_text(message.id, error), 200};
    const Outcome outcome = Outcome::result(tool_members(ToolResult::error(error.message)));
    co_return Reply{registry_->finish(outcome, message.id, context), 200};
  }
  if (modern && may_ask(message)) {
    const auto now = std::chrono::steady_clock::now();
    if (auto refused = take_input(message, registry_->seal, now, context)) {
      co_return Reply{error_text(message.id, *refused), 200};
    }
  }
  Outcome outcome;
  std::string failure;
  try {
    outcome = co_await (registry_.get()->*found->second.method)(message, context);
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown exception";
  }
  if (!failure.empty()) {
    registry_->report_throw(message, failure);
    outcome = Outcome::failed({rpc::kInternalError, "the server failed on this request", nullptr});
  }
  if (outcome.error) {
    const bool lacking = outcome.error->code == rpc::kMissingCapability;
    co_return Reply{error_text(message.id, *outcome.error), lacking ? 400 : 200};
  }
  co_return Reply{registry_->finish(std::move(outcome), message.id, context), 200};
}

json::Object Server::list_tools(const RequestContext& context) const {
  json::Array list;
  for (const auto& tool : registry_->tools) {
    if (offered_on(tool.definition, context.transport)) {
      list.push_back(describe(tool.definition));
    }
  }
  return json::Object{{"tools", std::move(list)}};
}

const Server::Registry::Tool* Server::Registry::called_tool(const Message& message) const {
  if (!message.is("tools/call")) return nullptr;
  const auto name = find_text(message.params, "name");
  const auto found = name ? tool_index.find(*name) : tool_index.end();
  return found == tool_index.end() ? nullptr : &tools[found->second];
}

std::optional<std::string> Server::missing_scope(const Message& message,
                                                 const RequestContext& context) const {
  std::string scope;
  if (message.is("tools/call")) {
    const Registry::Tool* tool = registry_->called_tool(message);
    if (tool) scope = tool->definition.required_scope;
  } else if (needs_read_scope(message)) {
    scope = registry_->read_scope;
  }
  if (scope.empty() || context.caller.has_scope(scope)) return std::nullopt;
  return scope;
}

RpcError scope_error(const std::string& scope, const Message& message,
                     const RequestContext& context) {
  const std::string what = json::find_string(message.params, "name").value_or(message.method);
  return {rpc::kInvalidRequest,
          "forbidden: " + what.substr(0, 128) + " needs the scope " + scope + ", and '" +
              context.caller.actor + "' does not have it. Ask the user for a token that does.",
          json::Object{{"requiredScope", scope}}};
}

bool Server::sends_messages(const Message& message) const {
  const Registry::Tool* tool = registry_->called_tool(message);
  return tool && tool->definition.sends_messages;
}

std::optional<Refusal> Server::check_parameter_headers(const Message& message,
                                                       const net::Headers& headers) const {
  const Registry::Tool* tool = registry_->called_tool(message);
  if (!tool || tool->headers.empty()) return std::nullopt;
  return mcp::check_parameter_headers(message, headers, tool->headers);
}

const ServerOptions& Server::options() const { return registry_->options; }

SubscriptionHub& Server::subscriptions() { return registry_->hub; }

bool Server::is_subscribable(std::string_view uri) const {
  return registry_->subscribable && registry_->subscribable(uri);
}

}  // namespace state_engine::mcp
