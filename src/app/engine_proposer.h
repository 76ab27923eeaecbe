// EngineProposer: hands the proposals of an integration to the engine of the same process.

#ifndef STATE_ENGINE_APP_ENGINE_PROPOSER_H_
#define STATE_ENGINE_APP_ENGINE_PROPOSER_H_

#include <string>

#include "engine/engine.h"
#include "ports/proposer.h"

namespace state_engine {

// `principal` is who authenticated, as the log keeps it: "in-process:obs".
class EngineProposer final : public Proposer {
 public:
  EngineProposer(Engine& engine, std::string principal)
      : engine_(engine), principal_(std::move(principal)) {}

  boost::asio::awaitable<Result<std::optional<MutationResult>>> propose(
      Proposal proposal) override {
    Origin origin{principal_, true};  // named: g++ 12 destroys a braced one twice
    MutationResult result = co_await engine_.propose(std::move(proposal), std::move(origin));
    if (result.code == RejectionCode::kUnavailable) {
      co_return Error{ErrorCode::kUnavailable, result.error};
    }
    co_return std::optional<MutationResult>(std::move(result));
  }

 private:
  Engine& engine_;
  const std::string principal_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ENGINE_PROPOSER_H_
