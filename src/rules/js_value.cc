// Views of JSON values, and the arena: bump allocation with a budget, freed as a whole.

#include "rules/js_value.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "rules/fault.h"

namespace state_engine::logic {

JsValue JsValue::object(std::span<const ArenaMember> members) {
  JsValue result(Kind::kArenaObject, members.size());
  result.pointer_ = members.data();
  return result;
}

void Arena::charge(std::size_t bytes) {
  if (bytes > bytes_left_) {
    fail(EvalError::Kind::kBudget, "the evaluation needs more memory than its budget");
  }
  bytes_left_ -= bytes;
}

void* Arena::allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 16;
  constexpr std::size_t kChunkBytes = 16 * 1024;
  // Rounding up from at least one byte also gives empty arrays an identity of their own.
  const std::size_t rounded =
      (std::max<std::size_t>(bytes, 1) + kAlignment - 1) & ~(kAlignment - 1);
  charge(rounded);
  if (rounded > room_) {
    const std::size_t chunk = std::max(rounded, kChunkBytes);
    chunks_.emplace_back(new std::byte[chunk]);
    next_ = chunks_.back().get();
    room_ = chunk;
  }
  void* result = next_;
  next_ += rounded;
  room_ -= rounded;
  return result;
}

std::span<JsValue> Arena::make_values(std::size_t count) {
  auto* values = static_cast<JsValue*>(allocate(count * sizeof(JsValue)));
  std::uninitialized_default_construct_n(values, count);
  return {values, count};
}

std::string_view Arena::copy(std::string_view text) {
  auto* bytes = static_cast<char*>(allocate(text.size()));
  if (!text.empty()) std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

}  // namespace state_engine::logic
