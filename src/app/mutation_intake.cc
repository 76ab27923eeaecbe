// A batch is one commit: either all of it is decided or none. Several may be under way, in one lane
// of the engine: once something is refused there, nothing behind it is decided, and all that was
// refused comes back here and goes in again in its order. So nothing can have overtaken it.

#include "app/mutation_intake.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/limits.h"
#include "wire/base64.h"
#include "wire/bus_proposal.h"

namespace state_engine {
namespace {

using boost::asio::awaitable;
using std::chrono::milliseconds;

constexpr milliseconds kRetryLeast{50};
constexpr milliseconds kDeadLetterRetry{1000};
constexpr std::chrono::seconds kStopMost{10};
// Enough that the engine never waits for the next batch; of a shared store one, since there a batch
// may be decided in parts.
constexpr std::size_t kUnderWayMost = 3;
// So many wait before they go in behind a batch that is under way; fewer once none is. Each batch
// wakes every thread on its way.
constexpr std::size_t kAheadLeast = 32;
constexpr std::size_t kBacklogLeast = 2 * limits::kCommitBatchMax;

milliseconds retry_after(const MutationResult& result) {
  return std::max(kRetryLeast, result.retry_after.value_or(kRetryLeast));
}

bool refused_for_now(const MutationResult& result) {
  return result.code == RejectionCode::kUnavailable || result.code == RejectionCode::kRateLimited;
}

void fill_from_header(std::string& field, std::string_view header) {
  const bool fits = header.size() <= limits::kTraceBytesMax && json::is_utf8(header);
  if (field.empty() && fits) field = header;
}

// What a dead letter looks like to the platform's persistence service.
std::string dead_letter_body(const BusDelivery& delivery, const Proposal& record,
                             const std::string& why) {
  const BusMessage& message = delivery.message;
  json::Object external{{"id", "state-engine"}, {"platform", "system"}};
  json::Object payload{{"reason", "dead_letter"},
                       {"error", json::Object{{"code", "dead_letter"}, {"message", why}}},
                       {"originalType", message.subject},
                       {"mutationId", record.id},
                       {"streamSequence", delivery.position},
                       {"at", format_rfc3339(delivery.stored_at)}};
  const bool is_text = json::is_utf8(message.body);
  payload[is_text ? "body" : "bodyBase64"] = is_text ? message.body : wire::to_base64(message.body);
  json::Object event{
      {"v", "2"},
      {"correlationId", record.id},
      {"type", subjects::kDeadLetter},
      {"ingress", json::Object{{"ingressAt", format_rfc3339(delivery.stored_at)},
                               {"source", "state-engine"},
                               {"connector", "system"}}},
      {"identity", json::Object{{"external", std::move(external)}}},
      {"egress", json::Object{{"destination", "system"}, {"connector", "system"}}},
      {"payload", std::move(payload)},
      {"routing",
       json::Object{{"stage", "dlq"}, {"slip", json::Array{}}, {"history", json::Array{}}}}};
  return json::write(event);
}

}  // namespace

ConsumeOptions intake_consume_options(const IntakeOptions& options) {
  ConsumeOptions out;
  out.subject = subjects::kMutation;
  if (options.actors == BusActors::kSubject) out.subject += ".*";
  out.queue = options.queue;
  return out;
}

MutationIntake::MutationIntake(Engine& engine, Bus& bus, boost::asio::any_io_executor strand,
                               Log& log, IntakeOptions options, IntakeEvents events)
    : engine_(engine),
      bus_(bus),
      strand_(std::move(strand)),
      log_(log),
      options_(std::move(options)),
      events_(std::move(events)),
      wake_(strand_),
      tasks_("mutation intake", log) {}

MutationIntake::~MutationIntake() { SE_ASSERT(tasks_.running() == 0); }

void MutationIntake::start() {
  tasks_.spawn(strand_, [this] { return run(); });
  ConsumeHandler handler;
  handler.on_message = [this](BusDelivery delivery) { receive(std::move(delivery)); };
  handler.on_reset = [this] { reset(); };
  subscription_ = bus_.consume(intake_consume_options(options_), std::move(handler));
}

awaitable<void> MutationIntake::stop() {
  subscription_.reset();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify();
  const bool ended = co_await tasks_.wait(kStopMost);
  if (!ended) log_.error("the mutation intake does not end");
}

// ---- On the bus's threads --------------------------------------------------------------------

MutationIntake::Item MutationIntake::decode(BusDelivery delivery) const {
  const BusMessage& message = delivery.message;
  wire::ProposalRules rules;
  rules.needs_actor = options_.actors == BusActors::kBody;
  wire::BusProposal read = wire::read_bus_proposal(message.body, message.header("content-type"),
                                                   delivery.stored_at, rules);
  Item item;
  item.submission.proposal = std::move(read.proposal);
  item.submission.origin = {options_.principal, false};
  if (options_.actors == BusActors::kSubject) {
    item.submission.proposal.actor = message.subject.substr(message.subject.rfind('.') + 1);
    item.submission.origin.actor_verified = true;
  }
  // What the platform's services say in headers, if the body does not.
  fill_from_header(item.submission.proposal.correlation_id, message.header("correlationid"));
  fill_from_header(item.submission.proposal.traceparent, message.header("traceparent"));
  if (read.fault != RejectionCode::kNone) {
    item.submission.options.fault = PolicyDenial{read.fault, std::move(read.fault_text)};
  }
  item.bytes = message.body.size();
  item.delivery = std::move(delivery);
  return item;
}

// The engine takes the proposal; what it gives back is read from the message again.
void MutationIntake::restore(Item& item) const { item = decode(std::move(item.delivery)); }

void MutationIntake::receive(BusDelivery delivery) {
  Item item = decode(std::move(delivery));
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(item));
    if (inbox_.size() < wake_at_) return;
  }
  wake_.notify();
}

void MutationIntake::reset() {
  {
    const std::lock_guard lock(mutex_);
    was_reset_ = true;
    inbox_.clear();
  }
  wake_.notify();
}

// ---- On the strand ---------------------------------------------------------------------------

void MutationIntake::take_inbox() {
  const std::lock_guard lock(mutex_);
  wake_at_ = 1;
  if (std::exchange(was_reset_, false)) {
    waiting_.clear();
    held_.clear();
    dead_.clear();
    refused_ = {};
    for (const auto& batch : under_way_) batch->current = false;
    held_count_ = 0;
  }
  while (!inbox_.empty()) {
    waiting_.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
}

void MutationIntake::take_due_keys(Steady::time_point now, std::vector<Item>& batch) {
  for (auto held = held_.begin(); held != held_.end();) {
    auto& [key, queue] = *held;
    while (queue.due <= now && !queue.items.empty() && batch.size() < limits::kCommitBatchMax) {
      batch.push_back(std::move(queue.items.front()));
      queue.items.pop_front();
      --held_count_;
    }
    held = queue.items.empty() ? held_.erase(held) : std::next(held);
  }
}

// The next messages that may be decided, in their order.
std::vector<MutationIntake::Item> MutationIntake::take_batch(Steady::time_point now) {
  std::vector<Item> batch;
  if (now < paused_until_) return batch;
  take_due_keys(now, batch);
  std::size_t bytes = 0;
  while (!waiting_.empty() && batch.size() < limits::kCommitBatchMax &&
         bytes < limits::kCommitBatchBytesMax) {
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    bytes += item.bytes;
    if (const auto held = held_.find(item.key()); held != held_.end()) {
      held->second.items.push_back(std::move(item));
      ++held_count_;
    } else {
      batch.push_back(std::move(item));
    }
  }
  return batch;
}

// Asks to be woken by as many messages as make a difference; false if they are there.
bool MutationIntake::expect_messages() {
  std::size_t least = 1;
  if (!has_place()) {
    least = std::numeric_limits<std::size_t>::max();
  } else if (!under_way_.empty() && waiting_.size() < kAheadLeast) {
    least = kAheadLeast - waiting_.size();
  }
  const std::lock_guard lock(mutex_);
  wake_at_ = least;
  return inbox_.size() < wake_at_;
}

// Until something can be done without being notified. What is under way notifies.
milliseconds MutationIntake::until_due(Steady::time_point now) const {
  Steady::time_point due = now + std::chrono::hours{1};
  if (may_submit()) {
    if (!waiting_.empty()) due = std::max(paused_until_, now);
    for (const auto& [key, queue] : held_) due = std::min(due, std::max(queue.due, paused_until_));
  }
  if (!dead_.empty()) due = std::min(due, dead_due_);
  return std::chrono::ceil<milliseconds>(std::max(due - now, Steady::duration{0}));
}

awaitable<void> MutationIntake::run() {
  lane_ = engine_.is_shared() ? nullptr : std::make_shared<ProposalLane>();
  while (true) {
    take_inbox();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    const bool decided = take_decided();
    submit_batches(Steady::now());
    note_backlog();
    if (decided || !dead_.empty()) co_await publish_dead_letters();
    if (decided) events_.on_held(held_count_);
    const bool more = !under_way_.empty() && under_way_.front()->decided;
    if (!more && expect_messages()) co_await wake_.wait(until_due(Steady::now()));
  }
  backlog_ = false;
  while (!under_way_.empty()) {
    const bool decided = take_decided();
    if (!decided) co_await wake_.wait();
  }
  co_await publish_dead_letters();
  give_back();
}

void MutationIntake::note_backlog() {
  std::size_t count = waiting_.size();
  for (const auto& batch : under_way_) count += batch->items.size();
  // While the engine cannot commit nothing is decided faster for it.
  backlog_ = !away_ && count >= kBacklogLeast;
}

bool MutationIntake::has_place() const {
  return !lane_broken_ && under_way_.size() < (lane_ != nullptr ? kUnderWayMost : 1);
}

bool MutationIntake::may_submit() const {
  return has_place() && (under_way_.empty() || waiting_.size() >= kAheadLeast);
}

void MutationIntake::submit_batches(Steady::time_point now) {
  while (may_submit()) {
    auto batch = std::make_shared<Batch>();
    batch->items = take_batch(now);
    if (batch->items.empty()) return;
    under_way_.push_back(batch);
    tasks_.spawn(strand_, [this, batch] { return decide(batch); });
  }
}

awaitable<void> MutationIntake::decide(std::shared_ptr<Batch> batch) {
  std::vector<Submission> submissions;
  submissions.reserve(batch->items.size());
  for (Item& item : batch->items) submissions.push_back(std::move(item.submission));
  batch->results = co_await engine_.propose_in_order(std::move(submissions), lane_);
  SE_ASSERT(batch->results.size() == batch->items.size());
  batch->decided = true;
  wake_.notify();
}

// Settles what was decided; false if nothing was.
bool MutationIntake::take_decided() {
  bool some = false;
  while (!under_way_.empty() && under_way_.front()->decided) {
    const auto batch = std::move(under_way_.front());
    under_way_.pop_front();
    some = true;
    for (std::size_t i = 0; i < batch->items.size(); ++i) {
      if (!refused_for_now(batch->results[i])) {
        settle(batch->items[i], batch->results[i]);
        continue;
      }
      lane_broken_ = true;
      if (!batch->current) continue;
      restore(batch->items[i]);
      refused_.items.push_back(std::move(batch->items[i]));
      refused_.results.push_back(std::move(batch->results[i]));
    }
  }
  if (some && !lane_broken_) note_away(nullptr);
  if (lane_broken_ && under_way_.empty()) keep_refused();
  return some;
}

// Puts back what was refused for now: each in front of all that is newer.
void MutationIntake::keep_refused() {
  const auto now = Steady::now();
  Batch refused = std::exchange(refused_, {});
  for (std::size_t i = 0; i < refused.items.size(); ++i) {
    if (refused.results[i].code != RejectionCode::kRateLimited) continue;
    held_[refused.items[i].key()].due = now + retry_after(refused.results[i]);
  }
  const MutationResult* away = nullptr;
  for (std::size_t i = refused.items.size(); i-- > 0;) {
    if (const auto held = held_.find(refused.items[i].key()); held != held_.end()) {
      held->second.items.push_front(std::move(refused.items[i]));
      ++held_count_;
    } else {
      away = &refused.results[i];
      waiting_.push_front(std::move(refused.items[i]));
    }
  }
  if (away != nullptr) paused_until_ = now + retry_after(*away);
  note_away(away);
  lane_broken_ = false;
  if (lane_ != nullptr) lane_ = std::make_shared<ProposalLane>();
}

void MutationIntake::note_away(const MutationResult* away) {
  if (std::exchange(away_, away != nullptr) == (away != nullptr)) return;
  if (away != nullptr) {
    log_.warn("proposals of the bus wait: the engine cannot commit", {{"error", away->error}});
  } else {
    log_.info("proposals of the bus are decided again");
  }
}

void MutationIntake::settle(Item& item, const MutationResult& result) {
  if (result.code == RejectionCode::kDeadLetter) {
    if (!result.duplicate) {
      log_.warn("a message on the bus cannot be read",
                {{"mutationId", result.mutation_id}, {"error", result.error}});
      events_.on_dead_letter();
    }
    restore(item);
    dead_.push_back(std::move(item));
    return;
  }
  if (result.duplicate || !result.seq) events_.on_repeated(result, item.delivery.stored_at);
  item.delivery.done();
}

// A dead letter is settled once a stream has it. Until then it holds up nothing but itself.
awaitable<void> MutationIntake::publish_dead_letters() {
  while (!dead_.empty() && Steady::now() >= dead_due_) {
    const Item item = std::move(dead_.front());
    dead_.pop_front();
    const bool published = co_await publish_dead_letter(item);
    if (published) {
      item.delivery.refuse();
    } else {
      dead_.push_front(item);
      dead_due_ = Steady::now() + kDeadLetterRetry;
    }
  }
}

awaitable<bool> MutationIntake::publish_dead_letter(const Item& item) {
  BusMessage message;
  message.subject = subjects::kDeadLetter;
  message.message_id = item.submission.proposal.id;
  message.headers = {{"type", std::string(subjects::kDeadLetter)}, {"source", "state-engine"}};
  message.body = dead_letter_body(item.delivery, item.submission.proposal,
                                  item.submission.options.fault->message);
  const PublishOutcome outcome = co_await bus_.publish(std::move(message));
  co_return outcome != PublishOutcome::kRetry;
}

// What was not decided is for the next engine, at once.
void MutationIntake::give_back() {
  for (const Item& item : waiting_) item.delivery.later(milliseconds{0});
  for (const auto& [key, queue] : held_) {
    for (const Item& item : queue.items) item.delivery.later(milliseconds{0});
  }
  waiting_.clear();
  held_.clear();
}

}  // namespace state_engine
