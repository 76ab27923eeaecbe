// Views of JSON values, and the arena: bump allocation with a budget, freed as a whole.

#include "rules/js_value.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "rules/fault.h"

namespace state_engine::logic {

JsValue JsValue::of(const json::Value& value) {
  switch (value.kind()) {
    case boost::json::kind::null:
      return null();
    case boost::json::kind::bool_:
      return boolean(value.get_bool());
    case boost::json::kind::int64:
      return number(static_cast<double>(value.get_int64()));
    case boost::json::kind::uint64:
      return number(static_cast<double>(value.get_uint64()));
    case boost::json::kind::double_:
      return number(value.get_double());
    case boost::json::kind::string: {
      const auto& text = value.get_string();
      return string({text.data(), text.size()});
    }
    case boost::json::kind::array: {
      JsValue result(Kind::kJsonArray);
      result.pointer_ = &value.get_array();
      return result;
    }
    case boost::json::kind::object:
      return of(value.get_object());
  }
  SE_UNREACHABLE();
}

JsValue JsValue::object(std::span<const ArenaMember> members) {
  JsValue result(Kind::kArenaObject);
  result.size_ = static_cast<std::uint32_t>(members.size());
  result.pointer_ = members.data();
  return result;
}

std::size_t JsValue::array_size() const {
  if (kind_ == Kind::kArenaArray) return size_;
  return static_cast<const json::Array*>(pointer_)->size();
}

JsValue JsValue::element(std::size_t index) const {
  if (kind_ == Kind::kArenaArray) return static_cast<const JsValue*>(pointer_)[index];
  return of((*static_cast<const json::Array*>(pointer_))[index]);
}

std::span<const ArenaMember> JsValue::members() const {
  return {static_cast<const ArenaMember*>(pointer_), size_};
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
