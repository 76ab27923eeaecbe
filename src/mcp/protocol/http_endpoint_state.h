// The inside of HttpEndpoint, shared by its source files (http_endpoint.cc: the ladder of checks;
// http_streams.cc: event streams and the older SSE transport).

#ifndef STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_STATE_H_
#define STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_STATE_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "mcp/protocol/access_watch.h"
#include "mcp/protocol/era.h"
#include "mcp/protocol/http_endpoint.h"
#include "mcp/protocol/listen.h"
#include "mcp/protocol/message.h"
#include "mcp/protocol/session.h"
#include "net/task_group.h"

namespace state_engine::mcp {

inline constexpr std::string_view kMetadataPath = "/.well-known/oauth-protected-resource";

// Who asks, and what to ask the authenticator again while a stream is open.
struct Peer {
  Caller caller;
  Credentials credentials;
};

// How many listens each principal has open. Threads: any.
class ListenCounts {
 public:
  explicit ListenCounts(std::size_t most) : most_(most) {}

  bool take(const std::string& principal) {
    const std::lock_guard lock(mutex_);
    std::size_t& count = counts_[principal];
    if (count >= most_) return false;
    ++count;
    return true;
  }

  void give_back(const std::string& principal) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(principal);
    SE_ASSERT(found != counts_.end());
    if (--found->second == 0) counts_.erase(found);
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> counts_;
};

// One request on its way; shared, because a client may leave before its handler is done.
struct HttpCall {
  Message message;
  RequestContext context;
  Peer peer;
  std::shared_ptr<Session> session;  // legacy sessions only
};

class HttpEndpoint::State final : public std::enable_shared_from_this<HttpEndpoint::State> {
 public:
  State(Server& server, HttpEndpointOptions options, Authenticator authenticator, Random& random,
        Log& log)
      : server_(server),
        options_(std::move(options)),
        authenticator_(std::move(authenticator)),
        listens_(options_.listens_per_client_max),
        sessions_(options_.sessions_max, options_.session_idle_max, random),
        calls_("mcp calls", log) {}

  using Response = boost::asio::awaitable<net::HttpResponse>;

  // Routes.
  Response serve(net::HttpRequest request, net::HttpExchange& exchange);
  Response serve_sse(net::HttpRequest request, net::HttpExchange& exchange);
  Response serve_message(net::HttpRequest request, net::HttpExchange& exchange);

  // The document of RFC 9728.
  net::HttpResponse metadata(const net::HttpRequest& request) const;

  void recheck_access();

  const HttpEndpointOptions& options() const { return options_; }
  std::size_t sessions() const { return sessions_.size(); }
  std::size_t listeners() const { return listeners_; }

 private:
  // The ladder, step by step; a response ends it.
  std::optional<net::HttpResponse> check_post(const net::HttpRequest& request) const;
  std::optional<net::HttpResponse> authenticate(const net::HttpRequest& request,
                                                TransportKind transport, Peer& peer) const;
  std::optional<net::HttpResponse> check_scope(const net::HttpRequest& request,
                                               const HttpCall& call) const;
  bool still_allowed(const Caller& caller, const Credentials& credentials) const;
  bool still_allowed(const Peer& peer) const {
    return still_allowed(peer.caller, peer.credentials);
  }
  std::string public_url(const net::HttpRequest& request) const;
  std::string challenge(const net::HttpRequest& request, std::string_view error,
                        std::string_view scope) const;
  Response serve_other(net::HttpRequest request, bool allowed);
  Response post(net::HttpRequest request, net::HttpExchange& exchange);
  // What a request of the modern era is answered before any method of the server is asked.
  std::optional<net::HttpResponse> answer_modern(const std::shared_ptr<HttpCall>& call,
                                                 const net::HttpRequest& request);
  Response post_legacy(std::shared_ptr<HttpCall> call, const net::HttpRequest& request);
  net::HttpResponse get(const net::HttpRequest& request);
  net::HttpResponse remove(const net::HttpRequest& request);
  std::optional<Reply> session_method(HttpCall& call);
  void take_notification(const Message& message, Session* session);
  net::HttpResponse opened(HttpCall& call, Reply reply);

  // Answers one request as JSON, or as an event stream when it has more to say than its result.
  Response answer(std::shared_ptr<HttpCall> call, const net::HttpRequest& request);
  Response answer_as_stream(std::shared_ptr<HttpCall> call, bool takes_json);
  struct StreamedCall;
  net::HttpResponse listen(const std::shared_ptr<HttpCall>& call);
  net::HttpResponse session_stream(std::shared_ptr<Session> session, Peer peer,
                                   std::string first_event);
  struct StreamLease;
  struct ListenLease;

  boost::asio::awaitable<void> run_listen(std::string id, ListenFilter filter, Peer peer,
                                          net::SseWriter& writer);
  boost::asio::awaitable<void> run_session_stream(std::shared_ptr<Session> session, Peer peer,
                                                  std::string first_event, net::SseWriter& writer);
  boost::asio::awaitable<void> run_streamed_call(std::shared_ptr<StreamedCall> streamed);
  boost::asio::awaitable<void> write_streamed_call(std::shared_ptr<StreamedCall> streamed,
                                                   net::SseWriter& writer);
  boost::asio::awaitable<void> run_message(std::shared_ptr<HttpCall> call);

  Server& server_;
  const HttpEndpointOptions options_;
  const Authenticator authenticator_;
  ListenCounts listens_;
  SessionTable sessions_;
  AccessChanges access_;
  net::TaskGroup calls_;
  std::atomic<std::size_t> listeners_{0};
};

// A JSON-RPC error as an HTTP answer.
net::HttpResponse rpc_failure(int http_status, std::string_view id, const RpcError& error);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_HTTP_ENDPOINT_STATE_H_
