#include "core/types.h"

#include "base/assert.h"

namespace state_engine {

std::string_view to_string(Op op) {
  switch (op) {
    case Op::kSet:
      return "set";
    case Op::kDelete:
      return "delete";
    case Op::kIncrement:
      return "increment";
    case Op::kPush:
      return "push";
    case Op::kMerge:
      return "merge";
    case Op::kExpire:
      return "expire";
  }
  SE_UNREACHABLE();
}

std::optional<Op> parse_op(std::string_view text) {
  for (const Op op : {Op::kSet, Op::kDelete, Op::kIncrement, Op::kPush, Op::kMerge, Op::kExpire}) {
    if (to_string(op) == text) return op;
  }
  return std::nullopt;
}

}  // namespace state_engine
