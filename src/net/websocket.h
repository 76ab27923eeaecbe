// WebSocket: one open WebSocket connection (RFC 6455), of a client or of a server.
//
// Pings of the peer are answered while a read is under way, so keep one going. Without compression.
//
// Ownership: shared; an operation under way keeps the connection alive. Dropping the last reference
//            closes the socket without a goodbye.
// Threads:   the connection's strand only, except abort(). One read() at a time; any number of
//            send() and write(), which leave in their order.
// Errors:    kUnavailable once the connection has ended: closed() says how.

#ifndef STATE_ENGINE_NET_WEBSOCKET_H_
#define STATE_ENGINE_NET_WEBSOCKET_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace state_engine::net {

struct WebSocketOptions {
  std::chrono::milliseconds connect_timeout{10'000};  // name, TCP, TLS and upgrade together
  std::chrono::milliseconds close_timeout{2'000};     // for the peer's half of the goodbye
  std::chrono::milliseconds write_timeout{30'000};    // for one message to leave
  // Without anything from the peer for half of this a ping is sent; for all of it, the end. 0: off.
  std::chrono::milliseconds idle_timeout{0};
  std::size_t message_bytes_max = 4 * 1024 * 1024;  // a longer message ends the connection (1009)
  std::size_t queue_bytes_max = 4 * 1024 * 1024;    // messages that wait to be written
  // Acknowledge each packet at once (TCP_QUICKACK). A peer that writes twice without waiting and
  // has not set TCP_NODELAY otherwise stalls for the 40 ms that Linux delays an acknowledgement.
  bool quick_ack = false;
};

struct WebSocketMessage {
  std::string text;
  bool binary = false;
};

struct WebSocketClose {
  std::uint16_t code = 1006;  // 1006: ended without a close frame
  std::string reason;
};

class WebSocket {
 public:
  virtual ~WebSocket() = default;

  // The next message. A `timeout` above 0 that passes ends the connection: kDeadlineExceeded.
  virtual boost::asio::awaitable<Result<WebSocketMessage>> read(
      std::chrono::milliseconds timeout = {}) = 0;

  // Queues a text message. Errors: kResourceExhausted when the queue is full, kUnavailable when the
  // connection has ended; no error says that it arrived.
  virtual Status send(std::string text) = 0;
  // The same, and waits until the socket took it.
  virtual boost::asio::awaitable<Status> write(std::string text) = 0;

  // Begins the goodbye. A read under way ends when the peer's half came, or after close_timeout;
  // what the peer sent before its half may be thrown away, so whoever wants it reads it first.
  virtual void start_close(std::uint16_t code, std::string reason) = 0;
  // The same, and waits for the end. REQUIRES: no read under way, or one that its caller awaits.
  virtual boost::asio::awaitable<void> close(std::uint16_t code, std::string reason) = 0;
  // Drops the connection; what is pending fails. Any thread.
  virtual void abort() = 0;

  virtual bool is_open() const = 0;
  // How the connection ended. REQUIRES: !is_open(), or an operation has failed.
  virtual const WebSocketClose& closed() const = 0;
  // What both sides agreed on; empty if nothing.
  virtual const std::string& subprotocol() const = 0;
  virtual boost::asio::any_io_executor executor() const = 0;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_WEBSOCKET_H_
