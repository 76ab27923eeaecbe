// The store is the queue: nothing waits in memory that a restart would lose. What the engine just
// announced is kept a while, because the value before a change is not in its own log entry.

#include "app/log_publisher.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "engine/answers.h"
#include "wire/json_codec.h"

namespace state_engine {
namespace {

using std::chrono::milliseconds;

const std::string kCursor = "bus";
constexpr std::size_t kPageEntries = 256;
constexpr std::size_t kLastValuesBytes = 8 * 1024 * 1024;
constexpr std::size_t kLookBack = 16;
constexpr std::size_t kRecentMax = 4096;
constexpr std::size_t kRepeatedMax = 1000;
constexpr milliseconds kPoll{250};  // for what no change event announces
constexpr milliseconds kRetry{250};
constexpr milliseconds kSaveEvery{1000};  // a cursor costs a durable write
constexpr std::chrono::seconds kLookEvery{15};
constexpr std::chrono::seconds kLeftAfter{3};  // a living engine saves its cursor every second
constexpr milliseconds kYieldMost{2000};
constexpr milliseconds kYieldPoll{20};
constexpr std::chrono::seconds kStopMost{5};
constexpr std::chrono::seconds kDrainMost{2};

BusMessage message_of(std::string_view subject, std::string id, const json::Object& body,
                      const std::string& correlation_id) {
  BusMessage out;
  out.subject = subject;
  out.message_id = std::move(id);
  out.body = json::write(body);
  out.headers = {{"type", std::string(subject)}, {"source", "state-engine"}};
  if (!correlation_id.empty()) out.headers.emplace_back("correlationid", correlation_id);
  return out;
}

}  // namespace

LogPublisher::LogPublisher(StateStore& store, Engine& engine, Bus& bus,
                           boost::asio::any_io_executor strand, Log& log)
    : store_(store),
      engine_(engine),
      bus_(bus),
      strand_(std::move(strand)),
      log_(log),
      wake_(strand_),
      tasks_("log publisher", log),
      last_values_(kLastValuesBytes) {}

LogPublisher::~LogPublisher() { SE_ASSERT(tasks_.running() == 0); }

void LogPublisher::on_changes(std::span<const CommittedChange> changes) {
  if (store_.shared() != nullptr) {
    // There each look into the log is a request over the network.
    const std::lock_guard lock(mutex_);
    for (const CommittedChange& change : changes) {
      json::Value before = change.before != nullptr ? change.before->value : json::Value();
      recent_.emplace(change.entry.seq, change_event(change.entry, std::move(before)));
    }
    // What is forgotten here is read from the log.
    while (recent_.size() > kRecentMax) recent_.erase(recent_.begin());
  }
  wake();
}

void LogPublisher::repeat(MutationResult result) {
  {
    const std::lock_guard lock(mutex_);
    repeated_.push_back(std::move(result));
    if (repeated_.size() > kRepeatedMax) repeated_.pop_front();
  }
  wake();
}

void LogPublisher::start() {
  tasks_.spawn(strand_, [this] { return run(); });
}

boost::asio::awaitable<void> LogPublisher::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  const bool ended = co_await tasks_.wait(kStopMost);
  if (!ended) log_.error("the log publisher does not end");
}

bool LogPublisher::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

LogPublisher::Awaitable<bool> LogPublisher::load_cursor() {
  while (!stopping()) {
    auto cursor = co_await store_.cursor(kCursor);
    auto head = co_await store_.head();
    if (cursor.ok() && head.ok()) {
      cursor_ = saved_ = *cursor;
      engine_id_ = head->engine_id;
      if (cursor_ > head->seq) {
        // A store from a backup: what it logs from now on has numbers that were published before.
        log_.warn("the log ends before what was published from it",
                  {{"published", cursor_}, {"seq", head->seq}});
        cursor_ = head->seq;
      }
      co_return true;
    }
    co_await wake_.wait(kRetry);
  }
  co_return false;
}

// True while a backlog is decided, which needs the processors more than its results do. After a
// while what is committed by then goes out all the same.
bool LogPublisher::yields() {
  if (store_.shared() != nullptr || !busy_()) {
    yielding_since_.reset();
    return false;
  }
  if (cursor_ < overdue_) return false;
  const auto now = Steady::now();
  if (!yielding_since_) yielding_since_ = now;
  if (now < *yielding_since_ + kYieldMost) return true;
  yielding_since_.reset();
  overdue_ = engine_.view().seq();
  return false;
}

LogPublisher::Awaitable<void> LogPublisher::run() {
  // Outcomes are named: g++ 12 compiles an await in the condition of a loop's branch to a trap.
  const bool loaded = co_await load_cursor();
  if (!loaded) co_return;
  // Known to the others from now on, should this engine end before it saves again.
  if (store_.shared() != nullptr) {
    const Status kept = co_await store_.save_cursor(kCursor, cursor_);
    if (!kept.ok()) log_unsaved(kept.error());
  }
  co_await publish_left(true);
  while (!stopping()) {
    if (yields()) {
      co_await wake_.wait(kYieldPoll);
      continue;
    }
    const bool published = co_await publish_some();
    if (!published) {
      co_await wake_.wait(kRetry);
      continue;
    }
    co_await save_cursor(false);
    if (cursor_ < engine_.view().seq()) continue;
    co_await publish_repeated();
    co_await publish_left(false);
    co_await wake_.wait(kPoll);
  }
  const auto until = Steady::now() + kDrainMost;
  bool works = true;
  while (works && cursor_ < engine_.view().seq() && Steady::now() < until) {
    works = co_await publish_some();
  }
  co_await save_cursor(true);
}

LogPublisher::Awaitable<void> LogPublisher::save_cursor(bool now) {
  if (cursor_ == saved_ || (!now && Steady::now() < saved_at_ + kSaveEvery)) co_return;
  saved_at_ = Steady::now();
  const std::int64_t seq = cursor_;
  const Status saved = co_await store_.save_cursor(kCursor, seq);
  if (saved.ok()) saved_ = seq;  // else a restart publishes some again, with the same ids
}

// Publishes the next page. False if the store or the bus does not work now.
LogPublisher::Awaitable<bool> LogPublisher::publish_some() {
  if (unsent_.messages.empty()) {
    if (!engine_.is_shared() && cursor_ == engine_.view().seq()) co_return true;
    auto page = co_await next_page();
    if (!page.ok()) {
      if (!std::exchange(faulty_, true)) {
        log_.warn("the log cannot be read for publishing", {{"error", page.error().message}});
      }
      co_return false;
    }
    faulty_ = false;
    unsent_ = *std::move(page);
  }
  const bool sent = co_await send_page();
  if (!sent) co_return false;
  cursor_ = unsent_.last_seq;
  unsent_ = {};
  const std::lock_guard lock(mutex_);
  recent_.erase(recent_.begin(), recent_.upper_bound(cursor_));
  co_return true;
}

// False if the bus did not take all; what it did not take stays for the next try, as building a
// page costs a look into the log for each value that has changed since.
LogPublisher::Awaitable<bool> LogPublisher::send_page() {
  if (unsent_.messages.empty()) co_return true;
  std::vector<BusMessage> messages = unsent_.messages;
  const auto outcomes = co_await bus_.publish_all(std::move(messages));
  const auto refused = std::find(outcomes.begin(), outcomes.end(), PublishOutcome::kRetry);
  if (refused == outcomes.end()) co_return true;
  const auto taken = refused - outcomes.begin();
  cursor_ = std::max(cursor_, unsent_.seqs[static_cast<std::size_t>(taken)] - 1);
  unsent_.messages.erase(unsent_.messages.begin(), unsent_.messages.begin() + taken);
  unsent_.seqs.erase(unsent_.seqs.begin(), unsent_.seqs.begin() + taken);
  co_return false;
}

LogPublisher::Awaitable<Result<LogPublisher::Page>> LogPublisher::next_page() {
  Page page;
  page.last_seq = cursor_;
  const std::int64_t reached = engine_.view().seq();
  LogQuery query;
  query.after_seq = cursor_;
  query.limit = kPageEntries;
  if (engine_.is_shared()) query.engine_id = engine_id_;  // others publish what they commit
  auto entries = co_await store_.read_log(std::move(query));
  if (!entries.ok()) co_return entries.error();
  if (engine_.is_shared() && entries->size() < kPageEntries) {
    page.last_seq = std::max(page.last_seq, reached);
    auto head = co_await store_.head();
    if (head.ok() && entries->empty()) engine_id_ = head->engine_id;
  }
  const Status added = co_await add_messages(*entries, page);
  if (!added.ok()) co_return added.error();
  co_return page;
}

LogPublisher::Awaitable<Status> LogPublisher::add_messages(const std::vector<LogEntry>& entries,
                                                           Page& page) {
  for (const LogEntry& entry : entries) {
    const std::string id = fmt::format("{}:{}", entry.engine_id, entry.seq);
    if (entry.proposal.op != Op::kExpire) {  // nobody proposed an expiry
      page.messages.push_back(result_message(entry));
      page.seqs.push_back(entry.seq);
    }
    page.last_seq = std::max(page.last_seq, entry.seq);
    if (!entry.accepted) continue;
    auto change = co_await change_of(entry);
    if (!change.ok()) co_return change.error();
    // Its own id: both subjects may lie in one stream, which drops repeated ids.
    page.messages.push_back(message_of(subjects::kChanged, id + ":changed",
                                       wire::encode_change(*change), change->correlation_id));
    page.seqs.push_back(entry.seq);
  }
  co_return Status();
}

// ---- What engines that are gone did not publish ------------------------------------------------

LogPublisher::Awaitable<void> LogPublisher::publish_left(bool now) {
  SharedStore* const shared = store_.shared();
  if (shared == nullptr || (!now && Steady::now() < looked_at_ + kLookEvery)) co_return;
  looked_at_ = Steady::now();
  const Timestamp before = engine_.now() - kLeftAfter;
  auto left = co_await shared->left_cursors(kCursor, before);
  if (!left.ok()) co_return;
  for (PublishCursor& cursor : *left) {
    bool more = true;
    while (more && !stopping()) more = co_await publish_left_page(*shared, cursor);
  }
}

// The next page of an engine that is gone; false if there is none or it could not be published.
LogPublisher::Awaitable<bool> LogPublisher::publish_left_page(SharedStore& shared,
                                                              PublishCursor& cursor) {
  LogQuery query;
  query.engine_id = cursor.engine_id;
  query.after_seq = cursor.seq;
  query.limit = kPageEntries;
  auto entries = co_await store_.read_log(std::move(query));
  if (!entries.ok() || entries->empty()) co_return false;
  Page page;
  const Status added = co_await add_messages(*entries, page);
  if (!added.ok()) co_return false;
  const std::size_t count = page.messages.size();
  const auto outcomes = co_await bus_.publish_all(std::move(page.messages));
  for (const PublishOutcome outcome : outcomes) {
    if (outcome == PublishOutcome::kRetry) co_return false;
  }
  cursor.seq = page.last_seq;
  log_published(cursor, count);
  PublishCursor saved = cursor;  // named: g++ 12 destroys a braced one twice
  const Status kept = co_await shared.save_left_cursor(kCursor, std::move(saved));
  co_return kept.ok();
}

void LogPublisher::log_unsaved(const Error& error) const {
  log_.warn("how far the log is published could not be saved", {{"error", error.message}});
}

void LogPublisher::log_published(const PublishCursor& cursor, std::size_t messages) const {
  log_.info("published what another engine left",
            {{"engineId", cursor.engine_id}, {"messages", messages}});
}

BusMessage LogPublisher::result_message(const LogEntry& entry) const {
  SnapshotPtr current;
  if (entry.code == RejectionCode::kVersionConflict) {
    // As it is when the page is built: what its proposer needs to decide again.
    current = engine_.view().find(entry.proposal.key);
    if (current != nullptr && !current->visible_at(engine_.now())) current = nullptr;
  }
  MutationResult result = answer_from(entry, std::move(current));
  result.duplicate = false;
  return message_of(subjects::kMutationResult, fmt::format("{}:{}", entry.engine_id, entry.seq),
                    wire::encode_result(result), entry.proposal.correlation_id);
}

// From what was read before, else the engine's own event if it is still known, else from the log.
LogPublisher::Awaitable<Result<ChangeEvent>> LogPublisher::change_of(const LogEntry& entry) {
  json::Value prev;
  if (entry.previous_version > 0) {
    const json::Value* known = last_values_.find(entry.proposal.key, entry.previous_version);
    if (known != nullptr) {
      prev = *known;
    } else if (auto event = recent_change(entry)) {
      prev = std::move(event->prev);
    } else {
      auto found = co_await value_before(entry);
      if (!found.ok()) co_return found.error();
      prev = *std::move(found);
    }
  }
  last_values_.put(entry.proposal.key, entry.resulting_version.value_or(0),
                   entry.resulting_value.value_or(json::Value()));
  co_return change_event(entry, std::move(prev));
}

std::optional<ChangeEvent> LogPublisher::recent_change(const LogEntry& entry) {
  const std::lock_guard lock(mutex_);
  const auto known = recent_.find(entry.seq);
  if (known == recent_.end() || known->second.engine_id != entry.engine_id) return std::nullopt;
  return known->second;
}

// What the key of `entry` held before it, from the log.
LogPublisher::Awaitable<Result<json::Value>> LogPublisher::value_before(const LogEntry& entry) {
  // Where engines share a log, the numbers of two of them say nothing about order.
  std::int64_t before = store_.shared() == nullptr ? entry.seq : 0;
  LogQuery query;
  query.key = entry.proposal.key;
  query.newest_first = true;
  query.limit = before != 0 ? 1 : kLookBack;  // mostly it is the entry just before
  while (true) {
    query.before_seq = before;
    auto earlier = co_await store_.read_log(query);
    if (!earlier.ok()) co_return earlier.error();
    for (const LogEntry& candidate : *earlier) {
      if (before != 0) before = candidate.seq;
      if (candidate.resulting_version != entry.previous_version) continue;
      co_return candidate.resulting_value.value_or(json::Value());
    }
    if (earlier->empty() || before == 0) co_return json::Value();
    query.limit = kLookBack;
  }
}

LogPublisher::Awaitable<void> LogPublisher::publish_repeated() {
  std::vector<BusMessage> messages;
  {
    const std::lock_guard lock(mutex_);
    for (const MutationResult& result : repeated_) {
      messages.push_back(
          message_of(subjects::kMutationResult, "", wire::encode_result(result), ""));
    }
    repeated_.clear();
  }
  // A courtesy: whoever misses it again may ask again.
  if (!messages.empty()) static_cast<void>(co_await bus_.publish_all(std::move(messages)));
}

}  // namespace state_engine
