// The server's half of the upgrade. Internal to src/net: handlers of an HttpServer answer with
// HttpResponse::websocket instead.

#ifndef STATE_ENGINE_NET_WEBSOCKET_ACCEPT_H_
#define STATE_ENGINE_NET_WEBSOCKET_ACCEPT_H_

#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.h"
#include "net/http_types.h"
#include "net/websocket.h"

namespace state_engine::net {

// True if `request` asks for a WebSocket in the way of RFC 6455.
bool is_websocket_upgrade(const HttpRequest& request);

// Answers `request`, which arrived on `socket`, with 101 and `headers`.
boost::asio::awaitable<Result<std::shared_ptr<WebSocket>>> accept_websocket(
    boost::asio::ip::tcp::socket socket, HttpRequest request, Headers headers,
    WebSocketOptions options);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_WEBSOCKET_ACCEPT_H_
