// JSON text, read and written exactly.
//
// Boost.JSON supplies the value type only: its own parser and serializer are not exact for doubles
// (docs/adr/0003). Reading refuses duplicate keys, bad UTF-8 and anything over the limits while it
// parses, so that hostile text costs little. Writing uses the ECMAScript number layout: shortest
// digits that read back to the same double, "1" for 1.0, "1e+21", "1e-7".

#ifndef STATE_ENGINE_BASE_JSON_H_
#define STATE_ENGINE_BASE_JSON_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/limits.h"
#include "base/result.h"

namespace state_engine::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

struct ParseLimits {
  std::size_t bytes_max = limits::kProposalBytesMax;
  int depth_max = limits::kJsonDepthMax;
  std::size_t nodes_max = limits::kJsonNodesMax;
  std::size_t string_bytes_max = limits::kJsonStringBytesMax;
};

// Limits for text that this program wrote itself (store rows, rule sources): only depth is bounded.
ParseLimits trusted_limits();

// Reads one JSON text (RFC 8259, UTF-8, no byte order mark; white space around it allowed).
// Integers that fit int64 become int64, then uint64, all other numbers the nearest double; "-0" is
// the double -0.0. A lone surrogate escape ("\ud800") is refused: it is no character.
// Errors: kInvalidArgument with the byte offset and what was expected; kResourceExhausted for text
// over a limit, with limit and actual. Cost: O(text).
Result<Value> parse(std::string_view text, const ParseLimits& parse_limits = {});

// Writes `value` compactly, object members in their order. NaN and infinities become null.
// Integral doubles between 2^53 and 2^64 are written with all their digits, so that
// equal(parse(write(v)), v) holds for every v without NaN and infinities. REQUIRES: strings are
// UTF-8.
std::string write(const Value& value);
std::string write(const Object& object);
void write_to(std::string& out, const Value& value);
void write_to(std::string& out, const Object& object);

// The canonical form: members sorted by key bytes, compact. Equal values (see equal) give equal
// text: 1 and 1.0 are both "1".
std::string write_canonical(const Value& value);

// Writes `value` indented by two spaces, for people.
std::string write_pretty(const Value& value);

// Appends `text` as a JSON string with its quotes. REQUIRES: text is UTF-8.
void write_string_to(std::string& out, std::string_view text);

// The ECMAScript Number::toString layout of a double ("NaN", "Infinity" included; -0 is "0").
std::string number_to_string(double number);

// JSON equality: numbers by mathematical value, whatever their C++ kind; objects regardless of
// member order. Cost: O(smaller value).
bool equal(const Value& a, const Value& b);

// The bytes that write() would produce. Cost: O(value).
std::size_t written_bytes(const Value& value);

// True if `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Member access that tells absent from wrong type.
const Value* find(const Object& object, std::string_view name);
std::optional<std::string> find_string(const Object& object, std::string_view name);
std::optional<std::int64_t> find_int(const Object& object, std::string_view name);

// The integer that `value` holds: any integral number in range, whatever its C++ kind.
std::optional<std::int64_t> as_int64(const Value& value);

// "null", "boolean", "number", "string", "array", "object".
std::string_view type_name(const Value& value);

}  // namespace state_engine::json

#endif  // STATE_ENGINE_BASE_JSON_H_
