// Proposer: how an integration hands a proposal to the engine, wherever the engine runs.

#ifndef STATE_ENGINE_PORTS_PROPOSER_H_
#define STATE_ENGINE_PORTS_PROPOSER_H_

#include <optional>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "core/types.h"

namespace state_engine {

// Threads: propose() from any thread.
class Proposer {
 public:
  virtual ~Proposer() = default;

  // Hands `proposal` over durably. In one process with the engine: decided, with the result. Over
  // a bus: stored by the bus, and nothing is known of the outcome (nullopt).
  //
  // The same proposal may be handed over again, with the same id, after any error: the id makes
  // that harmless. Errors: kUnavailable for "not handed over, or not known"; try again later.
  virtual boost::asio::awaitable<Result<std::optional<MutationResult>>> propose(
      Proposal proposal) = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_PROPOSER_H_
