// NatsCore: the one connection that everything of a NatsBus shares, made again when it is lost.
//
// A thread of its own connects, waits for the end of the link, and connects again, for ever.
// Publishes and requests do not wait for a connection: without one they fail at once.
//
// Ownership: NatsBus owns it; coroutines and callbacks share it. After stop() neither log nor
//            observer is touched.
// Threads:   any.

#ifndef STATE_ENGINE_BUS_NATS_NATS_CORE_H_
#define STATE_ENGINE_BUS_NATS_NATS_CORE_H_

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "bus/nats/link.h"
#include "bus/nats/nats_observer.h"
#include "net/wake_signal.h"

namespace state_engine::nats {

// A subscription that outlives links: it is made again on each.
struct Listener {
  std::string subject;
  std::string queue;
  std::function<void(Inbound)> handler;

  std::mutex mutex;  // held while the handler runs
  bool ended = false;
  std::uint64_t on_link = 0;  // guarded by NatsCore
};

class NatsCore : public std::enable_shared_from_this<NatsCore> {
 public:
  NatsCore(NatsOptions options, Log& log, NatsObserver& observer);
  ~NatsCore();

  // Starts the thread. Errors: options that can never work.
  Status start();
  // Flushes, closes and joins. Idempotent.
  void stop();

  const NatsOptions& options() const { return options_; }

  std::shared_ptr<Link> link() const;
  // Blocks until connected; false after `timeout`.
  bool wait_until_up(std::chrono::milliseconds timeout);

  // Sends to `subject` and awaits one answer. Errors: kUnavailable (not connected, nothing was
  // sent), kDeadlineExceeded (sent; no answer), kResourceExhausted (larger than the server takes).
  boost::asio::awaitable<Result<Inbound>> request(std::string subject, std::string body,
                                                  Headers headers = {});

  // Sends all at once, in their order, and awaits the answer to each; one wake-up for all.
  struct Outgoing {
    std::string subject;
    std::string body;
    Headers headers;
  };
  boost::asio::awaitable<std::vector<Result<Inbound>>> request_all(std::vector<Outgoing> messages);

  void add_listener(std::shared_ptr<Listener> listener);
  // Afterwards the handler neither runs nor is running. REQUIRES: not called from the handler.
  void remove_listener(const std::shared_ptr<Listener>& listener);

  // Notified when a link comes or goes.
  void watch_link(std::uint64_t id, net::WakeSignal signal);
  void unwatch_link(std::uint64_t id);
  std::uint64_t new_id();

  // Calls `what(log, observer)` unless stopped.
  template <typename What>
  void tell(What what) {
    const std::shared_lock gate(gate_);
    if (!silent_) what(log_, observer_);
  }

 private:
  void supervise();
  bool adopt(const std::shared_ptr<Link>& link);
  void drop_link();
  Link::Events link_events(std::uint64_t number);
  struct Calls;
  std::shared_ptr<Link> register_calls(const std::shared_ptr<Calls>& calls);
  void send(Link& link, const std::shared_ptr<Calls>& calls, const std::vector<Outgoing>& messages);
  std::vector<Result<Inbound>> take_answers(Calls& calls, const std::vector<Outgoing>& messages);
  void on_reply(Inbound inbound);
  void subscribe_on(Link& link, const std::shared_ptr<Listener>& listener);
  void notify_watchers();

  const NatsOptions options_;
  Log& log_;
  NatsObserver& observer_;
  std::shared_mutex gate_;  // held shared while log and observer are used
  bool silent_ = false;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::shared_ptr<Link> link_;
  std::uint64_t link_number_ = 0;  // of the last link made
  bool link_ended_ = false;
  std::string why_ended_;
  bool stopping_ = false;
  std::uint64_t last_id_ = 0;
  // By the number of their first reply, which ends the reply's subject.
  std::map<std::uint64_t, std::shared_ptr<Calls>> calls_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::map<std::uint64_t, net::WakeSignal> watchers_;
  std::thread thread_;
};

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_NATS_CORE_H_
