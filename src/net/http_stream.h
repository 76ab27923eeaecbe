// HttpStream: the bytes of one TCP connection, as they are or through TLS. Internal to src/net.
//
// A branch per read and write, no second kind of connection: what HttpConnection does is compiled
// once, and plain connections pay nothing else.
//
// Threads: the connection's strand only. One read and one write may be under way at a time.

#ifndef STATE_ENGINE_NET_HTTP_STREAM_H_
#define STATE_ENGINE_NET_HTTP_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "net/tls_identity.h"

namespace state_engine::net {

class HttpStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;

  explicit HttpStream(Socket socket) : socket_(std::move(socket)) {}

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  bool is_open() const { return socket_.is_open(); }
  bool is_tls() const { return tls_ != nullptr; }

  // How a client began on a port that speaks TLS. kPlainHttp: it may be answered in the clear.
  enum class Opening { kReady, kPlainHttp, kFailed };

  // Does the server's half of the handshake. `why` says what failed.
  boost::asio::awaitable<Opening> start_tls(TlsIdentity::Context context, std::string& why);

  // Tells the peer that no more will be sent; reads nothing.
  boost::asio::awaitable<void> end_tls();

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto&& handler, const Buffers& into) {
          if (tls_) {
            tls_->async_read_some(into, std::forward<decltype(handler)>(handler));
          } else {
            socket_.async_read_some(into, std::forward<decltype(handler)>(handler));
          }
        },
        token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto&& handler, const Buffers& from) {
          if (tls_) {
            tls_->async_write_some(from, std::forward<decltype(handler)>(handler));
          } else {
            socket_.async_write_some(from, std::forward<decltype(handler)>(handler));
          }
        },
        token, buffers);
  }

 private:
  Socket socket_;
  std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_STREAM_H_
