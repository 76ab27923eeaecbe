// Proposals of a source that keeps an order. All of a sequence are decided in one commit, so that a
// commit that fails refuses all of them and none can overtake another.

#include <unordered_map>

#include <boost/asio/post.hpp>

#include "base/limits.h"
#include "engine/answers.h"
#include "engine/await_callback.h"
#include "engine/engine.h"

namespace state_engine {

namespace asio = boost::asio;

Engine::Awaitable<std::vector<MutationResult>> Engine::propose_in_order(
    std::vector<Submission> submissions) {
  SE_ASSERT(submissions.size() <= limits::kCommitBatchMax);
  if (submissions.empty()) co_return std::vector<MutationResult>{};
  auto start = [this, submissions = std::move(submissions)](
                   std::function<void(std::vector<MutationResult>)> done) mutable {
    Work work{SequenceWork{std::move(submissions), std::move(done), {}}, {}, {}};
    auto shared = std::make_shared<Work>(std::move(work));
    asio::post(deps_.strand, [this, shared] { submit(std::move(*shared)); });
  };
  co_return co_await await_callback<std::vector<MutationResult>>(std::move(start));
}

void Engine::decide_sequence(SequenceWork& sequence, const Records& records,
                             BatchBuilder& builder) {
  sequence.results.clear();  // it may be decided again
  // The first rate limited proposal of each key: those behind it wait with it.
  std::unordered_map<std::string, std::optional<std::chrono::milliseconds>> limited;
  for (const Submission& item : sequence.items) {
    const Proposal& proposal = item.proposal;
    if (const auto wait = limited.find(proposal.key); wait != limited.end()) {
      sequence.results.push_back(plain_answer(proposal, RejectionCode::kUnavailable,
                                              "An earlier proposal for this key is rate limited"));
      sequence.results.back().retry_after = wait->second;
      continue;
    }
    const auto known = records.find(proposal.id);
    const auto& fault = item.options.fault;
    sequence.results.push_back(builder.decide(proposal, item.origin, item.options.dry_run,
                                              known != records.end() ? &known->second : nullptr,
                                              fault ? &*fault : nullptr));
    const MutationResult& result = sequence.results.back();
    if (result.code == RejectionCode::kRateLimited) limited[proposal.key] = result.retry_after;
  }
}

}  // namespace state_engine
