// What is kept of the outcome of a rule: in the log, and for those who watch.

#ifndef STATE_ENGINE_ENGINE_RULE_RECORDS_H_
#define STATE_ENGINE_ENGINE_RULE_RECORDS_H_

#include <string>
#include <vector>

#include "base/limits.h"
#include "core/types.h"
#include "engine/recent_rules.h"
#include "rules/rule_set.h"

namespace state_engine {

inline RuleRecord to_record(const RuleOutcome& outcome) {
  RuleRecord record;
  record.rule_id = outcome.rule_id;
  record.rule_hash = outcome.rule_hash;
  record.matched = outcome.matched;
  record.effects = static_cast<int>(outcome.effects.size());
  record.derived = static_cast<int>(outcome.derived.size());
  record.reads = outcome.reads;
  record.error = outcome.error;
  record.held = outcome.held;
  return record;
}

inline RuleEvaluation to_evaluation(const LogEntry& entry, std::string_view rule_id,
                                    const RuleOutcome& outcome) {
  RuleEvaluation evaluation;
  evaluation.rule_id = rule_id;
  evaluation.mutation_id = entry.proposal.id;
  evaluation.key = entry.proposal.key;
  evaluation.seq = entry.seq;
  evaluation.at = entry.committed_at;
  evaluation.matched = outcome.matched;
  evaluation.fired = outcome.fired;
  evaluation.effects = static_cast<int>(outcome.effects.size());
  evaluation.derived = static_cast<int>(outcome.derived.size());
  evaluation.held = outcome.held;
  evaluation.error = outcome.error;
  return evaluation;
}

// What became of a rule, in the words that explain, the CLI and the process log share: "rule 'r'
// matched: 1 effect(s), 0 derived mutation(s)".
inline std::string rule_words(const RuleRecord& record) {
  const std::string name = record.rule_id.empty() ? "rules" : "rule '" + record.rule_id + "'";
  const bool acted = record.effects > 0 || record.derived > 0;
  if (!record.error.empty()) return name + " failed: " + record.error;
  if (!record.held.empty()) {
    return name + (record.matched ? " matched" : " does not match") +
           ", but did not fire: " + record.held;
  }
  if (!record.matched && !acted) return name + " did not match";
  return name + (record.matched ? " matched" : " no longer matches and fired") + ": " +
         std::to_string(record.effects) + " effect(s), " + std::to_string(record.derived) +
         " derived mutation(s)";
}

inline std::string rule_words(const RuleEvaluation& evaluation) {
  RuleRecord record;
  record.rule_id = evaluation.rule_id;
  record.matched = evaluation.matched;
  record.effects = evaluation.effects;
  record.derived = evaluation.derived;
  record.error = evaluation.error;
  record.held = evaluation.held;
  std::string words = rule_words(record);
  // A rule on fall without actions has nothing else to show for it.
  if (evaluation.fired && !evaluation.matched && record.effects + record.derived == 0) {
    words = "rule '" + record.rule_id + "' no longer matches and fired";
  }
  return words;
}

// Gathers what one change made rules do; of those that did not fire no more than are kept anyway.
class EvaluationCollector final : public EvaluationSink {
 public:
  EvaluationCollector(const LogEntry& entry, std::vector<RuleEvaluation>& out)
      : entry_(entry), out_(out) {}

  void on_evaluation(const Rule& rule, const RuleOutcome& outcome) override {
    if (!outcome.fired && ++not_fired_ > limits::kRecentRules) return;
    out_.push_back(to_evaluation(entry_, rule.id, outcome));
  }

 private:
  const LogEntry& entry_;
  std::vector<RuleEvaluation>& out_;
  std::size_t not_fired_ = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_RULE_RECORDS_H_
