// Accepts local connections and keeps track of them until the last one ended.

#include "mcp/protocol/stream_endpoint.h"

#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "mcp/protocol/stream_connection.h"

namespace state_engine::mcp {
namespace {

namespace asio = boost::asio;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAbortWait{5000};

void log_accept_failure(Log& log, const Error& error) {
  log.warn("accepting a local connection failed", {{"what", error.message}});
}

void log_left_over(Log& log, std::size_t count) {
  log.error("local connections did not end", {{"left", count}});
}

}  // namespace

class StreamEndpoint::State final : public std::enable_shared_from_this<StreamEndpoint::State> {
 public:
  State(net::IoRuntime& runtime, Server& server, StreamEndpointOptions options,
        Authenticator authenticator, Log& log)
      : runtime_(runtime),
        server_(server),
        options_(std::move(options)),
        authenticator_(std::move(authenticator)),
        log_(log),
        tasks_("mcp streams", log) {}

  Status listen_unix(const std::string& path) {
    SE_ASSERT(!acceptor_);
    auto opened = net::UnixAcceptor::open(runtime_, path, options_.line_bytes_max);
    if (!opened.ok()) return opened.error();
    acceptor_ = std::move(*opened);
    auto accept = [self = shared_from_this()] { return self->accept_loop(); };
    tasks_.spawn(acceptor_->executor(), std::move(accept));
    return {};
  }

  asio::awaitable<Status> serve_descriptors(int input, int output);
  asio::awaitable<void> shutdown(std::chrono::milliseconds grace);

  void recheck_access() {
    for (const auto& connection : all()) connection->recheck_access();
  }

  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }

 private:
  asio::awaitable<void> accept_loop();
  asio::awaitable<void> serve(std::shared_ptr<StreamConnection> connection);
  std::shared_ptr<StreamConnection> add(std::unique_ptr<net::LineStream> stream,
                                        Credentials credentials, bool may_greet);
  std::vector<std::shared_ptr<StreamConnection>> all() const {
    const std::lock_guard lock(mutex_);
    return {connections_.begin(), connections_.end()};
  }

  net::IoRuntime& runtime_;
  Server& server_;
  const StreamEndpointOptions options_;
  const Authenticator authenticator_;
  Log& log_;
  net::TaskGroup tasks_;
  std::unique_ptr<net::UnixAcceptor> acceptor_;
  mutable std::mutex mutex_;
  std::unordered_set<std::shared_ptr<StreamConnection>> connections_;
};

std::shared_ptr<StreamConnection> StreamEndpoint::State::add(
    std::unique_ptr<net::LineStream> stream, Credentials credentials, bool may_greet) {
  auto connection =
      std::make_shared<StreamConnection>(server_, options_, authenticator_, tasks_,
                                         std::move(stream), std::move(credentials), may_greet);
  const std::lock_guard lock(mutex_);
  connections_.insert(connection);
  return connection;
}

asio::awaitable<void> StreamEndpoint::State::serve(std::shared_ptr<StreamConnection> connection) {
  co_await connection->run();
  const std::lock_guard lock(mutex_);
  connections_.erase(connection);
}

asio::awaitable<void> StreamEndpoint::State::accept_loop() {
  while (!tasks_.stopping().cancelled()) {
    auto accepted = co_await acceptor_->accept();
    if (!accepted.ok()) {
      if (accepted.error().code == ErrorCode::kCancelled) break;
      log_accept_failure(log_, accepted.error());
      asio::steady_timer pause(acceptor_->executor(), std::chrono::milliseconds{100});
      co_await pause.async_wait(kAwaitTuple);
      continue;
    }
    if (connections() >= options_.connections_max) {
      log_accept_failure(log_, {ErrorCode::kResourceExhausted, "too many are open"});
      continue;  // The stream is closed as it goes out of scope.
    }
    Credentials credentials;
    credentials.transport = TransportKind::kStream;
    credentials.peer_uid = accepted->peer.uid;
    credentials.peer_user = accepted->peer.user;
    const asio::any_io_executor strand = accepted->stream->executor();
    auto connection = add(std::move(accepted->stream), std::move(credentials), true);
    auto serve_one = [self = shared_from_this(), connection] { return self->serve(connection); };
    tasks_.spawn(strand, std::move(serve_one));
  }
}

asio::awaitable<Status> StreamEndpoint::State::serve_descriptors(int input, int output) {
  const auto self = shared_from_this();
  const asio::any_io_executor strand = runtime_.make_strand();
  auto stream = net::open_descriptor_stream(strand, input, output, options_.line_bytes_max);
  if (!stream.ok()) co_return stream.error();
  Credentials credentials;
  credentials.transport = TransportKind::kStream;
  credentials.peer_uid = ::getuid();
  credentials.peer_user = net::unix_peer_of_uid(::getuid()).user;
  credentials.hello_client = "mcp";
  credentials.bearer_token = options_.descriptor_token;
  auto connection = add(std::move(*stream), std::move(credentials), false);
  auto serve_one = [self, connection] { return self->serve(connection); };
  co_await asio::co_spawn(strand, std::move(serve_one), asio::use_awaitable);
  co_return Status{};
}

asio::awaitable<void> StreamEndpoint::State::shutdown(std::chrono::milliseconds grace) {
  const auto self = shared_from_this();
  tasks_.cancel();
  if (acceptor_) {
    asio::post(acceptor_->executor(), [self] { self->acceptor_->close(); });
  }
  for (const auto& connection : all()) connection->drain();
  const auto deadline = std::chrono::steady_clock::now() + grace;
  asio::steady_timer poll(co_await asio::this_coro::executor);
  while (connections() > 0 && std::chrono::steady_clock::now() < deadline) {
    poll.expires_after(std::chrono::milliseconds{5});
    co_await poll.async_wait(kAwaitTuple);
  }
  for (const auto& connection : all()) connection->abort();
  if (!co_await tasks_.wait(kAbortWait)) log_left_over(log_, connections());
  acceptor_.reset();
}

StreamEndpoint::StreamEndpoint(net::IoRuntime& runtime, Server& server,
                               StreamEndpointOptions options, Authenticator authenticator, Log& log)
    : state_(std::make_shared<State>(runtime, server, std::move(options), std::move(authenticator),
                                     log)) {}

StreamEndpoint::~StreamEndpoint() = default;

Status StreamEndpoint::listen_unix(const std::string& path) { return state_->listen_unix(path); }

asio::awaitable<Status> StreamEndpoint::serve_descriptors(int input, int output) {
  return state_->serve_descriptors(input, output);
}

void StreamEndpoint::recheck_access() { state_->recheck_access(); }

std::size_t StreamEndpoint::connections() const { return state_->connections(); }

asio::awaitable<void> StreamEndpoint::shutdown(std::chrono::milliseconds grace) {
  return state_->shutdown(grace);
}

}  // namespace state_engine::mcp
