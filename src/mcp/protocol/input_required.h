// Questions to the client in revision 2026-07-28: a result of type "input_required" lists them, and
// the client repeats its call with the answers and the state it was given.

#ifndef STATE_ENGINE_MCP_PROTOCOL_INPUT_REQUIRED_H_
#define STATE_ENGINE_MCP_PROTOCOL_INPUT_REQUIRED_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mcp/protocol/context.h"
#include "mcp/protocol/message.h"

namespace state_engine::mcp {

// Signs the state that a client carries between two rounds, so that it cannot be altered, used by
// somebody else, for another call, or late. The key lives as long as this object: after a restart
// the client starts over.
class StateSeal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  StateSeal();

  // `binding` names the caller and the call; see call_binding().
  std::string seal(const json::Object& state, std::string_view binding, TimePoint now) const;
  // The state, or nullopt if it is not ours, not for this call, or too old.
  std::optional<json::Object> open(std::string_view sealed, std::string_view binding,
                                   TimePoint now) const;

 private:
  std::string signature(std::string_view payload, std::string_view binding) const;

  std::string key_;
};

// What a sealed state is bound to: the principal, the method and what is called with what.
std::string call_binding(const Message& message, const RequestContext& context);

// Takes inputResponses and requestState of a call into the context.
std::optional<RpcError> take_input(const Message& message, const StateSeal& seal,
                                   StateSeal::TimePoint now, RequestContext& context);

// The members of the input_required result as text. REQUIRES: context.questions is not empty.
std::string input_required_members(const Message& message, const StateSeal& seal,
                                   StateSeal::TimePoint now, const RequestContext& context);

// -32021 with the capability that the client would have to declare.
RpcError missing_capability(const std::string& capability);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_INPUT_REQUIRED_H_
