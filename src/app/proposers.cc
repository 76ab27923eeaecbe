// Over the bus the message id holds a digest of the body beside the mutation id: the stream then
// drops a repetition, but not another proposal that reuses the id, which the engine must answer.

#include "app/proposers.h"

#include <fmt/format.h>

#include "base/hex.h"
#include "wire/json_codec.h"

namespace state_engine {

using Proposed = boost::asio::awaitable<Result<std::optional<MutationResult>>>;

Proposed EngineProposer::propose(Proposal proposal) {
  proposal.actor = actor_;
  if (proposal.ts == Timestamp{}) proposal.ts = engine_.now();
  Origin origin = origin_;
  MutationResult result = co_await engine_.propose(std::move(proposal), std::move(origin));
  if (result.code == RejectionCode::kUnavailable || result.code == RejectionCode::kRateLimited) {
    co_return Error{ErrorCode::kUnavailable, std::move(result.error)};
  }
  co_return std::optional<MutationResult>(std::move(result));
}

Proposed BusProposer::propose(Proposal proposal) {
  proposal.actor = actor_;
  BusMessage message;
  message.subject = subjects::kMutation;
  if (actors_ == BusActors::kSubject) message.subject += "." + actor_;
  message.body = json::write(wire::encode_proposal(proposal));
  message.message_id = fmt::format("{}:{}", proposal.id, sha256_hex(message.body).substr(0, 16));
  if (!proposal.correlation_id.empty()) {
    message.headers.emplace_back("correlationid", proposal.correlation_id);
  }
  switch (co_await bus_.publish(std::move(message))) {
    case PublishOutcome::kPublished:
      co_return std::optional<MutationResult>();
    case PublishOutcome::kRefused:
      co_return Error{ErrorCode::kInvalidArgument,
                      "the bus refuses this proposal: it is too large"};
    case PublishOutcome::kNoSubscriber:
    case PublishOutcome::kRetry:
      co_return Error{ErrorCode::kUnavailable, "the bus did not take the proposal"};
  }
  SE_UNREACHABLE();
}

}  // namespace state_engine
