// StateService: the engine as tools, resources and prompts of an MCP server.
//
// Six tools: get_state, get_state_prefix, propose_mutation, propose_transaction, get_history,
// explain. Names and inputs are those of the BitBrat reference where it has them. A rejection is
// an isError text whose first line is the result as JSON and whose rest says what to do next.
//
// Ownership: engine, random and server outlive the service; the service outlives the server's use.
// Threads:   install() once, before the server serves; handlers run wherever the server runs them.

#ifndef STATE_ENGINE_MCP_STATE_STATE_SERVICE_H_
#define STATE_ENGINE_MCP_STATE_STATE_SERVICE_H_

#include <memory>
#include <mutex>
#include <string>

#include "base/random.h"
#include "engine/engine.h"
#include "mcp/protocol/server.h"
#include "mcp/state/page_cursors.h"

namespace state_engine::mcp {

// The principal of the one token given by MCP_AUTH_TOKEN: it speaks for an LLM bot whose user the
// request names in `_meta.userId`.
inline constexpr std::string_view kSharedTokenPrincipal = "token:mcp-auth";

class StateService {
 public:
  StateService(Engine& engine, Random& random) : engine_(engine), random_(random) {}

  // Registers everything with `server` and reports committed changes to it as resource updates.
  // REQUIRES: the engine has not started.
  void install(Server& server);

  // The policy in force, as Policy::source() writes it: what a refused key could have been.
  // Any thread.
  void use_policy_source(const std::string& source);

  // The text for clients' models: what this server is and how to use it well.
  static std::string instructions();

 private:
  using Reply = boost::asio::awaitable<Result<ToolResult>>;

  void add_tools(Server& server);
  void add_resources(Server& server);
  void add_prompts(Server& server);

  Reply get_state(const json::Object& arguments, RequestContext& context);
  Reply get_state_prefix(const json::Object& arguments, RequestContext& context);
  Reply get_shared_prefix(std::string prefix, std::string cursor, std::size_t limit, bool keys_only,
                          RequestContext& context);
  Reply propose_mutation(const json::Object& arguments, RequestContext& context);
  Reply propose_transaction(const json::Object& arguments, RequestContext& context);
  Reply get_history(const json::Object& arguments, RequestContext& context);
  Reply explain(const json::Object& arguments, RequestContext& context);

  boost::asio::awaitable<Result<std::vector<ResourceContents>>> read_resource(std::string uri);
  boost::asio::awaitable<Result<PromptResult>> resume_prompt(json::Object arguments);

  // Snapshots under a prefix, tombstones included: of the index, or of the store where others write
  // to it too.
  boost::asio::awaitable<Result<std::vector<SnapshotPtr>>> read_under(std::string prefix,
                                                                      std::size_t limit);

  // A sentence with the allowed keys for whoever used another; else empty.
  std::string hint(RejectionCode code) const;

  Engine& engine_;
  Random& random_;
  mutable std::mutex mutex_;  // guards the text; replaced on reload
  std::string allowed_keys_;
  PageCursors cursors_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_STATE_SERVICE_H_
