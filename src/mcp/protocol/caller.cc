#include "mcp/protocol/caller.h"

#include <algorithm>

namespace state_engine::mcp {

bool Caller::has_scope(std::string_view scope) const {
  return std::any_of(scopes.begin(), scopes.end(),
                     [scope](const std::string& held) { return held == "*" || held == scope; });
}

}  // namespace state_engine::mcp
