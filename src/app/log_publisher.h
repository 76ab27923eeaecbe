// LogPublisher: the log on the bus, as results (every decision) and changes (every commit).
//
// It follows the log in seq order by a cursor that the store keeps. A restart goes on from there:
// at least once, with the same message id, which the stream's dedupe window drops. While the bus is
// away the log waits; nothing is skipped.
//
// Ownership: store, engine, bus and log outlive the publisher.
// Threads:   on_changes() and repeat() from any thread; the rest on `strand`.

#ifndef STATE_ENGINE_APP_LOG_PUBLISHER_H_
#define STATE_ENGINE_APP_LOG_PUBLISHER_H_

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "app/last_values.h"
#include "base/log.h"
#include "engine/engine.h"
#include "net/task_group.h"
#include "net/wake_signal.h"
#include "ports/bus.h"
#include "ports/shared_store.h"
#include "ports/state_store.h"

namespace state_engine {

class LogPublisher {
 public:
  LogPublisher(StateStore& store, Engine& engine, Bus& bus, boost::asio::any_io_executor strand,
               Log& log);
  ~LogPublisher();

  // Says that there is something new, and keeps what would be costly to read. For
  // add_change_listener.
  void on_changes(std::span<const CommittedChange> changes);
  // Says that there may be something new.
  void wake() const { wake_.notify(); }
  // Publishes an answer that is no new record, for a proposer that missed the first one.
  void repeat(MutationResult result);

  // While `busy` says so, deciding comes first: what is committed is published up to 2 s later. Not
  // on a store that engines share. Called on the strand. REQUIRES: before start().
  void yield_to(std::function<bool()> busy) { busy_ = std::move(busy); }

  void start();
  // Publishes what is committed by now, if the bus takes it soon, and keeps the cursor.
  boost::asio::awaitable<void> stop();

 private:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using Steady = std::chrono::steady_clock;

  // The messages of some entries, and where the cursor is once each is published.
  struct Page {
    std::vector<BusMessage> messages;
    std::vector<std::int64_t> seqs;  // of the entry of each message
    std::int64_t last_seq = 0;
  };

  Awaitable<void> run();
  Awaitable<bool> load_cursor();
  Awaitable<bool> publish_some();
  Awaitable<bool> send_page();
  Awaitable<void> publish_repeated();
  Awaitable<void> save_cursor(bool now);
  Awaitable<Result<Page>> next_page();
  Awaitable<Status> add_messages(const std::vector<LogEntry>& entries, Page& page);
  Awaitable<void> publish_left(bool now);
  Awaitable<bool> publish_left_page(SharedStore& shared, PublishCursor& cursor);
  void log_unsaved(const Error& error) const;
  void log_published(const PublishCursor& cursor, std::size_t messages) const;
  Awaitable<Result<ChangeEvent>> change_of(const LogEntry& entry);
  std::optional<ChangeEvent> recent_change(const LogEntry& entry);
  Awaitable<Result<json::Value>> value_before(const LogEntry& entry);
  BusMessage result_message(const LogEntry& entry) const;
  bool stopping();
  bool yields();

  StateStore& store_;
  Engine& engine_;
  Bus& bus_;
  boost::asio::any_io_executor strand_;
  Log& log_;
  net::WakeSignal wake_;
  net::TaskGroup tasks_;

  std::mutex mutex_;                            // guards the three below
  std::map<std::int64_t, ChangeEvent> recent_;  // by seq; of a shared store only
  std::deque<MutationResult> repeated_;
  bool stopping_ = false;

  std::function<bool()> busy_ = [] { return false; };

  // The strand's.
  std::optional<Steady::time_point> yielding_since_;
  std::int64_t overdue_ = 0;  // what is committed up to here has waited long enough
  LastValues last_values_;
  std::string engine_id_;  // whose entries are published, where several engines write
  std::int64_t cursor_ = 0;
  Page unsent_;  // what comes after cursor_ and the bus did not take yet
  std::int64_t saved_ = 0;
  Steady::time_point saved_at_{};
  Steady::time_point looked_at_{};  // when the other engines' cursors were read
  bool faulty_ = false;             // the last read or save of the store failed
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_LOG_PUBLISHER_H_
