// A verdict is told in the order of the questions: was the rule run, did it match, which node
// decided.

#include "mcp/state/verdict_text.h"

#include <fmt/format.h>

namespace state_engine::mcp {

std::string verdict_text(const RuleVerdict& verdict) {
  if (!verdict.not_a_candidate.empty()) {
    return fmt::format("rule '{}' was no candidate because {}\n", verdict.rule_id,
                       verdict.not_a_candidate);
  }
  const RuleRecord& stored = verdict.stored;
  std::string text =
      fmt::format("rule '{}' {}", verdict.rule_id, stored.matched ? "matched" : "did not match");
  if (!stored.held.empty()) {
    text += ", but did not fire: " + stored.held;
  } else if (stored.matched) {
    text += fmt::format(": {} effect(s), {} derived mutation(s)", stored.effects, stored.derived);
  }
  if (!stored.error.empty()) text += "; it failed: " + stored.error;
  text += '\n';
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

}  // namespace state_engine::mcp
