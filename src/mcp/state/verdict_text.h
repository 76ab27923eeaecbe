// What one rule made of one mutation, in sentences and as data: the same for MCP and CLI.

#ifndef STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_
#define STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_

#include <string>

#include "base/json.h"
#include "engine/engine.h"

namespace state_engine::mcp {

std::string verdict_text(const RuleVerdict& verdict);

// {ruleId, ruleRevision, candidate, notACandidate?, matched?, agrees?, tree?}.
json::Object encode_verdict(const RuleVerdict& verdict);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_VERDICT_TEXT_H_
