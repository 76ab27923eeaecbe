// The invariants of docs/invariants.md, checked on what a store holds, without any engine code:
// the log is folded again here with apply_op and the chain is computed again.

#ifndef STATE_ENGINE_TESTS_SIMULATION_INVARIANTS_H_
#define STATE_ENGINE_TESTS_SIMULATION_INVARIANTS_H_

#include <map>
#include <string>
#include <vector>

#include "core/types.h"
#include "ports/state_store.h"

namespace state_engine::simulation {

// Everything that a store holds.
struct RawDump {
  std::vector<LogEntry> log;
  std::vector<SnapshotPtr> snapshots;
  std::vector<OutboxRow> effects;  // in any state
};

// Faults by invariant: "I2" -> what is wrong. Empty: all hold.
using Faults = std::multimap<std::string, std::string>;

// I1, I2, I3, I6, I7, I8, I10, I12, I14 and I16, as far as one dump can show them.
void check_dump(const RawDump& dump, Faults& faults);

}  // namespace state_engine::simulation

#endif  // STATE_ENGINE_TESTS_SIMULATION_INVARIANTS_H_
