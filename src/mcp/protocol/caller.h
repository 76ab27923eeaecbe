// Who is calling: what a transport knows of the peer, and what the application makes of it.

#ifndef STATE_ENGINE_MCP_PROTOCOL_CALLER_H_
#define STATE_ENGINE_MCP_PROTOCOL_CALLER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_types.h"

namespace state_engine::mcp {

// The identity a request runs under.
struct Caller {
  std::string actor;                // who proposes: "llm-bot", "cli:anna"
  std::string principal;            // who authenticated: "token:3f2a", "uid:1000", "anonymous"
  std::vector<std::string> scopes;  // "state:read", ...; "*" stands for all

  bool has_scope(std::string_view scope) const;
  bool operator==(const Caller&) const = default;
};

enum class TransportKind {
  kStreamableHttp,  // POST /mcp
  kLegacySse,       // GET /sse + POST /message
  kStream,          // newline-framed JSON: stdio or a Unix socket
};

// What a transport learnt about its peer before any request was read.
struct Credentials {
  TransportKind transport = TransportKind::kStreamableHttp;
  std::string bearer_token;    // Authorization: Bearer, x-mcp-token, ?token= (legacy SSE), or hello
  bool is_loopback = false;    // HTTP from this machine
  std::string remote_address;  // HTTP only
  std::optional<std::uint32_t> peer_uid;  // Unix socket only
  std::string peer_user;                  // the name of peer_uid, or its number
  std::string hello_client;               // "cli", "mcp", "" without a hello
};

// Why a peer was turned away.
struct AuthFailure {
  int http_status = 401;  // 401: no or bad credentials; 403: known, but not allowed
  std::string message;    // for people; never holds the token
  std::string challenge;  // the value of WWW-Authenticate; a plain "Bearer" when empty
};

struct AuthOutcome {
  Caller caller;
  std::optional<AuthFailure> failure;  // `caller` counts only without it
};

// Decides who the peer is. Called for every HTTP request and once per stream, from any I/O thread:
// it must be quick and must not block.
using Authenticator = std::function<AuthOutcome(const Credentials& credentials)>;

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_CALLER_H_
