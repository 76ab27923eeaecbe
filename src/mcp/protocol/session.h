// Legacy sessions of the HTTP transports.
//
// Threads: every method from any thread.

#ifndef STATE_ENGINE_MCP_PROTOCOL_SESSION_H_
#define STATE_ENGINE_MCP_PROTOCOL_SESSION_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/random.h"
#include "mcp/protocol/caller.h"
#include "mcp/protocol/client_requests.h"
#include "mcp/protocol/outbox.h"
#include "mcp/protocol/subscriptions.h"
#include "net/cancel.h"

namespace state_engine::mcp {

// Requests that notifications/cancelled may name.
class InFlight {
 public:
  // The token of a new request. A second request with the same id replaces the first.
  net::CancelToken add(const std::string& id);
  void remove(const std::string& id);
  bool contains(const std::string& id) const;
  // Returns false if no such request is in flight.
  bool cancel(const std::string& id);
  void cancel_all();
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, net::CancelSource> requests_;
};

struct Session {
  Session(std::string session_id, Caller session_caller, Credentials session_credentials,
          SubscriptionHub& hub)
      : id(std::move(session_id)),
        caller(std::move(session_caller)),
        credentials(std::move(session_credentials)),
        updates(hub) {}

  const std::string id;
  const Caller caller;
  const Credentials credentials;  // what opened it, to ask again later
  std::string protocol_version;
  json::Object client_capabilities;
  ScopedListener updates;
  Outbox outbox;  // the legacy SSE transport only
  InFlight in_flight;
  std::shared_ptr<ClientRequests> requests = std::make_shared<ClientRequests>();
  std::shared_ptr<std::atomic<int>> log_level = std::make_shared<std::atomic<int>>(0);
  net::CancelSource ended;

  // Guarded by the table.
  bool has_stream = false;
  std::chrono::steady_clock::time_point last_used;
};

class SessionTable {
 public:
  SessionTable(std::size_t sessions_max, std::chrono::milliseconds idle_max, Random& random);

  // A new session, or nullptr when the table is full of sessions with open streams. A full table
  // ends its longest idle session.
  std::shared_ptr<Session> create(Caller caller, Credentials credentials, SubscriptionHub& hub);

  // The session if it exists and belongs to `caller`; counts as use.
  std::shared_ptr<Session> find(std::string_view id, const Caller& caller);

  // Marks the session's one stream as open; false if it is already.
  bool open_stream(Session& session);
  void close_stream(Session& session);

  void end(const std::shared_ptr<Session>& session);
  std::size_t size() const;
  std::vector<std::shared_ptr<Session>> all() const;

 private:
  void expire(std::chrono::steady_clock::time_point now);
  bool evict_one();

  const std::size_t sessions_max_;
  const std::chrono::milliseconds idle_max_;
  Random& random_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Session>> sessions_;
  std::chrono::steady_clock::time_point next_expiry_{};
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_SESSION_H_
