// Connecting to a host, over TCP and TLS. Internal to src/net.
//
// Plain sockets and one DeadlineTimer an operation, not Beast's tcp_stream: an expired deadline
// closes the socket, which ends whatever is pending on it, and the same socket type serves the
// connections that a server accepted.

#ifndef STATE_ENGINE_NET_CLIENT_STREAM_H_
#define STATE_ENGINE_NET_CLIENT_STREAM_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/result.h"
#include "net/cancel.h"
#include "net/tls.h"
#include "net/url.h"

namespace state_engine::net {

using TcpSocket = boost::asio::ip::tcp::socket;
using TlsSocket = boost::asio::ssl::stream<TcpSocket>;

inline constexpr auto kAwaitTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

struct TlsContext::Impl {
  mutable boost::asio::ssl::context context{boost::asio::ssl::context::tls_client};
  bool verify = true;
};

// Calls `on_expiry` on the strand after `timeout`, unless destroyed before.
class DeadlineTimer {
 public:
  DeadlineTimer(const boost::asio::any_io_executor& strand, std::chrono::milliseconds timeout,
                std::function<void()> on_expiry);
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;
  ~DeadlineTimer();

  bool expired() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Connects to the host and port of `url`. Errors: kUnavailable, kDeadlineExceeded, kCancelled.
// REQUIRES: awaited on a strand; the socket lives on it.
boost::asio::awaitable<Result<TcpSocket>> connect_tcp(Url url, std::chrono::milliseconds timeout,
                                                      CancelToken cancel);

// Connects and makes the TLS handshake. Errors: as connect_tcp; kFailedPrecondition for a
// certificate that is not trusted.
boost::asio::awaitable<Result<TlsSocket>> connect_tls(Url url, TlsContext tls,
                                                      std::chrono::milliseconds timeout,
                                                      CancelToken cancel);

// What a failed operation on a connection to `url` means for the caller.
Error transport_error(const Url& url, std::string_view doing,
                      const boost::system::error_code& error, bool expired,
                      const CancelToken& cancel);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_CLIENT_STREAM_H_
