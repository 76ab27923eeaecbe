// Client: a small blocking MCP client for the CLI, over HTTP or the engine's Unix socket.
//
// It speaks revision 2026-07-28 only, which our server serves everywhere.
//
// Ownership: a Listener is independent of the Client that made it.
// Threads:   one at a time per object; no background threads.
// Errors:    kUnavailable when the engine cannot be reached or the connection broke (the message
//            says what to do), kPermissionDenied when it refuses the credentials, kDeadlineExceeded
//            when no answer came in time (the outcome of a mutation is then unknown),
//            kInvalidArgument for JSON-RPC errors -32600..-32602, kInternal for the others.

#ifndef STATE_ENGINE_MCP_CLIENT_CLIENT_H_
#define STATE_ENGINE_MCP_CLIENT_CLIENT_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::mcp {

struct ClientOptions {
  std::string url;          // "http://127.0.0.1:4270/mcp", or https; wins over socket_path
  std::string socket_path;  // "/.../engine.sock"
  std::string token;        // bearer token; empty: none
  std::string ca_file;      // PEM certificates to trust for https; empty: those of this machine
  std::string hello_client = "cli";
  std::string client_name = "state-engine";
  std::string client_version = "0.1.0";
  std::chrono::milliseconds call_timeout{30'000};
};

struct ToolReply {
  bool is_error = false;
  json::Value structured;  // an object, or null when the tool sent none (errors)
  std::string text;        // the text blocks, joined by line breaks
};

// A stream of resource updates.
class Listener {
 public:
  ~Listener();
  // Waits for the next updated URI; nullopt when `timeout` passed without one.
  Result<std::optional<std::string>> next(std::chrono::milliseconds timeout);

  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

class Client {
 public:
  static Result<std::unique_ptr<Client>> connect(ClientOptions options);
  ~Client();

  Result<ToolReply> call_tool(std::string_view name, json::Object arguments);

  // Sends any request; returns its result object.
  Result<json::Object> request(std::string_view method, json::Object params);

  // Opens a stream of its own that reports changes of `uris`; returns once the server acknowledged
  // them. Errors: also kInvalidArgument if it honoured none.
  Result<std::unique_ptr<Listener>> listen(const std::vector<std::string>& uris);

  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_CLIENT_CLIENT_H_
