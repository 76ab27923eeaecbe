// Pieces that the codecs of several messages share; for src/wire only.

#ifndef STATE_ENGINE_WIRE_FIELDS_H_
#define STATE_ENGINE_WIRE_FIELDS_H_

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "core/types.h"
#include "wire/field_reader.h"

namespace state_engine::wire {

// Seconds as a JSON number: 3000 ms is 3, 1500 ms is 1.5.
json::Value encode_seconds(std::chrono::milliseconds duration);

// Writers. The put_optional forms leave absent and empty values out.
template <typename T>
void put(json::Object& out, std::string_view name, T&& value) {
  if constexpr (std::is_convertible_v<T, std::string_view>) {
    const std::string_view text = value;
    out.emplace(name, boost::json::string_view(text.data(), text.size()));
  } else {
    out.emplace(name, json::Value(std::forward<T>(value)));
  }
}
inline void put(json::Object& out, std::string_view name, Timestamp time) {
  put(out, name, format_rfc3339(time));
}
inline void put_optional(json::Object& out, std::string_view name, const std::string& text) {
  if (!text.empty()) put(out, name, text);
}
inline void put_optional(json::Object& out, std::string_view name,
                         const std::optional<std::int64_t>& number) {
  if (number) put(out, name, *number);
}
inline void put_optional(json::Object& out, std::string_view name,
                         const std::optional<Timestamp>& time) {
  if (time) put(out, name, *time);
}

// id to traceparent of a proposal, as both MutationProposal and MutationLogEntry begin.
void put_proposal(json::Object& out, const Proposal& proposal);

// The field `op`; a fault unless it names an operation. `expire` is one of those only where
// `allow_expire` says so.
std::optional<Op> read_op(FieldReader& fields, bool allow_expire);

// `name` and its companion `nameJson`, base64 of JSON text, which wins. Missing: std::nullopt.
std::optional<json::Value> read_value(FieldReader& fields, std::string_view name);

// `status`, `code` and `error`, as the results and the log entries have them.
struct Verdict {
  bool accepted = false;
  RejectionCode code = RejectionCode::kNone;
  std::string error;
};
Verdict read_verdict(FieldReader& fields);
void put_verdict(json::Object& out, const Verdict& verdict);

// The object that `value` must be. Errors: kInvalidArgument naming `subject`.
Result<const json::Object*> as_object(const json::Value& value, std::string_view subject);

// Decodes each element of the array `name` with `decode`; faults carry the element's place.
template <typename T>
std::vector<T> read_list(FieldReader& fields, std::string_view name,
                         Result<T> (*decode)(const json::Value&)) {
  std::vector<T> out;
  const json::Array* const array = fields.array(name);
  if (array == nullptr) return out;
  out.reserve(array->size());
  for (std::size_t i = 0; i < array->size(); ++i) {
    auto element = decode((*array)[i]);
    if (element.ok()) {
      out.push_back(std::move(element).value());
    } else {
      fields.add_fault(std::string{name} + "[" + std::to_string(i) +
                       "]: " + element.error().message);
    }
  }
  return out;
}

template <typename T>
json::Array encode_list(const std::vector<T>& list, json::Object (*encode)(const T&)) {
  json::Array out;
  out.reserve(list.size());
  for (const T& element : list) out.emplace_back(encode(element));
  return out;
}

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_FIELDS_H_
