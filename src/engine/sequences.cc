// Proposals of a source that keeps an order. All of a sequence are decided in one commit, so that a
// commit that fails refuses all of them and none can overtake another. Those of one lane are
// decided in the order of their calls, and remember what an earlier call was refused.

#include <boost/asio/post.hpp>

#include "base/limits.h"
#include "engine/answers.h"
#include "engine/await_callback.h"
#include "engine/engine.h"

namespace state_engine {

namespace asio = boost::asio;

Engine::Awaitable<std::vector<MutationResult>> Engine::propose_in_order(
    std::vector<Submission> submissions, std::shared_ptr<ProposalLane> lane) {
  SE_ASSERT(submissions.size() <= limits::kCommitBatchMax);
  // There a sequence may be decided more than once, in parts.
  SE_ASSERT(lane == nullptr || !is_shared());
  if (submissions.empty()) co_return std::vector<MutationResult>{};
  auto start = [this, submissions = std::move(submissions), lane = std::move(lane)](
                   std::function<void(std::vector<MutationResult>)> done) mutable {
    Work work{SequenceWork{std::move(submissions), std::move(done), {}, std::move(lane)}, {}, {}};
    auto shared = std::make_shared<Work>(std::move(work));
    asio::post(deps_.strand, [this, shared] { submit(std::move(*shared)); });
  };
  co_return co_await await_callback<std::vector<MutationResult>>(std::move(start));
}

void Engine::decide_sequence(SequenceWork& sequence, const Records& records,
                             BatchBuilder& builder) {
  sequence.results.clear();  // it may be decided again
  sequence.results.reserve(sequence.items.size());
  ProposalLane alone;
  ProposalLane& lane = sequence.lane != nullptr ? *sequence.lane : alone;
  const auto put_off = [&](const Proposal& proposal, std::string why,
                           std::optional<std::chrono::milliseconds> wait) {
    sequence.results.push_back(plain_answer(proposal, RejectionCode::kUnavailable, std::move(why)));
    sequence.results.back().retry_after = wait;
  };
  for (const Submission& item : sequence.items) {
    const Proposal& proposal = item.proposal;
    if (lane.closed_) {
      put_off(proposal, "An earlier proposal could not be committed", std::nullopt);
      continue;
    }
    if (const auto wait = lane.refused_.find(proposal.key); wait != lane.refused_.end()) {
      put_off(proposal, "An earlier proposal for this key was put off", wait->second);
      continue;
    }
    const auto known = records.find(proposal.id);
    const auto& fault = item.options.fault;
    sequence.results.push_back(builder.decide(proposal, item.origin, item.options.dry_run,
                                              known != records.end() ? &known->second : nullptr,
                                              fault ? &*fault : nullptr));
    const MutationResult& result = sequence.results.back();
    if (result.code == RejectionCode::kRateLimited || result.code == RejectionCode::kUnavailable) {
      lane.refused_[proposal.key] = result.retry_after;
    }
  }
}

}  // namespace state_engine
