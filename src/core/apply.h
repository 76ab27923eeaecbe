// apply_op: what an operation makes of a value. The single definition of all ops, used to decide,
// to fold the log and to verify it.

#ifndef STATE_ENGINE_CORE_APPLY_H_
#define STATE_ENGINE_CORE_APPLY_H_

#include <optional>
#include <string>
#include <variant>

#include "core/types.h"

namespace state_engine {

// Why an operation does not apply.
struct ApplyFault {
  RejectionCode code = RejectionCode::kNone;
  std::string message;
};

// What became of the value: gone (delete, expire) or replaced.
struct Applied {
  bool deleted = false;
  json::Value value;  // null if deleted
};

// Applies `op` with `operand` to `current` (null pointer: the key is absent).
//
// increment: integers add exactly and overflow is refused; if either is a double the sum is one.
// push: appends `operand` as one element. merge: RFC 7396 of an object with an object patch; an
// absent key counts as {}. Errors: kNotFound for delete on an absent key, kTypeMismatch, kTooLarge.
// REQUIRES: operand is present unless op is delete or expire.
std::variant<Applied, ApplyFault> apply_op(Op op, const json::Value* current,
                                           const std::optional<json::Value>& operand);

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_APPLY_H_
