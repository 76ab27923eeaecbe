// Decided: a group of proposals, decided, and what it takes to decide it again.

#ifndef STATE_ENGINE_ENGINE_DECIDED_H_
#define STATE_ENGINE_ENGINE_DECIDED_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/batch_builder.h"
#include "engine/engine.h"

namespace state_engine {

struct Engine::Decided {
  explicit Decided(DecisionEnvironment environment) : builder(std::move(environment)) {}

  BatchBuilder builder;
  std::vector<std::string> waits;           // waits of rules that the group ends
  std::optional<RateLimiter> rates_before;  // shared stores only: others decide once
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_DECIDED_H_
