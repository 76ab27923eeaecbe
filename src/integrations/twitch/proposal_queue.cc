// One at a time, on purpose: two proposals for one key that are under way together could land in
// either order. A proposal that is refused for now blocks those behind it, as the engine is then
// refusing everybody.

#include "integrations/twitch/proposal_queue.h"

#include <utility>

namespace state_engine::twitch {
namespace {

constexpr std::size_t kToldMax = 1000;
constexpr int kConflictsMax = 3;

// A value is renewed when a quarter of its time is left.
bool about_to_expire(std::chrono::milliseconds left, std::chrono::milliseconds ttl) {
  return left < ttl / 4;
}

// Outside the coroutines: g++ 12 cannot build nested initializer lists inside one.
void log_wait(Log& log, const Proposal& proposal, const std::string& why,
              std::chrono::milliseconds pause) {
  log.warn(
      "a proposal was not taken yet and is tried again",
      {{"id", proposal.id}, {"key", proposal.key}, {"error", why}, {"retryInMs", pause.count()}});
}

void log_refused(Log& log, const Proposal& proposal, const std::string& why) {
  log.error("a proposal cannot be handed over",
            {{"id", proposal.id}, {"key", proposal.key}, {"error", why}});
}

}  // namespace

ProposalQueue::ProposalQueue(Dependencies dependencies)
    : with_(std::move(dependencies)), backoff_(with_.backoff, with_.random), wake_(with_.strand) {}

bool ProposalQueue::push(Outgoing outgoing) {
  if (waiting_.size() >= kWaitingMax) return false;
  waiting_.push_back(std::move(outgoing));
  with_.observer.on_waiting(waiting());
  wake_.notify();
  return true;
}

void ProposalQueue::stop() {
  stopping_ = true;
  wake_.notify();
}

void ProposalQueue::abandon() {
  abandoned_ = true;
  stop();
}

boost::asio::awaitable<void> ProposalQueue::run() {
  while (!abandoned_) {
    if (waiting_.empty()) {
      if (stopping_) break;
      co_await wake_.wait();
      continue;
    }
    busy_ = true;
    Outgoing next = std::move(waiting_.front());
    waiting_.pop_front();
    co_await hand_over(std::move(next));
    busy_ = false;
    with_.observer.on_waiting(waiting());
  }
}

boost::asio::awaitable<void> ProposalQueue::hand_over(Outgoing outgoing) {
  backoff_.reset();
  int conflicts = 0;
  while (!abandoned_) {
    std::chrono::milliseconds pause{0};
    const bool done = co_await try_once(outgoing, pause);
    if (done) co_return;
    // A conflict is read and decided again at once, a few times.
    const bool conflict = pause.count() < 0;
    if (conflict && ++conflicts > kConflictsMax) co_return;
    if (conflict) continue;
    with_.observer.on_hand_over(HandOver::kRetried);
    const auto until = with_.clock.monotonic_now() + pause;
    while (!abandoned_ && with_.clock.monotonic_now() < until) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - with_.clock.monotonic_now());
      co_await wake_.wait(left + std::chrono::milliseconds{1});
    }
  }
}

boost::asio::awaitable<bool> ProposalQueue::try_once(Outgoing& outgoing,
                                                     std::chrono::milliseconds& pause) {
  if (outgoing.only_if_different) {
    const auto needed = co_await still_needed(outgoing);
    if (needed.ok() && !*needed) {
      with_.observer.on_hand_over(HandOver::kUnchanged);
      co_return true;
    }
    if (!needed.ok()) {
      pause = backoff_.next();
      log_wait(with_.log, outgoing.proposal, needed.error().message, pause);
      co_return false;
    }
  }
  const auto answer = co_await with_.proposer.propose(outgoing.proposal);
  if (!answer.ok()) {
    const ErrorCode code = answer.error().code;
    if (code == ErrorCode::kInvalidArgument || code == ErrorCode::kPermissionDenied) {
      log_refused(with_.log, outgoing.proposal, answer.error().message);
      with_.observer.on_hand_over(HandOver::kRefused);
      co_return true;
    }
    pause = backoff_.next();
    log_wait(with_.log, outgoing.proposal, answer.error().message, pause);
    co_return false;
  }
  if (!answer->has_value()) {
    remember(outgoing.proposal);
    with_.observer.on_hand_over(HandOver::kStored);
    co_return true;
  }
  co_return settle(outgoing.proposal, **answer, pause);
}

// What a decision means for this proposal. A conflict asks for another try by a negative pause.
bool ProposalQueue::settle(const Proposal& proposal, const MutationResult& result,
                           std::chrono::milliseconds& pause) {
  if (result.accepted) {
    remember(proposal);
    with_.observer.on_hand_over(result.duplicate ? HandOver::kDuplicate : HandOver::kAccepted);
    return true;
  }
  if (result.code == RejectionCode::kUnavailable || result.code == RejectionCode::kRateLimited) {
    pause = result.retry_after.value_or(backoff_.next());
    log_wait(with_.log, proposal, result.error, pause);
    return false;
  }
  with_.observer.on_hand_over(HandOver::kRejected);
  // A conditional proposal comes from reconciling; the key changed since it was read.
  if (result.code == RejectionCode::kVersionConflict && proposal.expected_version) {
    pause = std::chrono::milliseconds{-1};
    return false;
  }
  const std::string code(to_string(result.code));
  if (told_.size() < kToldMax && told_.insert(proposal.key + " " + code).second) {
    with_.log.warn("the engine rejected a proposal; further ones of this kind are only counted",
                   {{"key", proposal.key}, {"code", code}, {"error", result.error}});
  }
  return true;
}

void ProposalQueue::remember(const Proposal& proposal) {
  handed_over_[proposal.key] = {proposal.value.value_or(nullptr), with_.clock.wall_now()};
}

bool ProposalQueue::needed_by_own_record(const Outgoing& outgoing) const {
  const auto known = handed_over_.find(outgoing.proposal.key);
  if (known == handed_over_.end() ||
      !json::equal(known->second.value, outgoing.proposal.value.value_or(nullptr))) {
    return true;
  }
  const auto age = with_.clock.wall_now() - known->second.at;
  return outgoing.proposal.ttl &&
         about_to_expire(*outgoing.proposal.ttl - age, *outgoing.proposal.ttl);
}

boost::asio::awaitable<Result<bool>> ProposalQueue::still_needed(Outgoing& outgoing) {
  if (!with_.reader) co_return needed_by_own_record(outgoing);
  Proposal& proposal = outgoing.proposal;
  const auto current = co_await with_.reader(proposal.key);
  if (!current.ok()) co_return current.error();
  const Timestamp now = with_.clock.wall_now();
  const Snapshot* snapshot = current->get();
  const bool visible = snapshot != nullptr && snapshot->visible_at(now);
  if (visible && json::equal(snapshot->value, proposal.value.value_or(nullptr))) {
    const bool fades = snapshot->expires_at && proposal.ttl &&
                       about_to_expire(*snapshot->expires_at - now, *proposal.ttl);
    if (!fades) co_return false;
  }
  // So that a write of somebody else in between is seen, not overwritten.
  proposal.expected_version = visible ? snapshot->version : 0;
  proposal.id = proposal.id.substr(0, proposal.id.find("/v")) + "/v" +
                std::to_string(*proposal.expected_version);
  co_return true;
}

}  // namespace state_engine::twitch
