// The answers to all requests come on one wildcard subscription per link and are matched by their
// subject, so that a request costs no subscription of its own.

#include "bus/nats/nats_core.h"

#include <algorithm>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

namespace state_engine::nats {
namespace {

constexpr std::chrono::milliseconds kRetryFirst{100};
constexpr std::chrono::milliseconds kFlushMost{2000};
constexpr std::chrono::milliseconds kLivedLong{5000};

}  // namespace

// A request whose answer is awaited. Guarded by NatsCore::mutex_, the signal apart.
struct NatsCore::Call {
  explicit Call(const boost::asio::any_io_executor& strand) : signal(strand) {}

  net::WakeSignal signal;
  std::string subject;
  std::string reply;
  std::optional<Error> refused;  // it was not sent
  std::optional<Inbound> answer;
  bool lost = false;  // the link ended first
};

NatsCore::NatsCore(NatsOptions options, Log& log, NatsObserver& observer)
    : options_(std::move(options)), log_(log), observer_(observer) {}

NatsCore::~NatsCore() { stop(); }

Status NatsCore::start() {
  if (options_.servers.empty()) return invalid_argument("no NATS server is named");
  thread_ = std::thread([this] { supervise(); });
  return {};
}

void NatsCore::stop() {
  if (const auto current = link()) static_cast<void>(current->flush(kFlushMost));
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  const std::unique_lock gate(gate_);
  silent_ = true;
}

std::shared_ptr<Link> NatsCore::link() const {
  const std::lock_guard lock(mutex_);
  return link_;
}

bool NatsCore::wait_until_up(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return link_ != nullptr; });
}

std::uint64_t NatsCore::new_id() {
  const std::lock_guard lock(mutex_);
  return ++last_id_;
}

// ---- The thread ------------------------------------------------------------------------------

Link::Events NatsCore::link_events(std::uint64_t number) {
  Link::Events events;
  events.on_closed = [weak = weak_from_this(), number](const std::string& why) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const std::lock_guard lock(self->mutex_);
    if (number != self->link_number_) return;
    self->link_ended_ = true;
    self->why_ended_ = why;
    self->changed_.notify_all();
  };
  events.on_error = [weak = weak_from_this()](const std::string& what) {
    if (const auto self = weak.lock()) {
      self->tell([&](Log& log, NatsObserver&) { log.warn("NATS complains", {{"error", what}}); });
    }
  };
  events.on_slow = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->tell([](Log&, NatsObserver& observer) { observer.on_slow_consumer(); });
    }
  };
  return events;
}

void NatsCore::supervise() {
  auto delay = kRetryFirst;
  std::string last_error;
  bool ever_up = false;
  while (true) {
    std::uint64_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      number = ++link_number_;
      link_ended_ = false;
    }
    auto made = Link::connect(options_, link_events(number));
    if (!made.ok()) {
      const std::string& error = made.error().message;
      tell([&](Log& log, NatsObserver& observer) {
        observer.on_state(false, error);
        if (error != last_error) log.warn("the bus is down", {{"error", error}});
      });
      last_error = error;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, delay, [this] { return stopping_; });
      delay = std::min(delay * 2, options_.retry_most);
      continue;
    }
    last_error.clear();
    const auto since = std::chrono::steady_clock::now();
    if (adopt(*made)) {
      tell([&](Log& log, NatsObserver& observer) {
        observer.on_state(true, server_name(options_));
        if (std::exchange(ever_up, true)) observer.on_reconnect();
        log.info("connected to NATS", {{"server", server_name(options_)}});
      });
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || link_ended_; });
    }
    drop_link();
    (*made)->close();
    // A server that accepts and hangs up at once is not asked in a tight loop.
    const bool lived = std::chrono::steady_clock::now() - since > kLivedLong;
    delay = lived ? kRetryFirst : std::min(delay * 2, options_.retry_most);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, delay, [this] { return stopping_; });
  }
}

// Makes `link` the one in use. False if it ended meanwhile.
bool NatsCore::adopt(const std::shared_ptr<Link>& link) {
  auto replies =
      link->subscribe(link->inbox() + ".reply.*", "", [weak = weak_from_this()](Inbound inbound) {
        if (const auto self = weak.lock()) self->on_reply(std::move(inbound));
      });
  if (!replies.ok()) return false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || link_ended_) return false;
    for (const auto& listener : listeners_) subscribe_on(*link, listener);
    link_ = link;
  }
  changed_.notify_all();
  notify_watchers();
  return true;
}

void NatsCore::drop_link() {
  std::string why;
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    if (link_ == nullptr) return;
    link_ = nullptr;
    why = why_ended_;
    stopping = stopping_;
    for (auto& [subject, call] : calls_) {
      call->lost = true;
      call->signal.notify();
    }
    calls_.clear();
  }
  notify_watchers();
  tell([&](Log& log, NatsObserver& observer) {
    observer.on_state(false, stopping ? "stopped" : why);
    if (!stopping) log.warn("the bus is down", {{"error", why}});
  });
}

void NatsCore::notify_watchers() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, signal] : watchers_) signal.notify();
}

void NatsCore::watch_link(std::uint64_t id, net::WakeSignal signal) {
  const std::lock_guard lock(mutex_);
  watchers_.emplace(id, std::move(signal));
}

void NatsCore::unwatch_link(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(id);
}

// ---- Requests --------------------------------------------------------------------------------

void NatsCore::on_reply(Inbound inbound) {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(inbound.subject);
    if (found == calls_.end()) return;  // Too late: nobody waits any more.
    call = found->second;
    call->answer = std::move(inbound);
    calls_.erase(found);
  }
  call->signal.notify();
}

NatsCore::CallPtr NatsCore::send(const boost::asio::any_io_executor& strand,
                                 const std::string& subject, std::string_view body,
                                 const Headers& headers) {
  auto call = std::make_shared<Call>(strand);
  call->subject = subject;
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    link = link_;
    if (link == nullptr) {
      call->refused = Error{ErrorCode::kUnavailable, "not connected to NATS"};
      return call;
    }
    call->reply = fmt::format("{}.reply.{}", link->inbox(), ++last_id_);
    calls_.emplace(call->reply, call);
  }
  if (body.size() > link->payload_max()) {
    call->refused = Error{ErrorCode::kResourceExhausted,
                          fmt::format("{} bytes for {}; the NATS server takes {} (max_payload)",
                                      body.size(), subject, link->payload_max())};
  } else if (!link->publish(subject, call->reply, body, headers)) {
    call->refused = Error{ErrorCode::kUnavailable, "the connection to NATS just ended"};
  }
  return call;
}

boost::asio::awaitable<Result<Inbound>> NatsCore::answer_to(CallPtr call) {
  if (!call->refused) co_await call->signal.wait(options_.reply_timeout);
  const std::lock_guard lock(mutex_);
  calls_.erase(call->reply);
  if (call->refused) co_return *call->refused;
  if (call->answer) co_return std::move(*call->answer);
  co_return Error{
      ErrorCode::kDeadlineExceeded,
      call->lost ? "the connection to NATS ended before the answer to " + call->subject
                 : "no answer from NATS to " + call->subject + " (may this user publish there?)"};
}

boost::asio::awaitable<Result<Inbound>> NatsCore::request(std::string subject, std::string body,
                                                          Headers headers) {
  const auto strand = co_await boost::asio::this_coro::executor;
  co_return co_await answer_to(send(strand, subject, body, headers));
}

// ---- Listeners -------------------------------------------------------------------------------

// REQUIRES: mutex_ is held.
void NatsCore::subscribe_on(Link& link, const std::shared_ptr<Listener>& listener) {
  std::weak_ptr<Listener> weak = listener;
  auto id = link.subscribe(listener->subject, listener->queue, [weak](Inbound inbound) {
    const auto alive = weak.lock();
    if (alive == nullptr) return;
    const std::lock_guard lock(alive->mutex);
    if (!alive->ended) alive->handler(std::move(inbound));
  });
  // A link that fails here has ended; the next one gets the subscription.
  listener->on_link = id.ok() ? *id : 0;
}

void NatsCore::add_listener(std::shared_ptr<Listener> listener) {
  const std::lock_guard lock(mutex_);
  if (link_ != nullptr) subscribe_on(*link_, listener);
  listeners_.push_back(std::move(listener));
}

void NatsCore::remove_listener(const std::shared_ptr<Listener>& listener) {
  {
    const std::lock_guard lock(mutex_);
    std::erase(listeners_, listener);
    if (link_ != nullptr && listener->on_link != 0) link_->unsubscribe(listener->on_link);
  }
  const std::lock_guard lock(listener->mutex);
  listener->ended = true;
}

}  // namespace state_engine::nats
