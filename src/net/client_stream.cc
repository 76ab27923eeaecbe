// The resolver of Asio blocks a thread of its own and cannot be interrupted; a lookup that outlives
// its deadline is therefore left to end by itself, holding only its own state.

#include "net/client_stream.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <openssl/err.h>

#include "net/wake_signal.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using SteadyTime = std::chrono::steady_clock::time_point;

std::chrono::milliseconds left_until(SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds{1});
}

struct Lookup {
  explicit Lookup(const asio::any_io_executor& strand) : resolver(strand), done(strand) {}

  tcp::resolver resolver;
  WakeSignal done;
  bool ended = false;
  boost::system::error_code error;
  std::vector<tcp::endpoint> endpoints;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(Url url, SteadyTime deadline,
                                                            CancelToken cancel) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(url.host, error);
  if (!error) co_return std::vector<tcp::endpoint>{tcp::endpoint(address, url.port)};
  const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
  auto on_done = [lookup](const boost::system::error_code& failed,
                          const tcp::resolver::results_type& results) {
    lookup->ended = true;
    lookup->error = failed;
    for (const auto& one : results) lookup->endpoints.push_back(one.endpoint());
    lookup->done.notify();
  };
  lookup->resolver.async_resolve(url.host, std::to_string(url.port), std::move(on_done));
  const auto stop = cancel.on_cancel([lookup] { lookup->done.notify(); });
  co_await lookup->done.wait(left_until(deadline));
  if (!lookup->ended) lookup->error = asio::error::timed_out;
  if (lookup->error) {
    co_return transport_error(url, "looking up the name", lookup->error, !lookup->ended, cancel);
  }
  co_return std::move(lookup->endpoints);
}

// Closes `socket` when `cancel` says so, from its strand.
CancelRegistration close_on_cancel(const std::shared_ptr<TcpSocket>& socket,
                                   const CancelToken& cancel) {
  return cancel.on_cancel([socket] {
    asio::post(socket->get_executor(), [socket] {
      boost::system::error_code ignored;  // Closing twice is harmless.
      socket->close(ignored);
    });
  });
}

bool is_certificate_fault(const boost::system::error_code& error) {
  return error.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
             SSL_R_CERTIFICATE_VERIFY_FAILED;
}

}  // namespace

struct DeadlineTimer::State {
  State(const asio::any_io_executor& strand, std::function<void()> callback)
      : timer(strand), on_expiry(std::move(callback)) {}

  asio::steady_timer timer;
  std::function<void()> on_expiry;
  bool done = false;
  bool expired = false;
};

DeadlineTimer::DeadlineTimer(const asio::any_io_executor& strand, std::chrono::milliseconds timeout,
                             std::function<void()> on_expiry)
    : state_(std::make_shared<State>(strand, std::move(on_expiry))) {
  state_->timer.expires_after(timeout);
  state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
    if (error || state->done) return;
    state->expired = true;
    state->on_expiry();
  });
}

DeadlineTimer::~DeadlineTimer() {
  state_->done = true;
  state_->timer.cancel();
}

bool DeadlineTimer::expired() const { return state_->expired; }

Error transport_error(const Url& url, std::string_view doing,
                      const boost::system::error_code& error, bool expired,
                      const CancelToken& cancel) {
  const std::string what = url.display() + ": " + std::string{doing};
  if (cancel.cancelled()) return {ErrorCode::kCancelled, what + " was given up"};
  if (expired) return {ErrorCode::kDeadlineExceeded, what + " took too long"};
  if (is_certificate_fault(error)) {
    return {ErrorCode::kFailedPrecondition,
            what + ": the certificate is not trusted (" + error.message() +
                "); name its authority as the CA file if it is yours"};
  }
  return {ErrorCode::kUnavailable, what + " failed: " + error.message()};
}

asio::awaitable<Result<TcpSocket>> connect_tcp(Url url, std::chrono::milliseconds timeout,
                                               CancelToken cancel) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto endpoints = co_await resolve(url, deadline, cancel);
  if (!endpoints.ok()) co_return std::move(endpoints).error();
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  const auto socket = std::make_shared<TcpSocket>(strand);
  const auto stop = close_on_cancel(socket, cancel);
  const DeadlineTimer timer(strand, left_until(deadline), [socket] {
    boost::system::error_code ignored;  // Closing twice is harmless.
    socket->close(ignored);
  });
  // async_connect opens the socket anew for each endpoint: after an expiry it must not go on.
  auto go_on = [&timer, &cancel](const boost::system::error_code&, const tcp::endpoint&) {
    return !timer.expired() && !cancel.cancelled();
  };
  const auto [error, endpoint] =
      co_await asio::async_connect(*socket, *endpoints, go_on, kAwaitTuple);
  if (error || timer.expired() || cancel.cancelled()) {
    co_return transport_error(url, "connecting", error, timer.expired(), cancel);
  }
  boost::system::error_code ignored;  // Only a matter of speed.
  socket->set_option(tcp::no_delay(true), ignored);
  co_return std::move(*socket);
}

asio::awaitable<Result<TlsSocket>> connect_tls(Url url, TlsContext tls,
                                               std::chrono::milliseconds timeout,
                                               CancelToken cancel) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto socket = co_await connect_tcp(url, timeout, cancel);
  if (!socket.ok()) co_return std::move(socket).error();
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  const auto stream = std::make_shared<TlsSocket>(std::move(*socket), tls.impl().context);
  if (tls.impl().verify) {
    stream->set_verify_mode(asio::ssl::verify_peer);
    stream->set_verify_callback(asio::ssl::host_name_verification(url.host));
  }
  boost::system::error_code ignored;
  if (asio::ip::make_address(url.host, ignored); ignored) {
    SSL_set_tlsext_host_name(stream->native_handle(), url.host.c_str());
  }
  auto close = [stream] {
    boost::system::error_code unheeded;  // Closing twice is harmless.
    stream->next_layer().close(unheeded);
  };
  const auto stop = cancel.on_cancel([strand, close] { asio::post(strand, close); });
  const DeadlineTimer timer(strand, left_until(deadline), close);
  const auto [error] =
      co_await stream->async_handshake(asio::ssl::stream_base::client, kAwaitTuple);
  if (error || timer.expired() || cancel.cancelled()) {
    co_return transport_error(url, "the TLS handshake", error, timer.expired(), cancel);
  }
  co_return std::move(*stream);
}

Result<TlsContext> TlsContext::create(const TlsOptions& options) {
  auto impl = std::make_shared<Impl>();
  impl->verify = options.verify;
  boost::system::error_code error;
  impl->context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                                asio::ssl::context::no_tlsv1_1,
                            error);
  if (!error) impl->context.set_default_verify_paths(error);
  if (error) return Error{ErrorCode::kInternal, "TLS cannot be set up: " + error.message()};
  if (!options.ca_file.empty()) {
    impl->context.load_verify_file(options.ca_file, error);
    if (error) {
      return invalid_argument("cannot read the CA file " + options.ca_file + ": " +
                              error.message() + "; it must hold PEM certificates");
    }
  }
  return TlsContext(std::move(impl));
}

}  // namespace state_engine::net
