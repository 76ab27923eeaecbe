// The story of a mutation in sentences, the same for MCP, CLI and logs.

#ifndef STATE_ENGINE_MCP_STATE_EXPLAIN_TEXT_H_
#define STATE_ENGINE_MCP_STATE_EXPLAIN_TEXT_H_

#include <string>

#include "base/json.h"
#include "engine/engine.h"

namespace state_engine::mcp {

// Several lines, the oldest cause first.
std::string explain_text(const Explanation& explanation);

// The same as data; `text` included.
json::Object encode_explanation(const Explanation& explanation);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_EXPLAIN_TEXT_H_
