// JsValue: a value while a condition is evaluated, with what JSON cannot hold.
//
// json-logic-js computes with JavaScript values: undefined, NaN, infinities, -0 and unpaired
// surrogates exist, and arrays and objects compare by identity. A JsValue is 16 bytes and never
// owns anything: strings and containers point into the data, the rule or an Arena.
//
// Strings are WTF-8: UTF-8 in which an unpaired surrogate is written as its own three bytes, and a
// pair always as four. Equal strings therefore have equal bytes.
//
// Ownership: whatever a JsValue points to outlives it. The Arena of an evaluation owns temporaries.

#ifndef STATE_ENGINE_RULES_JS_VALUE_H_
#define STATE_ENGINE_RULES_JS_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::logic {

class Arena;
class DataObject;
class JsValue;

// One member of an object made during evaluation (the scope of `reduce`).
struct ArenaMember;

class JsValue {
 public:
  enum class Kind : std::uint8_t {
    kUndefined,
    kNull,
    kBoolean,
    kNumber,
    kString,
    kJsonArray,    // in the data or the rule
    kArenaArray,   // made during evaluation
    kJsonObject,   // in the data or the rule
    kArenaObject,  // made during evaluation
    kDataObject,   // not JSON: resolves its members itself
  };

  constexpr JsValue() : JsValue(Kind::kUndefined) {}

  static constexpr JsValue undefined() { return {}; }
  static constexpr JsValue null() { return JsValue(Kind::kNull); }
  static constexpr JsValue boolean(bool value) {
    JsValue result(Kind::kBoolean);
    result.word_ = value ? 1 : 0;
    return result;
  }
  static constexpr JsValue number(double value) {
    JsValue result(Kind::kNumber);
    result.number_ = value;
    return result;
  }
  static constexpr JsValue string(std::string_view text) {
    JsValue result(Kind::kString, text.size());
    result.pointer_ = text.data();
    return result;
  }
  // The elements lie in an arena; their address is the identity of the array.
  static JsValue array(std::span<const JsValue> elements) {
    JsValue result(Kind::kArenaArray, elements.size());
    result.pointer_ = elements.data();
    return result;
  }
  static JsValue object(std::span<const ArenaMember> members);
  static JsValue data_object(const DataObject& object) {
    JsValue result(Kind::kDataObject);
    result.pointer_ = &object;
    return result;
  }
  // A view of `value`, which outlives it. Integers become doubles, as in JavaScript.
  static JsValue of(const json::Value& value) {
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
    return undefined();
  }
  static JsValue of(const json::Object& object) {
    JsValue result(Kind::kJsonObject);
    result.pointer_ = &object;
    return result;
  }

  Kind kind() const { return static_cast<Kind>(tag_ & kKindMask); }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_nullish() const { return kind() <= Kind::kNull; }
  bool is_boolean() const { return kind() == Kind::kBoolean; }
  bool is_number() const { return kind() == Kind::kNumber; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_array() const { return kind() == Kind::kJsonArray || kind() == Kind::kArenaArray; }
  bool is_object() const { return kind() >= Kind::kJsonObject; }  // not an array
  bool is_container() const { return kind() >= Kind::kJsonArray; }

  // REQUIRES for each: the value is of that kind.
  bool as_boolean() const { return word_ != 0; }
  double as_number() const { return number_; }
  std::string_view as_string() const { return {static_cast<const char*>(pointer_), size()}; }
  std::size_t array_size() const {
    if (kind() == Kind::kArenaArray) return size();
    return static_cast<const json::Array*>(pointer_)->size();
  }
  // REQUIRES: index < array_size().
  JsValue element(std::size_t index) const {
    if (kind() == Kind::kArenaArray) return static_cast<const JsValue*>(pointer_)[index];
    return of((*static_cast<const json::Array*>(pointer_))[index]);
  }
  inline std::span<const ArenaMember> members() const;
  const json::Object& json_object() const { return *static_cast<const json::Object*>(pointer_); }
  const DataObject& as_data_object() const { return *static_cast<const DataObject*>(pointer_); }

  // What `===` compares of containers. REQUIRES: both are containers.
  bool same_identity(const JsValue& other) const {
    return kind() == other.kind() && pointer_ == other.pointer_;
  }

 private:
  static constexpr std::uint64_t kKindMask = 0xff;
  static constexpr int kSizeShift = 32;

  constexpr explicit JsValue(Kind kind, std::size_t size = 0)
      : tag_(static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(size) << kSizeShift),
        word_(0) {}

  // Bytes of a string, elements or members of an arena container.
  std::size_t size() const { return tag_ >> kSizeShift; }

  // Two whole words, so that a value travels in two registers; with narrower members the compiler
  // writes it to memory in pieces and waits until it can read them as one.
  std::uint64_t tag_;  // the kind, and from kSizeShift on the size
  union {
    std::uint64_t word_;  // a boolean
    double number_;
    const void* pointer_;  // the text or the container
  };
};

static_assert(sizeof(JsValue) == 16);

struct ArenaMember {
  std::string_view name;
  JsValue value;
};

inline std::span<const ArenaMember> JsValue::members() const {
  return {static_cast<const ArenaMember*>(pointer_), size()};
}

// An object that answers look-ups without being JSON: the context of a change, the virtual `state`.
class DataObject {
 public:
  virtual ~DataObject() = default;

  // Resolves the first steps of `path`, consecutive pieces of one dotted name. Returns the value
  // (undefined = no such member) and sets `steps_used` >= 1. Temporaries go into `arena`.
  // REQUIRES: path is not empty.
  virtual JsValue resolve(std::span<const std::string_view> path, std::size_t& steps_used,
                          Arena& arena) const = 0;

  // The members as they are written when the object itself is the result. `state` has none.
  virtual std::vector<ArenaMember> members(Arena& arena) const = 0;
};

// The memory of one evaluation: grows, never frees before its end. Throws Fault (fault.h) over its
// budget. The first bytes cost no allocation.
class Arena {
 public:
  explicit Arena(std::size_t bytes_max) : bytes_left_(bytes_max) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised memory, aligned for any JsValue; distinct addresses also for 0 bytes.
  void* allocate(std::size_t bytes);
  std::span<JsValue> make_values(std::size_t count);
  std::string_view copy(std::string_view text);
  // Takes `bytes` off the budget without allocating, for text that is built elsewhere.
  void charge(std::size_t bytes);

 private:
  static constexpr std::size_t kInlineBytes = 1024;

  std::size_t bytes_left_;
  std::size_t room_ = kInlineBytes;
  std::byte* next_ = inline_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  alignas(16) std::byte inline_[kInlineBytes];
};

}  // namespace state_engine::logic

#endif  // STATE_ENGINE_RULES_JS_VALUE_H_
