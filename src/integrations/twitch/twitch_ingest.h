// TwitchIngest: Twitch's events as proposals, for as long as it runs.
//
// The thin shell around the machines of this folder: it opens sockets or a webhook, subscribes,
// reconciles, and puts what EventMapper makes of events into the ProposalQueue.
//
// What is lost with the process or the link is found again: after every start and every new
// session, and from time to time, Twitch's API is asked for the truth and differences are proposed.
//
// Ownership: the dependencies outlive the ingest.
// Threads:   start and stop from any thread; all work is on one strand of the runtime.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_TWITCH_INGEST_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_TWITCH_INGEST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "integrations/twitch/eventsub_link.h"
#include "integrations/twitch/helix_client.h"
#include "integrations/twitch/observer.h"
#include "integrations/twitch/proposal_queue.h"
#include "integrations/twitch/settings.h"
#include "integrations/twitch/webhook.h"
#include "net/http_server.h"
#include "net/io_runtime.h"
#include "net/task_group.h"
#include "net/wake_signal.h"
#include "net/websocket.h"

namespace state_engine::twitch {

struct IngestDependencies {
  net::IoRuntime& runtime;
  Proposer& proposer;
  StateReader reader;  // may be empty
  const Clock& clock;
  Random& random;
  Log& log;
  TwitchObserver& observer;
};

class TwitchIngest {
 public:
  // Reads the tokens file and, for webhooks, the secret, and opens the webhook's port.
  // Errors: of TokenFile::load; kInvalidArgument for a bad secret; of HttpServer::listen.
  static Result<std::unique_ptr<TwitchIngest>> open(TwitchSettings settings,
                                                    IngestDependencies dependencies);
  // REQUIRES: stop() was awaited, or start() never called.
  ~TwitchIngest();

  void start();
  // Takes no more events, hands over what waits until `grace` is over, closes.
  boost::asio::awaitable<void> stop(std::chrono::milliseconds grace);

 private:
  TwitchIngest(TwitchSettings settings, IngestDependencies dependencies, TokenFile tokens,
               net::TlsContext tls);

  using Socket = std::shared_ptr<net::WebSocket>;
  // A WebSocket that is being opened or is open.
  struct OpenSocket {
    Socket socket;  // null while connecting
    net::CancelSource connecting;
  };

  Status open_webhook(const std::string& host, std::uint16_t port);

  // The life of the ingest, in order.
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<bool> bind_channels();
  boost::asio::awaitable<void> run_link();
  boost::asio::awaitable<void> run_webhook();

  // WebSocket.
  void perform(LinkActions actions);
  boost::asio::awaitable<void> serve_socket(SocketId id, std::string url);
  void close_socket(const CloseSocket& close);
  void began_session(const std::string& session_id);
  boost::asio::awaitable<void> subscribe_session(std::string session_id);
  boost::asio::awaitable<void> delete_dead_subscriptions();

  // Webhook.
  boost::asio::awaitable<net::HttpResponse> receive_webhook(net::HttpRequest request);
  boost::asio::awaitable<bool> subscribe_webhooks();

  // Both.
  json::Object subscription_body(const BoundChannel& channel, const SubscriptionSpec& spec) const;
  // False if nothing of this session can be subscribed any more.
  boost::asio::awaitable<bool> subscribe_one(const BoundChannel& channel,
                                             const SubscriptionSpec& spec, json::Object transport,
                                             std::string session_id);
  void take(const Notice& notice);
  void push(Outgoing outgoing);
  void plan_reconcile(std::chrono::milliseconds in);
  boost::asio::awaitable<void> run_reconciling();
  boost::asio::awaitable<bool> reconcile_all();
  void trouble(const Error& error, std::string_view doing);
  bool stopping() const { return tasks_.stopping().cancelled(); }
  boost::asio::awaitable<void> sleep(std::chrono::milliseconds duration);
  Now now() const { return {with_.clock.wall_now(), with_.clock.monotonic_now()}; }

  const TwitchSettings settings_;
  IngestDependencies with_;
  boost::asio::any_io_executor strand_;
  net::TlsContext tls_;
  HelixClient helix_;
  ProposalQueue queue_;
  std::optional<EventMapper> mapper_;
  std::string own_user_id_;
  net::TaskGroup tasks_;
  net::TaskGroup queue_task_;

  std::optional<EventSubLink> link_;
  std::map<SocketId, OpenSocket> sockets_;
  net::WakeSignal link_wake_;
  std::size_t enabled_ = 0;

  std::optional<WebhookReceiver> receiver_;
  std::unique_ptr<net::HttpServer> server_;

  net::WakeSignal reconcile_wake_;
  std::optional<std::chrono::nanoseconds> reconcile_at_;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_TWITCH_INGEST_H_
