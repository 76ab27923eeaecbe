// Integers stay exact: an increment becomes a double only if one of the two has a fraction or is
// past all integers. 1e16 is an integer: it is stored as one and must count as one before, too.

#include "core/apply.h"

#include <cmath>

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine {
namespace {

using Outcome = std::variant<Applied, ApplyFault>;

Outcome mismatch(std::string_view op, std::string_view wanted, std::string_view where,
                 const json::Value& seen) {
  return ApplyFault{
      RejectionCode::kTypeMismatch,
      fmt::format("{} needs {} as {}, found {}", op, wanted, where, json::type_name(seen))};
}

// Integral, but past what counts: stored, it reads back as an unsigned integer.
bool is_beyond_int64(const json::Value& value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (value.is_uint64()) return !json::as_int64(value);
  return value.is_double() && value.get_double() >= kTwoTo63 && value.get_double() < 2 * kTwoTo63;
}

Outcome increment(const json::Value* current, const json::Value& by) {
  if (!by.is_number()) return mismatch("increment", "a number", "value", by);
  static const json::Value kZero = std::int64_t{0};
  const json::Value& from = current != nullptr ? *current : kZero;
  if (!from.is_number()) return mismatch("increment", "a number", "current value", from);
  const auto a = json::as_int64(from);
  const auto b = json::as_int64(by);
  if ((a || is_beyond_int64(from)) && (b || is_beyond_int64(by))) {
    std::int64_t sum = 0;
    if (!a || !b || __builtin_add_overflow(*a, *b, &sum)) {
      return ApplyFault{RejectionCode::kTypeMismatch,
                        "increment would overflow a 64-bit integer; set the value instead"};
    }
    return Applied{false, sum};
  }
  const double sum = from.to_number<double>() + by.to_number<double>();
  if (!std::isfinite(sum)) {
    return ApplyFault{RejectionCode::kTypeMismatch, "increment would overflow a double"};
  }
  return Applied{false, sum};
}

Outcome push(const json::Value* current, const json::Value& element) {
  if (current == nullptr) return Applied{false, json::Array{element}};
  if (!current->is_array()) return mismatch("push", "an array", "current value", *current);
  json::Array array = current->get_array();
  array.push_back(element);
  return Applied{false, std::move(array)};
}

// RFC 7396, section 2.
void merge_patch(json::Value& target, const json::Value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::Object{};
  json::Object& object = target.get_object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      object.erase(name);
    } else {
      merge_patch(object[name], value);
    }
  }
}

Outcome merge(const json::Value* current, const json::Value& patch) {
  if (!patch.is_object()) return mismatch("merge", "an object", "value", patch);
  if (current != nullptr && !current->is_object()) {
    return mismatch("merge", "an object", "current value", *current);
  }
  json::Value target = current != nullptr ? *current : json::Value(json::Object{});
  merge_patch(target, patch);
  return Applied{false, std::move(target)};
}

int depth_of(const json::Value& value) {
  int deepest = 0;
  if (value.is_array()) {
    for (const auto& item : value.get_array()) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }
  if (value.is_object()) {
    for (const auto& member : value.get_object()) {
      deepest = std::max(deepest, depth_of(member.value()));
    }
    return deepest + 1;
  }
  return 0;
}

// Values in `value`, itself included, as the JSON reader counts them.
std::size_t nodes_of(const json::Value& value) {
  std::size_t nodes = 1;
  if (value.is_array()) {
    for (const auto& item : value.get_array()) nodes += nodes_of(item);
  } else if (value.is_object()) {
    for (const auto& member : value.get_object()) nodes += nodes_of(member.value());
  }
  return nodes;
}

// A value that grows by push or merge must stay within what one proposal could have set.
Outcome within_limits(Outcome outcome) {
  const auto* applied = std::get_if<Applied>(&outcome);
  if (applied == nullptr || !applied->value.is_structured()) return outcome;
  const std::size_t bytes = json::written_bytes(applied->value);
  if (bytes > limits::kValueBytesMax) {
    return ApplyFault{RejectionCode::kTooLarge,
                      fmt::format("the resulting value has {} bytes; at most {} are allowed", bytes,
                                  limits::kValueBytesMax)};
  }
  if (const int depth = depth_of(applied->value); depth > limits::kJsonDepthMax) {
    return ApplyFault{RejectionCode::kTooLarge,
                      fmt::format("the resulting value is {} levels deep; at most {} are allowed",
                                  depth, limits::kJsonDepthMax)};
  }
  if (const std::size_t nodes = nodes_of(applied->value); nodes > limits::kJsonNodesMax) {
    return ApplyFault{RejectionCode::kTooLarge,
                      fmt::format("the resulting value holds {} values; at most {} are allowed",
                                  nodes, limits::kJsonNodesMax)};
  }
  return outcome;
}

}  // namespace

std::variant<Applied, ApplyFault> apply_op(Op op, const json::Value* current,
                                           const std::optional<json::Value>& operand) {
  switch (op) {
    case Op::kSet:
      SE_ASSERT(operand.has_value());
      return within_limits(Applied{false, *operand});
    case Op::kDelete:
      if (current == nullptr) {
        return ApplyFault{RejectionCode::kNotFound, "nothing to delete: the key has no value"};
      }
      return Applied{true, nullptr};
    case Op::kExpire:
      return Applied{true, nullptr};
    case Op::kIncrement:
      SE_ASSERT(operand.has_value());
      return increment(current, *operand);
    case Op::kPush:
      SE_ASSERT(operand.has_value());
      return within_limits(push(current, *operand));
    case Op::kMerge:
      SE_ASSERT(operand.has_value());
      return within_limits(merge(current, *operand));
  }
  SE_UNREACHABLE();
}

}  // namespace state_engine
