// The first byte tells TLS from plain HTTP: a handshake record begins with 22, a method with a
// letter. It is looked at before OpenSSL sees anything, so that a client with the wrong scheme gets
// an answer it can read.

#include "net/http_stream.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine::net {
namespace {

namespace asio = boost::asio;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr char kHandshakeRecord = 22;

}  // namespace

asio::awaitable<HttpStream::Opening> HttpStream::start_tls(TlsIdentity::Context context,
                                                           std::string& why) {
  const auto [waited] = co_await socket_.async_wait(Socket::wait_read, kAwaitTuple);
  boost::system::error_code error = waited;
  char first = 0;
  if (!error) {
    socket_.receive(asio::buffer(&first, 1), asio::socket_base::message_peek, error);
  }
  if (error) {
    why = error.message();
    co_return Opening::kFailed;
  }
  if ((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z')) {
    why = "plain HTTP";
    co_return Opening::kPlainHttp;
  }
  if (first != kHandshakeRecord) {
    why = "neither TLS nor HTTP";
    co_return Opening::kFailed;
  }
  tls_ = std::make_unique<asio::ssl::stream<Socket&>>(socket_, *context);
  const auto [failed] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kAwaitTuple);
  if (!failed) co_return Opening::kReady;
  why = failed.message();
  co_return Opening::kFailed;
}

asio::awaitable<void> HttpStream::end_tls() {
  if (!tls_ || !socket_.is_open()) co_return;
  // As if the peer had said goodbye already: OpenSSL then does not wait for it.
  SSL_set_shutdown(tls_->native_handle(),
                   SSL_get_shutdown(tls_->native_handle()) | SSL_RECEIVED_SHUTDOWN);
  // A peer that is gone cannot be told.
  co_await tls_->async_shutdown(kAwaitTuple);
}

}  // namespace state_engine::net
