// One report at a time, so that the engine sees the order in which OBS did things.

#include "integrations/obs/reporter.h"

#include <fmt/format.h>

namespace state_engine::obs {
namespace {

constexpr std::size_t kRunIdBytes = 8;

void log_refusal(Log& log, const Proposal& proposal, const MutationResult& result) {
  const std::string hint = result.code == RejectionCode::kKeyNotAllowed
                               ? "add obs.* to allowedKeys to keep what OBS does"
                               : "the engine's policy refuses what OBS did";
  log.warn("a report of OBS was refused", {{"key", proposal.key},
                                           {"code", to_string(result.code)},
                                           {"error", result.error},
                                           {"hint", hint}});
}

}  // namespace

Reporter::Reporter(Proposer& proposer, const Clock& clock, Random& random, Log& log,
                   std::string actor, const boost::asio::any_io_executor& strand)
    : proposer_(proposer),
      clock_(clock),
      log_(log),
      actor_(std::move(actor)),
      run_id_(random_hex(random, kRunIdBytes)),
      backoff_({std::chrono::milliseconds{200}, std::chrono::milliseconds{10'000}, 2, 0.5}, random),
      wake_(strand) {}

void Reporter::report(std::string_view key, const json::Value& value, const std::string& reason) {
  Proposal proposal;
  proposal.id = fmt::format("obs:{}:{}", run_id_, ++count_);
  proposal.key = key;
  proposal.value = value;
  proposal.actor = actor_;
  proposal.reason = "OBS: " + reason;
  proposal.ts = clock_.wall_now();
  if (waiting_.size() >= kWaitingMax) {
    waiting_.pop_front();
    ++dropped_;
  }
  waiting_.push_back(std::move(proposal));
  wake_.notify();
}

boost::asio::awaitable<void> Reporter::run() {
  while (!stopping_ || !waiting_.empty()) {
    if (waiting_.empty()) {
      co_await wake_.wait(std::chrono::hours{1});
      continue;
    }
    // Taken out only when handed over; meanwhile the queue may drop it, which the id tells.
    const Proposal next = waiting_.front();
    const bool handed_over = co_await hand_over(next);
    if (handed_over) {
      backoff_.reset();
      if (!waiting_.empty() && waiting_.front().id == next.id) waiting_.pop_front();
      continue;
    }
    if (stopping_) co_return;  // The engine is gone; it cannot be told any more.
    const auto pause = backoff_.next();
    co_await wake_.wait(pause);
  }
}

boost::asio::awaitable<bool> Reporter::hand_over(Proposal proposal) {
  const auto result = co_await proposer_.propose(proposal);
  if (!result.ok()) {
    log_.debug("a report of OBS waits for the engine", {{"error", result.error().message}});
    co_return false;
  }
  if (!result->has_value()) co_return true;
  const MutationResult& decided = **result;
  // Not decisions: the same report may be sent again.
  if (decided.code == RejectionCode::kUnavailable || decided.code == RejectionCode::kRateLimited) {
    co_return false;
  }
  check(proposal, decided);
  co_return true;
}

void Reporter::check(const Proposal& proposal, const MutationResult& result) {
  if (result.accepted) {
    complained_.erase(proposal.key);
  } else if (complained_.insert(proposal.key).second) {
    log_refusal(log_, proposal, result);
  }
}

void Reporter::stop() {
  stopping_ = true;
  wake_.notify();
}

}  // namespace state_engine::obs
