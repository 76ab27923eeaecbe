// One strand accepts; each connection has its own. One sweeper looks after the deadlines of all
// connections, which saves a timer per phase of each request.

#include "net/http_server.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/http_connection.h"
#include "net/task_group.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kSweepTickMax{50};
constexpr std::chrono::milliseconds kSweepTickMin{5};
constexpr std::chrono::milliseconds kAbortWait{5000};

struct Route {
  std::string methods;  // empty: all
  HttpHandler handler;
};

bool lists_method(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    const auto comma = methods.find(',');
    if (trim(methods.substr(0, comma)) == method) return true;
    if (comma == std::string_view::npos) break;
    methods.remove_prefix(comma + 1);
  }
  return false;
}

asio::awaitable<HttpResponse> at_once(HttpResponse response) { co_return response; }

// Outside the coroutines: g++ 12 cannot build nested initializer lists inside one.
void log_accept_failure(Log& log, const boost::system::error_code& error) {
  log.warn("accepting a connection failed", {{"what", error.message()}});
}

void log_left_over(Log& log, std::size_t count) {
  log.error("HTTP connections did not end", {{"left", count}});
}

}  // namespace

HttpHandler sync_handler(std::function<HttpResponse(const HttpRequest&)> function) {
  return [function = std::move(function)](HttpRequest request,
                                          HttpExchange&) -> asio::awaitable<HttpResponse> {
    co_return function(request);
  };
}

class HttpServer::State final : public ConnectionHost,
                                public std::enable_shared_from_this<HttpServer::State> {
 public:
  State(IoRuntime& runtime, HttpServerOptions options, Log& log)
      : runtime_(runtime),
        options_(options),
        log_(log),
        accept_strand_(runtime.make_strand()),
        acceptor_(accept_strand_),
        sweeper_(accept_strand_),
        tasks_("http", log) {}

  // ConnectionHost.
  const HttpServerOptions& options() const override { return options_; }
  Log& log() const override { return log_; }
  bool draining() const override { return draining_; }
  CancelToken shutting_down() const override { return shutdown_.token(); }
  asio::any_io_executor make_strand(Spread spread) override { return runtime_.make_strand(spread); }
  const std::shared_ptr<TlsIdentity>& tls() const override { return tls_; }
  asio::awaitable<HttpResponse> dispatch(HttpRequest&& request, HttpExchange& exchange) override;

  void add_route(std::string path, Route route);
  void use_tls(std::shared_ptr<TlsIdentity> identity) { tls_ = std::move(identity); }
  Status listen(std::string_view host, std::uint16_t port);
  asio::awaitable<void> shutdown(std::chrono::milliseconds grace);
  std::uint16_t port() const { return endpoint_.port(); }
  bool is_loopback() const { return endpoint_.address().is_loopback(); }
  std::size_t open_connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }

 private:
  const Route* find_route(const std::string& path) const;
  Status open(const tcp::endpoint& endpoint, std::string_view host);
  asio::awaitable<void> accept_loop();
  asio::awaitable<void> sweep_loop();
  void serve(const std::shared_ptr<HttpConnection>& connection);
  void leave(const std::shared_ptr<HttpConnection>& connection);
  void refuse_connection(tcp::socket socket);
  std::vector<std::shared_ptr<HttpConnection>> connections() const;
  std::chrono::milliseconds sweep_tick() const;

  IoRuntime& runtime_;
  const HttpServerOptions options_;
  Log& log_;
  asio::any_io_executor accept_strand_;
  tcp::acceptor acceptor_;
  asio::steady_timer sweeper_;
  TaskGroup tasks_;
  tcp::endpoint endpoint_;
  std::shared_ptr<TlsIdentity> tls_;
  std::unordered_map<std::string, Route> exact_routes_;
  std::vector<std::pair<std::string, Route>> prefix_routes_;  // longest first
  std::atomic<bool> draining_{false};
  CancelSource shutdown_;
  mutable std::mutex mutex_;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
};

void HttpServer::State::add_route(std::string path, Route route) {
  if (path.ends_with("/*")) {
    path.pop_back();
    prefix_routes_.emplace_back(std::move(path), std::move(route));
    std::stable_sort(prefix_routes_.begin(), prefix_routes_.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  } else {
    exact_routes_[std::move(path)] = std::move(route);
  }
}

const Route* HttpServer::State::find_route(const std::string& path) const {
  if (const auto exact = exact_routes_.find(path); exact != exact_routes_.end()) {
    return &exact->second;
  }
  for (const auto& [prefix, route] : prefix_routes_) {
    if (path.starts_with(prefix)) return &route;
  }
  return nullptr;
}

// No coroutine, for one frame less under every request.
asio::awaitable<HttpResponse> HttpServer::State::dispatch(HttpRequest&& request,
                                                          HttpExchange& exchange) {
  const Route* route = find_route(request.path);
  if (!route) return at_once(HttpResponse::text(404, "there is nothing at " + request.path + "\n"));
  if (route->methods.empty() || lists_method(route->methods, request.method)) {
    return route->handler(std::move(request), exchange);
  }
  const bool asks = request.method == "OPTIONS";
  HttpResponse response = asks ? HttpResponse{204, {}, {}, nullptr, false}
                               : HttpResponse::text(405, "use one of: " + route->methods + "\n");
  response.headers.add("Allow", route->methods);
  return at_once(std::move(response));
}

Status HttpServer::State::listen(std::string_view host, std::uint16_t port) {
  tcp::resolver resolver(accept_strand_);
  boost::system::error_code error;
  std::string name{host};
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  const auto results =
      resolver.resolve(name, std::to_string(port), tcp::resolver::numeric_service, error);
  if (error || results.empty()) {
    return invalid_argument("cannot listen on '" + name +
                            "': it is no address and no name of this "
                            "machine (" +
                            error.message() + "); use for example 127.0.0.1");
  }
  tcp::endpoint chosen = results.begin()->endpoint();
  for (const auto& result : results) {
    if (result.endpoint().address().is_v4()) {
      chosen = result.endpoint();
      break;
    }
  }
  SE_RETURN_IF_ERROR(open(chosen, name));
  const auto self = shared_from_this();
  tasks_.spawn(accept_strand_, [self] { return self->accept_loop(); });
  tasks_.spawn(accept_strand_, [self] { return self->sweep_loop(); });
  return {};
}

Status HttpServer::State::open(const tcp::endpoint& endpoint, std::string_view host) {
  const std::string where = std::string{host} + ":" + std::to_string(endpoint.port());
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) endpoint_ = acceptor_.local_endpoint(error);
  if (!error) return {};
  boost::system::error_code ignored;  // The first error is the one to tell.
  acceptor_.close(ignored);
  if (error == asio::error::address_in_use) {
    return Error{ErrorCode::kFailedPrecondition,
                 where + " is in use by another program; choose another address with --listen"};
  }
  return Error{ErrorCode::kUnavailable, "cannot listen on " + where + ": " + error.message()};
}

asio::awaitable<void> HttpServer::State::accept_loop() {
  while (!draining_) {
    auto [error, socket] = co_await acceptor_.async_accept(runtime_.make_strand(), kAwaitTuple);
    if (draining_) break;
    if (error) {
      if (!acceptor_.is_open()) break;
      // Out of descriptors, most likely: wait for some to be closed.
      log_accept_failure(log_, error);
      asio::steady_timer pause(accept_strand_, std::chrono::milliseconds{100});
      co_await pause.async_wait(kAwaitTuple);
      continue;
    }
    if (open_connections() >= options_.connections_max) {
      refuse_connection(std::move(socket));
      continue;
    }
    auto connection = std::make_shared<HttpConnection>(std::move(socket), shared_from_this());
    {
      const std::lock_guard lock(mutex_);
      connections_.insert(connection);
    }
    serve(connection);
  }
}

void HttpServer::State::serve(const std::shared_ptr<HttpConnection>& connection) {
  tasks_.spawn(connection->executor(),
               [self = shared_from_this(), connection]() -> asio::awaitable<void> {
                 co_await connection->run();
                 self->leave(connection);
               });
}

// One that moved is among the connections at every moment, so that a shutdown reaches it: by
// drain() or abort(), or since it looks at draining() before it waits.
void HttpServer::State::leave(const std::shared_ptr<HttpConnection>& connection) {
  const auto next = connection->moved();
  {
    const std::lock_guard lock(mutex_);
    connections_.erase(connection);
    if (next != nullptr) connections_.insert(next);
  }
  if (next != nullptr) serve(next);
}

void HttpServer::State::refuse_connection(tcp::socket socket) {
  constexpr std::string_view kBusy =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
      "Connection: close\r\n\r\n";
  boost::system::error_code ignored;  // Best effort: the socket's buffer is empty, so it fits.
  socket.non_blocking(true, ignored);
  // A handshake only to say no would cost more than it is worth.
  if (!tls_) socket.write_some(asio::buffer(kBusy), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
  log_.warn("a connection was refused: too many are open",
            {{"connections_max", options_.connections_max}});
}

std::vector<std::shared_ptr<HttpConnection>> HttpServer::State::connections() const {
  const std::lock_guard lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

std::chrono::milliseconds HttpServer::State::sweep_tick() const {
  const auto shortest = std::min({options_.header_timeout, options_.body_timeout,
                                  options_.idle_timeout, options_.write_timeout});
  return std::clamp(shortest / 4, kSweepTickMin, kSweepTickMax);
}

asio::awaitable<void> HttpServer::State::sweep_loop() {
  const auto tick = sweep_tick();
  while (!tasks_.stopping().cancelled()) {
    sweeper_.expires_after(tick);
    co_await sweeper_.async_wait(kAwaitTuple);
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    for (const auto& connection : connections_) connection->sweep(now);
  }
}

asio::awaitable<void> HttpServer::State::shutdown(std::chrono::milliseconds grace) {
  const auto self = shared_from_this();
  draining_ = true;
  shutdown_.cancel();
  asio::post(accept_strand_, [self] {
    boost::system::error_code ignored;  // Closing twice is harmless.
    self->acceptor_.close(ignored);
  });
  for (const auto& connection : connections()) connection->drain();
  const auto deadline = std::chrono::steady_clock::now() + grace;
  asio::steady_timer poll(co_await asio::this_coro::executor);
  while (open_connections() > 0 && std::chrono::steady_clock::now() < deadline) {
    poll.expires_after(std::chrono::milliseconds{5});
    co_await poll.async_wait(kAwaitTuple);
  }
  for (const auto& connection : connections()) connection->abort();
  tasks_.cancel();
  asio::post(accept_strand_, [self] { self->sweeper_.cancel(); });
  if (!co_await tasks_.wait(kAbortWait)) log_left_over(log_, open_connections());
}

HttpServer::HttpServer(IoRuntime& runtime, HttpServerOptions options, Log& log)
    : state_(std::make_shared<State>(runtime, options, log)) {}

HttpServer::~HttpServer() = default;

void HttpServer::route(std::string path, HttpHandler handler) {
  route(std::move(path), {}, std::move(handler));
}

void HttpServer::route(std::string path, std::string methods, HttpHandler handler) {
  state_->add_route(std::move(path), Route{std::move(methods), std::move(handler)});
}

void HttpServer::use_tls(std::shared_ptr<TlsIdentity> identity) {
  state_->use_tls(std::move(identity));
}

Status HttpServer::listen(std::string_view host, std::uint16_t port) {
  return state_->listen(host, port);
}

std::uint16_t HttpServer::port() const { return state_->port(); }

bool HttpServer::is_loopback() const { return state_->is_loopback(); }

std::size_t HttpServer::open_connections() const { return state_->open_connections(); }

asio::awaitable<void> HttpServer::shutdown(std::chrono::milliseconds grace) {
  return state_->shutdown(grace);
}

}  // namespace state_engine::net
