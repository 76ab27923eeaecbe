// What the engine answers when it is asked why.

#ifndef STATE_ENGINE_ENGINE_EXPLANATION_H_
#define STATE_ENGINE_ENGINE_EXPLANATION_H_

#include <string>
#include <vector>

#include "core/types.h"
#include "ports/state_store.h"
#include "rules/explain.h"

namespace state_engine {

// One mutation with what it emitted.
struct ExplainedMutation {
  LogEntry entry;
  std::vector<OutboxRow> effects;
};

// Why something is as it is: causes oldest first, the mutation asked about, what it set off.
struct Explanation {
  std::vector<ExplainedMutation> causes;
  ExplainedMutation subject;
  std::vector<ExplainedMutation> consequences;
  std::vector<LogEntry> rejected_since;  // by key only: refused attempts after the subject
  SnapshotPtr current;                   // of the subject's key; null if absent
};

// What one rule made of one mutation of the past.
struct RuleVerdict {
  std::string rule_id;
  std::string rule_revision;    // of the rules that were in force
  std::string not_a_candidate;  // why the rule was not run at all; empty = it was
  // What the log says: the stored outcome.
  RuleRecord stored;
  // The condition, evaluated again over the logged values. Empty if not_a_candidate.
  logic::Explanation tree;
  // The tree comes to the stored outcome. False would be a defect of the engine or of the log.
  bool agrees = true;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_EXPLANATION_H_
