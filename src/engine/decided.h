// Decided: a group of proposals, decided, and what it takes to decide it again. Group: with its
// proposals and its commit.

#ifndef STATE_ENGINE_ENGINE_DECIDED_H_
#define STATE_ENGINE_ENGINE_DECIDED_H_

#include <cstddef>
#include <memory>
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

struct Engine::Group {
  std::vector<Work> works;
  std::size_t bytes = 0;
  std::shared_ptr<Decided> decided;
  EngineConfig config;                       // what it is decided by
  std::shared_ptr<const CommitBatch> batch;  // null: nothing to write
  std::optional<CommitOutcome> outcome;      // of its commit, once that has ended
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_DECIDED_H_
