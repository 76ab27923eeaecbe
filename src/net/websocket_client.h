// Connecting to a WebSocket server, over TCP or TLS.

#ifndef STATE_ENGINE_NET_WEBSOCKET_CLIENT_H_
#define STATE_ENGINE_NET_WEBSOCKET_CLIENT_H_

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "net/cancel.h"
#include "net/http_types.h"
#include "net/tls.h"
#include "net/websocket.h"

namespace state_engine::net {

struct WebSocketRequest {
  std::string url;          // ws or wss
  Headers headers;          // sent with the upgrade
  std::string subprotocol;  // the only one offered; empty = none
  WebSocketOptions options;
  CancelToken cancel;  // gives up connecting; it does not close an open connection
};

// Connects. Must be awaited on a strand, on which the connection then lives.
// Errors: kInvalidArgument for a URL that cannot be used; kUnavailable; kDeadlineExceeded;
// kCancelled; kPermissionDenied if the server answers 401 or 403; kFailedPrecondition for a
// certificate that is not trusted, and for a server that does not speak the subprotocol.
boost::asio::awaitable<Result<std::shared_ptr<WebSocket>>> connect_websocket(
    WebSocketRequest request, TlsContext tls);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_WEBSOCKET_CLIENT_H_
