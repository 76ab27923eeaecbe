// What is offered to clients; the handlers are in read_tools, write_tools, log_tools and
// resources.

#include "mcp/state/state_service.h"

#include "mcp/state/tool_schemas.h"

namespace state_engine::mcp {

std::string StateService::instructions() {
  return "state-engine holds the operational truth of this system: versioned values under dotted "
         "keys (stream.state, user.fact.42). Read before you act: get_state for known keys, "
         "get_state_prefix to discover. Write with propose_mutation and pass expectedVersion from "
         "your read; the answer says what was committed, never just that it was sent. On "
         "version_conflict the answer holds the current snapshot: decide again and retry with its "
         "version and a new id, at most 3 times. A null value or an error means unknown: do not "
         "act on a guess. get_history and explain tell who changed what and why.";
}

void StateService::install(Server& server) {
  add_tools(server);
  add_resources(server);
  add_prompts(server);
  engine_.add_change_listener([&server](std::span<const CommittedChange> changes) {
    for (const CommittedChange& change : changes) {
      server.notify_resource_updated("state://" + change.entry.proposal.key);
    }
  });
}

void StateService::add_tools(Server& server) {
  const ToolAnnotations reads{
      .read_only = true, .destructive = false, .idempotent = true, .open_world = false};
  const ToolAnnotations writes{
      .read_only = false, .destructive = true, .idempotent = false, .open_world = false};
  const auto add = [&](std::string_view name, const ToolAnnotations& annotations,
                       std::string_view scope,
                       Reply (StateService::*method)(const json::Object&, RequestContext&)) {
    ToolDefinition tool = tool_texts(name);
    tool.annotations = annotations;
    tool.required_scope = scope;
    tool.handler = [this, method](const json::Object& arguments, RequestContext& context) {
      return (this->*method)(arguments, context);
    };
    server.add_tool(std::move(tool));
  };
  add("get_state", reads, "state:read", &StateService::get_state);
  add("get_state_prefix", reads, "state:read", &StateService::get_state_prefix);
  add("propose_mutation", writes, "state:write", &StateService::propose_mutation);
  add("propose_transaction", writes, "state:write", &StateService::propose_transaction);
  add("get_history", reads, "state:read", &StateService::get_history);
  add("explain", reads, "state:read", &StateService::explain);
}

}  // namespace state_engine::mcp
