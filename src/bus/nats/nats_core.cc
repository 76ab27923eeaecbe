// The answers to all requests come on one wildcard subscription per link and are matched by their
// subject, so that a request costs no subscription of its own.

#include "bus/nats/nats_core.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

namespace state_engine::nats {
namespace {

constexpr std::chrono::milliseconds kRetryFirst{100};
constexpr std::chrono::milliseconds kFlushMost{2000};
constexpr std::chrono::milliseconds kLivedLong{5000};

}  // namespace

// Requests sent together whose answers are awaited. Guarded by NatsCore::mutex_, the signal apart.
struct NatsCore::Calls {
  Calls(const boost::asio::any_io_executor& strand, std::size_t count)
      : signal(strand), items(count), open(count) {}

  struct Item {
    bool open = true;              // neither answered nor refused
    std::optional<Error> refused;  // it was not sent
    std::optional<Inbound> answer;
  };

  // Returns true if this was the last one.
  bool close(Item& item) {
    if (std::exchange(item.open, false)) --open;
    return open == 0;
  }

  net::WakeSignal signal;
  std::uint64_t first = 0;  // number of the reply to items[0]; the others follow
  std::vector<Item> items;
  std::size_t open;
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
    for (auto& [number, calls] : calls_) {
      calls->lost = true;
      calls->signal.notify();
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
  const std::string_view subject = inbound.subject;
  const std::string_view digits = subject.substr(subject.rfind('.') + 1);
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  std::shared_ptr<Calls> done;
  {
    const std::lock_guard lock(mutex_);
    auto found = calls_.upper_bound(number);
    if (found == calls_.begin()) return;
    --found;
    Calls& calls = *found->second;
    const std::uint64_t index = number - calls.first;
    if (index >= calls.items.size()) return;  // Too late: nobody waits any more.
    Calls::Item& item = calls.items[index];
    if (!item.open) return;
    item.answer = std::move(inbound);
    if (!calls.close(item)) return;
    done = std::move(found->second);
    calls_.erase(found);
  }
  done->signal.notify();
}

// Returns the link to send them on, or null without one.
std::shared_ptr<Link> NatsCore::register_calls(const std::shared_ptr<Calls>& calls) {
  const std::lock_guard lock(mutex_);
  if (link_ == nullptr) return nullptr;
  calls->first = last_id_ + 1;
  last_id_ += calls->items.size();
  calls_.emplace(calls->first, calls);
  return link_;
}

void NatsCore::send(Link& link, const std::shared_ptr<Calls>& calls,
                    const std::vector<Outgoing>& messages) {
  const std::size_t most = link.payload_max();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [subject, body, headers] = messages[i];
    std::optional<Error> refused;
    if (body.size() > most) {
      refused = Error{ErrorCode::kResourceExhausted,
                      fmt::format("{} bytes for {}; the NATS server takes {} (max_payload)",
                                  body.size(), subject, most)};
    } else if (!link.publish(subject, fmt::format("{}.reply.{}", link.inbox(), calls->first + i),
                             body, headers)) {
      refused = Error{ErrorCode::kUnavailable, "the connection to NATS just ended"};
    }
    if (!refused) continue;
    const std::lock_guard lock(mutex_);
    calls->items[i].refused = std::move(refused);
    if (calls->close(calls->items[i])) calls->signal.notify();
  }
  link.send_now();
}

std::vector<Result<Inbound>> NatsCore::take_answers(Calls& calls,
                                                    const std::vector<Outgoing>& messages) {
  const std::lock_guard lock(mutex_);
  if (calls.first != 0) calls_.erase(calls.first);
  std::vector<Result<Inbound>> out;
  out.reserve(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Calls::Item& item = calls.items[i];
    if (item.refused) {
      out.emplace_back(*std::move(item.refused));
    } else if (item.answer) {
      out.emplace_back(*std::move(item.answer));
    } else {
      const std::string& subject = messages[i].subject;
      out.emplace_back(Error{
          ErrorCode::kDeadlineExceeded,
          calls.lost ? "the connection to NATS ended before the answer to " + subject
                     : "no answer from NATS to " + subject + " (may this user publish there?)"});
    }
  }
  return out;
}

boost::asio::awaitable<std::vector<Result<Inbound>>> NatsCore::request_all(
    std::vector<Outgoing> messages) {
  if (messages.empty()) co_return std::vector<Result<Inbound>>{};
  const auto strand = co_await boost::asio::this_coro::executor;
  const auto calls = std::make_shared<Calls>(strand, messages.size());
  if (const auto link = register_calls(calls)) {
    send(*link, calls, messages);
    co_await calls->signal.wait(options_.reply_timeout);
  } else {
    for (Calls::Item& item : calls->items) {
      item.refused = Error{ErrorCode::kUnavailable, "not connected to NATS"};
    }
  }
  co_return take_answers(*calls, messages);
}

boost::asio::awaitable<Result<Inbound>> NatsCore::request(std::string subject, std::string body,
                                                          Headers headers) {
  std::vector<Outgoing> one;
  one.push_back({std::move(subject), std::move(body), std::move(headers)});
  auto answers = co_await request_all(std::move(one));
  co_return std::move(answers.front());
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
