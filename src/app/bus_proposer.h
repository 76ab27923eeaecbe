// BusProposer: hands the proposals of an integration to an engine elsewhere, over the bus.

#ifndef STATE_ENGINE_APP_BUS_PROPOSER_H_
#define STATE_ENGINE_APP_BUS_PROPOSER_H_

#include <string>

#include "app/mutation_intake.h"
#include "ports/bus.h"
#include "ports/proposer.h"

namespace state_engine {

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

#endif  // STATE_ENGINE_APP_BUS_PROPOSER_H_
