// What an engine is made of, and what it decides by.

#ifndef STATE_ENGINE_ENGINE_ENGINE_PARTS_H_
#define STATE_ENGINE_ENGINE_ENGINE_PARTS_H_

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "core/policy.h"
#include "engine/observer.h"
#include "ports/effect_sink.h"
#include "ports/state_store.h"
#include "ports/timer.h"
#include "rules/rule_set.h"

namespace state_engine {

struct EngineDependencies {
  boost::asio::any_io_executor strand;  // a strand; the engine's alone
  StateStore& store;
  EffectSink& sink;
  const Clock& clock;
  Random& random;
  Log& log;
  EngineObserver& observer;
  Timer& expiry_timer;
  Timer& outbox_timer;
  // Called once, on the strand, when the store must not be used any more.
  std::function<void(std::string message)> on_fatal;
};

// A policy and the rules that belong to it, validated.
struct EngineConfig {
  std::shared_ptr<const Policy> policy;
  RuleSetPtr rules;
  std::string rules_source;  // canonical JSON
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_ENGINE_PARTS_H_
