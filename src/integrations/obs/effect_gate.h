// EffectGate: which egress events are carried out: those for OBS, each once, and none that is old.
//
// Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_GATE_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_GATE_H_

#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "integrations/obs/bridge.h"
#include "integrations/obs/effect_map.h"
#include "ports/bus.h"

namespace state_engine::obs {

class EffectGate {
 public:
  EffectGate(const EffectMap& map, std::chrono::milliseconds age_max, Log& log)
      : map_(map), age_max_(age_max), log_(log) {}

  struct Passed {
    EffectFate fate = EffectFate::kNotForObs;
    std::vector<Command> commands;
    std::chrono::milliseconds time_left{};  // until it would be too old
  };
  Passed pass(const BusMessage& message, Timestamp wall_now,
              std::chrono::nanoseconds monotonic_now);

 private:
  bool is_new(const std::string& id);
  bool too_many(std::size_t commands, std::chrono::nanoseconds now);

  const EffectMap& map_;
  const std::chrono::milliseconds age_max_;
  Log& log_;
  std::set<std::string, std::less<>> seen_;
  std::deque<std::string> seen_order_;
  std::deque<std::chrono::nanoseconds> recent_;  // when commands passed
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_GATE_H_
