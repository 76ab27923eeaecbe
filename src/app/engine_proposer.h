// EngineProposer: the Proposer port for integrations that share the process with the engine.

#ifndef STATE_ENGINE_APP_ENGINE_PROPOSER_H_
#define STATE_ENGINE_APP_ENGINE_PROPOSER_H_

#include <utility>

#include "engine/engine.h"
#include "ports/proposer.h"

namespace state_engine {

class EngineProposer final : public Proposer {
 public:
  // `engine` outlives the proposer.
  explicit EngineProposer(Engine& engine) : engine_(engine) {}

  boost::asio::awaitable<Result<std::optional<MutationResult>>> propose(
      Proposal proposal) override {
    Origin origin;  // named: g++ 12 destroys temporaries of a co_await expression twice
    MutationResult result = co_await engine_.propose(std::move(proposal), std::move(origin));
    co_return std::optional<MutationResult>(std::move(result));
  }

 private:
  Engine& engine_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ENGINE_PROPOSER_H_
