// EngineLink over mcp::Client. A file of its own: tests with a fake link need no sockets.

#include <fmt/format.h>

#include "cli/engine_link.h"
#include "mcp/client/client.h"

namespace state_engine::cli {
namespace {

class McpHints final : public ChangeHints {
 public:
  explicit McpHints(std::unique_ptr<mcp::Listener> listener) : listener_(std::move(listener)) {}

  Result<bool> wait(std::chrono::milliseconds timeout) override {
    auto uri = listener_->next(timeout);
    if (!uri.ok()) return uri.error();
    return uri->has_value();
  }

 private:
  std::unique_ptr<mcp::Listener> listener_;
};

class McpLink final : public EngineLink {
 public:
  explicit McpLink(std::unique_ptr<mcp::Client> client) : client_(std::move(client)) {}

  Result<ToolAnswer> call(std::string_view tool, json::Object arguments) override {
    auto reply = client_->call_tool(tool, std::move(arguments));
    if (!reply.ok()) return reply.error();
    ToolAnswer answer;
    answer.is_error = reply->is_error;
    answer.text = std::move(reply->text);
    if (reply->structured.is_object()) answer.structured = reply->structured.get_object();
    return answer;
  }

  Result<std::unique_ptr<ChangeHints>> listen(std::string_view prefix) override {
    // A trailing '*' makes any prefix a collection.
    const std::string uri =
        prefix.empty() ? std::string("state://") : fmt::format("state://{}*", prefix);
    auto listener = client_->listen({uri});
    if (!listener.ok()) return listener.error();
    return std::unique_ptr<ChangeHints>(new McpHints(std::move(listener).value()));
  }

 private:
  std::unique_ptr<mcp::Client> client_;
};

}  // namespace

Result<std::unique_ptr<EngineLink>> connect_over_mcp(const ConnectionOptions& resolved) {
  mcp::ClientOptions options;
  options.url = resolved.url;
  // "http://127.0.0.1:4270/" is the server, as without the slash.
  while (options.url.ends_with('/')) options.url.pop_back();
  options.token = resolved.token;
  options.ca_file = resolved.ca_file;
  if (resolved.url.empty()) options.socket_path = socket_path(resolved);
  auto client = mcp::Client::connect(std::move(options));
  if (!client.ok()) return std::move(client).error();
  return std::unique_ptr<EngineLink>(new McpLink(std::move(client).value()));
}

}  // namespace state_engine::cli
