// Fault: how an evaluation ends early. Thrown and caught inside src/rules only.

#ifndef STATE_ENGINE_RULES_FAULT_H_
#define STATE_ENGINE_RULES_FAULT_H_

#include <string>
#include <utility>

#include "rules/json_logic.h"

namespace state_engine::logic {

struct Fault {
  EvalError error;
};

[[noreturn]] inline void fail(EvalError::Kind kind, std::string message) {
  throw Fault{{kind, std::move(message)}};
}

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_FAULT_H_
