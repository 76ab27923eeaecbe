// MockTwitch: Twitch's EventSub, Helix and token endpoints on this machine, for development and
// tests without Twitch.
//
// The addresses are those of twitch-cli's mock, so that clients that know it need no change:
// /ws, /eventsub/subscriptions, /mock/{users,streams,channels}, /auth/{token,validate,authorize};
// the real paths /helix/... and /oauth2/... work too. /control/... makes things happen
// (mock_control.cc; docs/twitch.md lists it).
//
// Ownership: runtime, clock, random and log outlive the mock; the mock outlives the server that it
//            is mounted on.
// Threads:   any; one lock guards everything, and nothing waits while holding it.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_TWITCH_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_TWITCH_H_

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/strand.hpp>

#include "base/log.h"
#include "integrations/twitch/mock_world.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/io_runtime.h"
#include "net/task_group.h"
#include "net/websocket.h"

namespace state_engine::twitch {

struct MockTwitchOptions {
  MockWorld::Options world;
  std::chrono::seconds keepalive_default{10};          // for clients that do not ask
  std::chrono::seconds keepalive_min{10};              // Twitch's; shorter ones make tests short
  std::chrono::milliseconds subscribe_window{10'000};  // no subscription by then: close 4003
  std::chrono::milliseconds reconnect_grace{30'000};
  bool plain_webhooks = false;  // call https callbacks by http: no proxy is in front of them
};

// The parameters of a query or of a form body, decoded.
MockWorld::Form parse_form(std::string_view text);

class MockTwitch {
 public:
  MockTwitch(net::IoRuntime& runtime, MockTwitchOptions options, const Clock& clock, Random& random,
             Log& log);
  ~MockTwitch();

  // Adds its routes. Call before listen().
  void mount(net::HttpServer& server);
  // Begins to send keepalives and delayed events.
  void start();
  // Ends that. REQUIRES: the server was shut down.
  boost::asio::awaitable<void> stop();

  // A tokens file for `ingress twitch`, as JSON: client, a user token, its refresh token.
  std::string tokens_json(const std::string& user_id);
  // Accepts the tokens of such a file again. Errors: kInvalidArgument.
  Status adopt_tokens(std::string_view tokens_json);

 private:
  using Socket = std::shared_ptr<net::WebSocket>;
  struct Session {
    explicit Session(Socket with)
        : socket(std::move(with)), in_order(boost::asio::make_strand(socket->executor())) {}

    Socket socket;
    // Within the socket's executor. Events come in from several threads, and their order must stay.
    boost::asio::strand<boost::asio::any_io_executor> in_order;
    std::string id;
    std::chrono::milliseconds keepalive{};
    Timestamp opened{};
    Timestamp last_sent{};
    std::optional<Timestamp> grace_ends;  // set by a reconnect: this socket is the old one
    bool had_subscription = false;
    bool live = true;  // has the session; a socket after its reconnect has not
  };
  using SessionKey = const net::WebSocket*;
  // A message on its way out, at once or later.
  struct Delivery {
    Timestamp due{};
    std::string subscription_id;
    std::string message_id;
    std::string timestamp;
    json::Object event;
    int repeat = 1;
  };

  static void send_text(const Session& session, std::string text);
  static void start_close(const Session& session, std::uint16_t code, std::string reason);

  using Handler = net::HttpResponse (MockTwitch::*)(const net::HttpRequest&);
  net::HttpHandler locked(Handler handler);

  // Doors (mock_twitch.cc).
  net::HttpResponse open_socket(const net::HttpRequest& request);
  net::HttpResponse auth(const net::HttpRequest& request);
  net::HttpResponse helix(const net::HttpRequest& request);
  net::HttpResponse helix_answer(const net::HttpRequest& request);
  boost::asio::awaitable<void> serve_socket(Socket socket, std::string reconnect,
                                            std::chrono::milliseconds keepalive);
  void on_open(const Socket& socket, const std::string& reconnect,
               std::chrono::milliseconds keepalive);
  void on_close(const Socket& socket);
  void welcome(Session& session);
  void send(Session& session, std::string_view type, json::Object payload);
  void deliver(const Delivery& delivery);
  // The webhook sender (mock_webhooks.cc).
  void send_webhook(const MockSubscription& subscription, std::string_view type,
                    json::Object payload, const std::string& message_id,
                    const std::string& timestamp);
  void challenge(const std::string& subscription_id);
  boost::asio::awaitable<void> post_webhook(MockSubscription subscription, std::string type,
                                            std::string body, std::string message_id,
                                            std::string timestamp);
  void tick();
  void tick_session(Session& session, Timestamp now);
  MockCaller caller(const net::HttpRequest& request) const;
  std::optional<net::HttpResponse> planted_failure(const net::HttpRequest& request,
                                                   std::string_view path);

  // The control API (mock_control.cc).
  net::HttpResponse control(const net::HttpRequest& request);
  net::HttpResponse control_stream(const json::Object& body);
  net::HttpResponse control_channel(const json::Object& body);
  net::HttpResponse control_event(const json::Object& body);
  net::HttpResponse control_revoke(const json::Object& body);
  net::HttpResponse control_sessions(std::string_view verb, const json::Object& body);
  net::HttpResponse control_rtmp(const MockWorld::Form& form);
  net::HttpResponse control_report();
  int emit(const std::string& type, MockChannel& channel, const json::Object& body);
  void go(MockChannel& channel, bool live, const json::Object& body);

  net::IoRuntime& runtime_;
  const MockTwitchOptions options_;
  const Clock& clock_;
  Random& random_;
  Log& log_;
  std::mutex mutex_;
  MockWorld world_;
  std::map<SessionKey, Session> sessions_;
  std::map<std::string, std::string> reconnects_;  // secret of a reconnect address -> session id
  std::deque<Delivery> waiting_;
  bool keepalives_ = true;
  struct Failure {
    std::string path;
    std::string method;
    int status = 500;
    std::string message;
    int times = 0;
  };
  std::vector<Failure> failures_;
  std::map<std::string, std::int64_t> counts_;  // requests by method and path
  std::string base_;                            // "127.0.0.1:8080", as the client addressed it
  std::map<std::string, int> failed_posts_;     // in a row, by subscription id
  std::optional<net::HttpClient> http_;
  net::TaskGroup tasks_;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_MOCK_TWITCH_H_
