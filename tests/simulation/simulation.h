// A deterministic simulation of the engine: random clients, a store that fails, a sink that is
// away, crashes and a jumping clock, all drawn from one seed; after every step the invariants are
// checked on the raw store and against what the clients were told.
//
// Each seed also draws which kinds of faults occur at all ("swarm"), so that rare combinations of
// few faults are met as well as all of them together.

#ifndef STATE_ENGINE_TESTS_SIMULATION_SIMULATION_H_
#define STATE_ENGINE_TESTS_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <map>
#include <string>

#include "tests/simulation/invariants.h"

namespace state_engine::simulation {

struct Outcome {
  Faults faults;                     // empty: every invariant held
  std::map<std::string, int> paths;  // how often each named rare path was met
  std::string digest;                // of the final store: equal for equal seeds
};

// Runs one seed for `steps` steps, or until an invariant is broken.
Outcome simulate(std::uint64_t seed, int steps);

}  // namespace state_engine::simulation

#endif  // STATE_ENGINE_TESTS_SIMULATION_SIMULATION_H_
