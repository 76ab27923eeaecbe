// The two ways of an integration to the engine: in its process, and over the bus.

#ifndef STATE_ENGINE_APP_PROPOSERS_H_
#define STATE_ENGINE_APP_PROPOSERS_H_

#include <string>

#include "app/mutation_intake.h"
#include "engine/engine.h"
#include "ports/bus.h"
#include "ports/proposer.h"

namespace state_engine {

// Proposes to the engine of this process as `actor`, whatever a proposal says. `rate_limited` and
// `unavailable` are errors here: nothing was decided. The engine outlives it.
class EngineProposer final : public Proposer {
 public:
  EngineProposer(Engine& engine, std::string actor, std::string principal)
      : engine_(engine), actor_(std::move(actor)), origin_{std::move(principal), true} {}

  boost::asio::awaitable<Result<std::optional<MutationResult>>> propose(Proposal proposal) override;

 private:
  Engine& engine_;
  const std::string actor_;
  const Origin origin_;
};

// Publishes proposals of `actor` on the mutation subject; done when a stream has them. `actors`
// must be what the engine's intake expects. The bus outlives it. Awaited on a strand.
class BusProposer final : public Proposer {
 public:
  BusProposer(Bus& bus, std::string actor, BusActors actors = BusActors::kBody)
      : bus_(bus), actor_(std::move(actor)), actors_(actors) {}

  boost::asio::awaitable<Result<std::optional<MutationResult>>> propose(Proposal proposal) override;

 private:
  Bus& bus_;
  const std::string actor_;
  const BusActors actors_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_PROPOSERS_H_
