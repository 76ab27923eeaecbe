// ProposalLane: calls of Engine::propose_in_order that keep one order.
//
// Once something is refused for now (`unavailable`, `rate_limited`), what follows in later calls is
// answered `unavailable`: all of it if a whole call was refused, else that of the same key. The
// caller then waits for all calls under way, and sends what was refused again, in its order, in a
// new lane.
//
// Threads: made by anybody, then the engine's.

#ifndef STATE_ENGINE_ENGINE_PROPOSAL_LANE_H_
#define STATE_ENGINE_ENGINE_PROPOSAL_LANE_H_

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

namespace state_engine {

class ProposalLane {
 private:
  friend class Engine;
  bool closed_ = false;
  // What was refused, by key, and for how long.
  std::unordered_map<std::string, std::optional<std::chrono::milliseconds>> refused_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_PROPOSAL_LANE_H_
