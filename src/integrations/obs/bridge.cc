// The thin shell around the Director: a socket, a clock, the bus and the engine.
//
// Three coroutines on one strand: the link (connect, read, wait, again), the ticker (deadlines),
// the reporter (proposals).

#include "integrations/obs/bridge.h"

#include <map>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "integrations/obs/director.h"
#include "integrations/obs/effect_gate.h"
#include "integrations/obs/reporter.h"
#include "net/task_group.h"
#include "net/wake_signal.h"
#include "net/websocket_client.h"

namespace state_engine::obs {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr milliseconds kStopTime{3'000};
constexpr milliseconds kIdleTime{20'000};
constexpr std::size_t kMessageBytesMax = 16 * 1024 * 1024;

// Why a connection ended, in words that help.
std::string end_of(const net::WebSocketClose& close) {
  switch (close.code) {
    case close_codes::kAuthenticationFailed:
      return "OBS refused the password: compare it with Tools, WebSocket Server Settings in OBS";
    case close_codes::kUnsupportedRpcVersion:
      return "OBS does not speak our version of the protocol: update it to 28 or newer";
    case close_codes::kSessionInvalidated:
      return "somebody closed this connection in OBS's settings";
    case 1001:
      return "OBS is closing";
    case 1006:
      return "OBS is gone";
    default:
      return fmt::format("OBS ended the connection ({} {})", close.code, close.reason);
  }
}

bool needs_somebody(std::uint16_t code) {
  return code == close_codes::kAuthenticationFailed ||
         code == close_codes::kUnsupportedRpcVersion || code == close_codes::kSessionInvalidated;
}

void log_link(Log& log, bool up, const std::string& url, const std::string& detail) {
  if (up) {
    log.info("connected to OBS", {{"url", url}, {"obsVersion", detail}});
  } else {
    log.warn("not connected to OBS; trying again", {{"url", url}, {"why", detail}});
  }
}

void log_outcome(Log& log, const Command& command, const Outcome& outcome) {
  const LogLevel level = outcome.ok() ? LogLevel::kInfo : LogLevel::kWarn;
  if (!log.enabled(level)) return;
  log.write(level, "a command for OBS ended",
            {{"command", describe(command)},
             {"outcome", to_string(outcome.kind)},
             {"why", outcome.message}});
}

}  // namespace

class Bridge::Impl final : public DirectorHost, public std::enable_shared_from_this<Bridge::Impl> {
 public:
  Impl(BridgeSettings settings, BridgeParts parts)
      : settings_(std::move(settings)),
        parts_(std::move(parts)),
        director_(*this, {settings_.password, settings_.restore_scene}),
        gate_(settings_.effects, settings_.effect_age_max, parts_.log),
        reporter_(parts_.proposer, parts_.clock, parts_.random, parts_.log, settings_.actor,
                  parts_.strand),
        backoff_(settings_.reconnect, parts_.random),
        tasks_("obs", parts_.log),
        tick_(parts_.strand),
        retry_(parts_.strand) {}

  const asio::any_io_executor& strand() const { return parts_.strand; }

  void start();
  asio::awaitable<void> stop();
  void take(const BusMessage& message, const std::function<void()>& done);
  asio::awaitable<Outcome> execute(Command command, milliseconds timeout);
  BridgeStatus status() const;

  // DirectorHost.
  void send(std::string text) override;
  void on_outcome(Ticket ticket, const Command& command, const Outcome& outcome) override;
  void on_observed(std::string_view key, const json::Value& value,
                   const std::string& reason) override;
  void on_answered(std::string_view type, MonotonicTime took, bool ok) override {
    parts_.observer.on_request(type, took, ok);
  }
  void on_ready() override;

 private:
  using Then = std::function<void(const Outcome& outcome)>;

  MonotonicTime now() const { return parts_.clock.monotonic_now(); }
  void submit(Command command, Director::CommandOptions options, Then then);
  asio::awaitable<void> link();
  asio::awaitable<milliseconds> connect_once();
  asio::awaitable<milliseconds> serve();
  void lost(const std::string& why);
  asio::awaitable<void> tick();

  const BridgeSettings settings_;
  const BridgeParts parts_;
  Director director_;
  EffectGate gate_;
  Reporter reporter_;
  net::Backoff backoff_;
  net::TaskGroup tasks_;
  net::WakeSignal tick_;
  net::WakeSignal retry_;
  net::CancelSource giving_up_;
  std::shared_ptr<net::WebSocket> socket_;
  std::string detail_ = "not connected yet";
  bool stopping_ = false;
  bool hung_ = false;
  std::map<Ticket, Then> waiting_;
  // Outcomes that came while their command was being submitted.
  std::optional<std::map<Ticket, Outcome>> early_;
};

// ---- The link -------------------------------------------------------------------------------

void Bridge::Impl::start() {
  const auto self = shared_from_this();
  tasks_.spawn(strand(), [self] { return self->link(); });
  tasks_.spawn(strand(), [self] { return self->tick(); });
  tasks_.spawn(strand(), [self] { return self->reporter_.run(); });
}

asio::awaitable<void> Bridge::Impl::link() {
  while (!stopping_) {
    const milliseconds pause = co_await connect_once();
    if (!stopping_) co_await retry_.wait(pause);
  }
}

// One connection from begin to end; returns how long to wait before the next.
asio::awaitable<milliseconds> Bridge::Impl::connect_once() {
  net::WebSocketRequest request;
  request.url = settings_.url;
  request.subprotocol = kSubprotocol;
  request.cancel = giving_up_.token();
  request.options.quick_ack = true;
  request.options.idle_timeout = kIdleTime;
  request.options.message_bytes_max = kMessageBytesMax;
  auto connected = co_await net::connect_websocket(std::move(request), parts_.tls);
  if (!connected.ok()) {
    lost(connected.error().message);
    co_return backoff_.next();
  }
  socket_ = std::move(*connected);
  const milliseconds pause = co_await serve();
  socket_.reset();
  co_return pause;
}

asio::awaitable<milliseconds> Bridge::Impl::serve() {
  const auto socket = socket_;
  hung_ = false;
  director_.on_connected(now());
  tick_.notify();
  while (true) {
    auto message = co_await socket->read();
    if (!message.ok()) break;
    const Status taken = director_.on_text(message->text, now());
    tick_.notify();
    if (!taken.ok()) {
      socket->abort();
      lost(taken.error().message);
      const bool ours = taken.error().code == ErrorCode::kFailedPrecondition;
      co_return ours ? settings_.refused_wait : backoff_.next();
    }
  }
  const net::WebSocketClose& close = socket->closed();
  lost(hung_ ? "OBS does not answer" : end_of(close));
  co_return needs_somebody(close.code) ? settings_.refused_wait : backoff_.next();
}

void Bridge::Impl::lost(const std::string& why) {
  if (std::exchange(detail_, why) != why && !stopping_)
    log_link(parts_.log, false, settings_.url, why);
  director_.on_disconnected(now());
  parts_.observer.on_link(false, why);
}

void Bridge::Impl::on_ready() {
  backoff_.reset();
  detail_.clear();
  log_link(parts_.log, true, settings_.url, director_.obs_version());
  parts_.observer.on_link(true, director_.obs_version());
}

void Bridge::Impl::send(std::string text) {
  // A failure ends the connection, and the read under way says so.
  if (socket_ && !socket_->send(std::move(text)).ok()) socket_->abort();
}

asio::awaitable<void> Bridge::Impl::tick() {
  while (!stopping_) {
    const auto left = std::chrono::ceil<milliseconds>(director_.next_wake(now()) - now());
    co_await tick_.wait(std::max(left, milliseconds{1}));
    if (!director_.on_time(now()) && socket_ && !hung_) {
      hung_ = true;
      socket_->abort();
    }
  }
}

asio::awaitable<void> Bridge::Impl::stop() {
  if (std::exchange(stopping_, true)) co_return;
  giving_up_.cancel();
  retry_.notify();
  tick_.notify();
  if (const auto socket = socket_) {
    // Named: g++ 12 destroys a default argument of an awaited call twice.
    std::string goodbye = "the bridge is stopping";
    co_await socket->close(1000, std::move(goodbye));
  }
  director_.on_disconnected(now());
  reporter_.stop();
  if (!co_await tasks_.wait(kStopTime)) parts_.log.warn("the OBS bridge did not end in time");
}

// ---- Commands -------------------------------------------------------------------------------

void Bridge::Impl::submit(Command command, Director::CommandOptions options, Then then) {
  early_.emplace();
  const Ticket ticket = director_.submit(std::move(command), options, now());
  const std::map<Ticket, Outcome> early = std::move(*early_);
  early_.reset();
  tick_.notify();
  if (const auto found = early.find(ticket); found != early.end()) return then(found->second);
  waiting_.emplace(ticket, std::move(then));
}

void Bridge::Impl::on_outcome(Ticket ticket, const Command& command, const Outcome& outcome) {
  parts_.observer.on_command(command.kind, outcome.kind);
  log_outcome(parts_.log, command, outcome);
  const auto found = waiting_.find(ticket);
  if (found != waiting_.end()) {
    const Then then = std::move(found->second);
    waiting_.erase(found);
    then(outcome);
  } else if (early_) {
    early_->emplace(ticket, outcome);
  }
}

void Bridge::Impl::on_observed(std::string_view key, const json::Value& value,
                               const std::string& reason) {
  parts_.observer.on_report(key, value);
  reporter_.report(key, value, reason);
}

void Bridge::Impl::take(const BusMessage& message, const std::function<void()>& done) {
  EffectGate::Passed passed = gate_.pass(message, parts_.clock.wall_now(), now());
  parts_.observer.on_effect(passed.fate);
  const auto left = std::make_shared<std::size_t>(passed.commands.size());
  const auto one_done = [left, done](const Outcome&) {
    if (--*left == 0 && done) done();
  };
  if (passed.commands.empty() && done) done();
  for (Command& command : passed.commands) {
    submit(std::move(command), {now() + passed.time_left, true}, one_done);
  }
}

asio::awaitable<Outcome> Bridge::Impl::execute(Command command, milliseconds timeout) {
  const auto self = shared_from_this();
  struct Waiter {
    explicit Waiter(const asio::any_io_executor& strand) : done(strand) {}
    net::WakeSignal done;
    std::optional<Outcome> outcome;
  };
  const auto waiter = std::make_shared<Waiter>(strand());
  submit(std::move(command), {now() + timeout, false}, [waiter](const Outcome& outcome) {
    waiter->outcome = outcome;
    waiter->done.notify();
  });
  // The director ends every command at its deadline; the bridge's end is the only other way.
  while (!waiter->outcome && !stopping_) co_await waiter->done.wait(milliseconds{500});
  if (!waiter->outcome) co_return Outcome{OutcomeKind::kUnavailable, "the bridge is stopping", {}};
  co_return *waiter->outcome;
}

BridgeStatus Bridge::Impl::status() const {
  BridgeStatus out;
  out.connected = director_.ready();
  out.detail = detail_;
  out.obs_version = director_.obs_version();
  out.scene = director_.scene().current();
  out.scenes = director_.scene().scenes();
  out.stream = director_.stream().value();
  out.stream_reconnecting = director_.stream().reconnecting();
  out.recording = director_.recording().value();
  return out;
}

// ---- From any thread ------------------------------------------------------------------------

Bridge::Bridge(BridgeSettings settings, BridgeParts parts)
    : impl_(std::make_shared<Impl>(std::move(settings), std::move(parts))) {}

Bridge::~Bridge() = default;

void Bridge::start() {
  asio::post(impl_->strand(), [impl = impl_] { impl->start(); });
}

asio::awaitable<void> Bridge::stop() {
  return asio::co_spawn(impl_->strand(), impl_->stop(), asio::use_awaitable);
}

void Bridge::take_effect(BusMessage message, std::function<void()> done) {
  asio::post(impl_->strand(), [impl = impl_, message = std::move(message), done = std::move(done)] {
    impl->take(message, done);
  });
}

asio::awaitable<Outcome> Bridge::execute(Command command, milliseconds timeout) {
  return asio::co_spawn(impl_->strand(), impl_->execute(std::move(command), timeout),
                        asio::use_awaitable);
}

asio::awaitable<BridgeStatus> Bridge::status() {
  auto read = [](std::shared_ptr<Impl> impl) -> asio::awaitable<BridgeStatus> {
    co_return impl->status();
  };
  return asio::co_spawn(impl_->strand(), read(impl_), asio::use_awaitable);
}

}  // namespace state_engine::obs
