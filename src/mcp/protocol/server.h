// Server: the Model Context Protocol without a transport: tools, resources, prompts, completion.
//
// An application registers what it offers, then hands the server to the endpoints of this folder
// (http_endpoint.h, stream_endpoint.h), which own framing, sessions and the HTTP rules. Both eras
// are served: revision 2026-07-28, where every request stands alone, and 2025-11-25, 2025-06-18,
// 2025-03-26 through initialize.
//
// Invariants, checked by server_test.cc and the endpoint tests:
//   (1) A request gets exactly one response, with its id and the id's JSON type, unless it was
//       cancelled by notifications/cancelled on a stream: then none.
//   (2) A failed tool call is an isError result with text only; JSON-RPC errors are for calls that
//       are malformed or that the server broke.
//   (3) Legacy responses never hold resultType, ttlMs or cacheScope.
//   (4) Memory per listener is bounded whatever it does not read.
//
// Ownership: handlers are kept; what they refer to outlives the server.
// Threads:   register everything first; then handle() and notify_resource_updated() may be called
//            from any thread. Handlers run on the strand of the connection that asked.

#ifndef STATE_ENGINE_MCP_PROTOCOL_SERVER_H_
#define STATE_ENGINE_MCP_PROTOCOL_SERVER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/result.h"
#include "mcp/protocol/arguments.h"
#include "mcp/protocol/caller.h"
#include "mcp/protocol/context.h"

namespace state_engine::mcp {

// ---- Tools ---------------------------------------------------------------------------------

// What a call did. Success carries one JSON object, either as a value or as text written already.
struct ToolResult {
  json::Object structured;           // used unless structured_text is set
  std::string structured_text;       // a JSON object as text; spliced into the response as it is
  std::optional<std::string> text;   // replaces the text block (else: the object, compact)
  std::vector<json::Value> content;  // replaces all content blocks when not empty
  bool is_error = false;
  bool has_structured = true;  // false: content only

  static ToolResult object(json::Object value);
  static ToolResult object_text(std::string json_text);
  // REQUIRES: `message` says what was wrong, the current truth and the next call to make.
  static ToolResult error(std::string message);
};

struct ToolAnnotations {
  bool read_only = false;
  bool destructive = true;
  bool idempotent = false;
  bool open_world = true;
};

// `arguments` is an empty object when the client sent none; it outlives the await. An Error is a
// fault of the server and becomes -32603; faults of the call are ToolResult::error.
using ToolHandler = std::function<boost::asio::awaitable<Result<ToolResult>>(
    const json::Object& arguments, RequestContext& context)>;

struct ToolDefinition {
  std::string name;  // 1-128 of [A-Za-z0-9_.-]
  std::string title;
  std::string description;
  json::Object input_schema;   // root type "object", no oneOf/anyOf/allOf/not/if at the root
  json::Object output_schema;  // the same; empty: none declared
  ToolAnnotations annotations;
  std::string
      required_scope;  // empty: any caller; else a caller without it gets a "forbidden" error
  json::Object extra;  // further members of the tool entry, as they are ("scopes", ...)
  ToolHandler handler;
  // Listed and callable on these transports only; empty: on all.
  std::vector<TransportKind> transports;
  // The handler logs to the client or asks it something: a legacy call is then answered as an event
  // stream wherever the client takes one.
  bool sends_messages = false;
};

// ---- Resources -----------------------------------------------------------------------------

struct ResourceDefinition {
  std::string uri;  // or, for a template, "state://{+key}"
  std::string name;
  std::string title;
  std::string description;
  std::string mime_type = "application/json";
};

struct ResourceContents {
  std::string uri;
  std::string mime_type = "application/json";
  std::string text;  // UTF-8, used unless is_blob
  std::string blob_base64;
  bool is_blob = false;
};

// Reads one resource. Errors: kNotFound becomes -32602 with data.uri, kInvalidArgument -32602,
// all others -32603.
using ResourceReader = std::function<boost::asio::awaitable<Result<std::vector<ResourceContents>>>(
    std::string uri, RequestContext& context)>;

// True if the URI is one that may ever exist, so that subscribing to it makes sense.
using ResourceFilter = std::function<bool(std::string_view uri)>;

// ---- Prompts and completion ----------------------------------------------------------------

struct PromptArgument {
  std::string name;
  std::string description;
  bool required = false;
};

struct PromptResult {
  std::string description;
  json::Array messages;  // {role, content} objects
};

using PromptHandler = std::function<boost::asio::awaitable<Result<PromptResult>>(
    json::Object arguments, RequestContext& context)>;

struct PromptDefinition {
  std::string name;
  std::string title;
  std::string description;
  std::vector<PromptArgument> arguments;
  PromptHandler handler;
};

struct CompletionRequest {
  std::string prompt;  // one of these two is set
  std::string uri_template;
  std::string argument;  // the name of the argument to complete
  std::string value;     // what was typed so far
  json::Object context;  // arguments chosen already
};

// Returns candidates, best first; the server sends at most 100 of them.
using CompletionHandler = std::function<boost::asio::awaitable<Result<std::vector<std::string>>>(
    CompletionRequest request, RequestContext& context)>;

// ---- The server ----------------------------------------------------------------------------

struct ServerOptions {
  std::string name = "state-engine";
  std::string title = "state-engine";
  std::string version;
  std::string instructions;                     // under about 800 characters
  std::chrono::milliseconds list_ttl{300'000};  // ttlMs of discover and the lists
  std::size_t list_page_max = 100;              // entries in one page of a list
  std::size_t subscriptions_max = 256;          // URIs in one filter
  bool logging = false;                         // log messages to clients; deprecated in 2026-07-28
};

class SubscriptionHub;  // subscriptions.h
struct Message;         // message.h
struct Reply;           // message.h
struct Refusal;         // era.h
struct RpcError;        // message.h

class Server {
 public:
  // `executor` runs the fan-out of resource updates.
  Server(boost::asio::any_io_executor executor, ServerOptions options, Log& log);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES (all): called before the first handle(); names and URIs are unique.
  void add_tool(ToolDefinition tool);
  void add_resource(ResourceDefinition resource);
  void add_resource_template(ResourceDefinition resource_template);
  void set_resource_reader(ResourceReader reader);
  // What resources, prompts, completion and subscriptions need; tools say it for themselves.
  void set_read_scope(std::string scope);
  // Also declares that resources can be subscribed to.
  void set_subscribable(ResourceFilter filter);
  void add_prompt(PromptDefinition prompt);
  void set_completion(CompletionHandler handler);

  // Tells every listener of `uri`, or of a collection above it, that the resource changed. Returns
  // at once: it only notes the URI; the fan-out runs on the executor, coalesced per listener.
  // A listener's URI that ends in "/", "." or "*" stands for everything it begins.
  void notify_resource_updated(std::string_view uri);

  // Answers one request or takes one notification. `message` and `context` outlive the await.
  // Not handled here, but by the endpoints, because they belong to a connection: sessions,
  // subscriptions/listen, resources/(un)subscribe, notifications/cancelled.
  boost::asio::awaitable<Reply> handle(const Message& message, RequestContext& context);

  // The definitions as tools/list would show them to `context`, for golden files.
  json::Object list_tools(const RequestContext& context) const;

  const ServerOptions& options() const;
  SubscriptionHub& subscriptions();
  bool is_subscribable(std::string_view uri) const;
  // The scope that `message` needs and the caller lacks, if any.
  std::optional<std::string> missing_scope(const Message& message,
                                           const RequestContext& context) const;
  // True if `message` calls a tool that sends messages while it runs.
  bool sends_messages(const Message& message) const;
  // Checks the Mcp-Param-* headers that the called tool ties to arguments (x-mcp-header).
  std::optional<Refusal> check_parameter_headers(const Message& message,
                                                 const net::Headers& headers) const;

  struct Registry;

 private:
  std::unique_ptr<Registry> registry_;
};

// What to answer for want of `scope`.
RpcError scope_error(const std::string& scope, const Message& message,
                     const RequestContext& context);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_SERVER_H_
