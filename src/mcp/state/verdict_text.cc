// A verdict is told in the order of the questions: was the rule run, did it match, which node
// decided.

#include "mcp/state/verdict_text.h"

#include <fmt/format.h>

#include "engine/rule_records.h"

namespace state_engine::mcp {

std::string verdict_text(const RuleVerdict& verdict) {
  if (!verdict.not_a_candidate.empty()) {
    return fmt::format("rule '{}' was no candidate because {}\n", verdict.rule_id,
                       verdict.not_a_candidate);
  }
  RuleRecord stored = verdict.stored;
  stored.rule_id = verdict.rule_id;
  std::string text = rule_words(stored) + "\n";
  if (!verdict.agrees) {
    text += "WARNING: evaluated again the condition comes to another outcome than the stored one\n";
  }
  return text + logic::to_text(verdict.tree);
}

json::Object encode_verdict(const RuleVerdict& verdict) {
  const bool candidate = verdict.not_a_candidate.empty();
  json::Object out{{"ruleId", verdict.rule_id},
                   {"ruleRevision", verdict.rule_revision},
                   {"candidate", candidate}};
  if (!candidate) {
    out["notACandidate"] = verdict.not_a_candidate;
    return out;
  }
  out["matched"] = verdict.stored.matched;
  if (!verdict.stored.error.empty()) out["error"] = verdict.stored.error;
  if (!verdict.stored.held.empty()) out["held"] = verdict.stored.held;
  out["agrees"] = verdict.agrees;
  out["tree"] = logic::to_json(verdict.tree);
  return out;
}

std::string recent_text(const RecentEvaluation& recent) {
  const RuleEvaluation& evaluation = recent.evaluation;
  std::string text = fmt::format("{} seq {} {}: {}", format_rfc3339(evaluation.at), evaluation.seq,
                                 evaluation.key, rule_words(evaluation));
  if (!recent.because.empty()) text += "; " + recent.because;
  return text + "\n";
}

json::Object encode_recent(const RecentEvaluation& recent) {
  const RuleEvaluation& evaluation = recent.evaluation;
  json::Object out{{"ruleId", evaluation.rule_id},
                   {"mutationId", evaluation.mutation_id},
                   {"key", evaluation.key},
                   {"seq", evaluation.seq},
                   {"at", format_rfc3339(evaluation.at)},
                   {"matched", evaluation.matched},
                   {"fired", evaluation.fired},
                   {"effects", evaluation.effects},
                   {"derived", evaluation.derived}};
  if (!evaluation.held.empty()) out["held"] = evaluation.held;
  if (!evaluation.error.empty()) out["error"] = evaluation.error;
  if (!recent.because.empty()) out["because"] = recent.because;
  out["text"] = rule_words(evaluation);
  return out;
}

}  // namespace state_engine::mcp
