// HelixClient: the calls of Twitch's API that the ingest needs, with tokens kept fresh.
//
// A call that is answered 401 refreshes the token once and is sent again. Before a token counts as
// bad its file is read again: somebody may have replaced it.
//
// Ownership: clock and log outlive the client.
// Threads:   one strand; calls may overlap.
// Errors:    kUnavailable: try again later (network, 429, 5xx). kPermissionDenied: token or scope,
//            the message says what to do. kConflict: it is there already. kFailedPrecondition: the
//            session is gone. kInvalidArgument: Twitch will never take this.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_HELIX_CLIENT_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_HELIX_CLIENT_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "integrations/twitch/mapping.h"
#include "integrations/twitch/settings.h"
#include "integrations/twitch/tokens.h"
#include "net/http_client.h"

namespace state_engine::twitch {

// A subscription as Twitch lists it.
struct ListedSubscription {
  std::string id;
  std::string status;
  std::string type;
  std::string callback;    // webhook
  std::string session_id;  // websocket
  json::Object condition;
};

class HelixClient {
 public:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  // kUser: the token of a person, for WebSocket. kApp: one of the app alone, for webhooks.
  enum class TokenKind { kUser, kApp };

  HelixClient(Endpoints endpoints, TokenFile tokens, TokenKind kind, net::TlsContext tls,
              const Clock& clock, Log& log);

  // User ids by login; a login that Twitch does not know is absent.
  Awaitable<Result<std::map<std::string, std::string>>> user_ids(std::vector<std::string> logins);
  // The id of the token's own user.
  Awaitable<Result<std::string>> own_user_id();
  Awaitable<Result<ChannelTruth>> truth(std::string broadcaster_id);
  Awaitable<Status> subscribe(json::Object body);
  Awaitable<Result<std::vector<ListedSubscription>>> subscriptions();
  Awaitable<Status> unsubscribe(std::string id);

  // Refreshes that worked so far.
  int refreshes() const { return refreshes_; }

 private:
  struct Call {
    std::string method = "GET";
    std::string url;
    std::string body;  // JSON
  };
  Awaitable<Result<json::Object>> call(Call call);
  Awaitable<Result<net::HttpClientResponse>> send(Call call);
  Awaitable<Status> ensure_token();
  Awaitable<Status> refresh();
  Awaitable<Status> refresh_alone();
  Error refusal(const Call& call, const net::HttpClientResponse& response) const;

  const Endpoints endpoints_;
  TokenFile tokens_;
  const TokenKind kind_;
  net::HttpClient http_;
  const Clock& clock_;
  Log& log_;
  std::string app_token_;
  int refreshes_ = 0;
  bool refreshing_ = false;
  Status last_refresh_;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_HELIX_CLIENT_H_
