// What one rule made of one mutation, in sentences and as data: the same for MCP and CLI.

#ifndef STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_
#define STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_

#include <string>

#include "base/json.h"
#include "engine/engine.h"

namespace state_engine::mcp {

std::string verdict_text(const RuleVerdict& verdict);

// {ruleId, ruleRevision, candidate, notACandidate?, matched?, held?, error?, agrees?, tree?}.
json::Object encode_verdict(const RuleVerdict& verdict);

// One of the last evaluations, with the node that decided: `value == "on" is false (...)`.
struct RecentEvaluation {
  RuleEvaluation evaluation;
  std::string because;  // empty if it cannot be told
};

// One line.
std::string recent_text(const RecentEvaluation& recent);

// {ruleId, mutationId, key, seq, at, matched, fired, effects, derived, held?, error?, because?,
// text}.
json::Object encode_recent(const RecentEvaluation& recent);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_
