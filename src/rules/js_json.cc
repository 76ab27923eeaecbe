// One walk over a result, twice: into text, and into a JSON value.

#include "rules/js_json.h"

#include <array>
#include <cmath>

#include "base/assert.h"
#include "rules/fault.h"
#include "rules/js_string.h"
#include "rules/json_logic.h"

namespace state_engine::logic {
namespace {

constexpr int kDepthMax = 256;
constexpr std::size_t kNodeBytes = 16;

using Kind = JsValue::Kind;

void check_cost(int depth, Arena& arena) {
  if (depth > kDepthMax) fail(EvalError::Kind::kBudget, "the result nests too deeply");
  arena.charge(kNodeBytes);
}

// The members of any object, in its own order.
template <typename Visit>
void for_each_member(const JsValue& object, Arena& arena, Visit visit) {
  if (object.kind() == Kind::kJsonObject) {
    for (const auto& member : object.json_object()) {
      visit(std::string_view(member.key().data(), member.key().size()),
            JsValue::of(member.value()));
    }
  } else if (object.kind() == Kind::kArenaObject) {
    for (const ArenaMember& member : object.members()) visit(member.name, member.value);
  } else {
    for (const ArenaMember& member : object.as_data_object().members(arena)) {
      visit(member.name, member.value);
    }
  }
}

void write_text(std::string& out, std::string_view text, Arena& arena) {
  arena.charge(text.size());
  if (!has_surrogate(text)) {
    json::write_string_to(out, text);
    return;
  }
  out.push_back('"');
  std::size_t start = 0;
  const auto flush = [&](std::size_t end) {
    std::string quoted;
    json::write_string_to(quoted, text.substr(start, end - start));
    out.append(quoted, 1, quoted.size() - 2);
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (!is_surrogate(c)) continue;
    flush(begin);
    start = at;
    constexpr std::string_view kHex = "0123456789abcdef";
    out += "\\u";
    for (unsigned shift = 16; shift > 0;) {
      shift -= 4;
      out.push_back(kHex[(c >> shift) & 0xFU]);
    }
  }
  flush(text.size());
  out.push_back('"');
}

void write_value(std::string& out, const JsValue& value, Arena& arena, int depth) {
  check_cost(depth, arena);
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBoolean:
      out += value.as_boolean() ? "true" : "false";
      return;
    case Kind::kNumber:
      out += std::isfinite(value.as_number()) ? json::number_to_string(value.as_number()) : "null";
      return;
    case Kind::kString:
      write_text(out, value.as_string(), arena);
      return;
    case Kind::kJsonArray:
    case Kind::kArenaArray:
      out.push_back('[');
      for (std::size_t i = 0; i < value.array_size(); ++i) {
        if (i > 0) out.push_back(',');
        write_value(out, value.element(i), arena, depth + 1);
      }
      out.push_back(']');
      return;
    default:
      break;
  }
  out.push_back('{');
  bool first = true;
  for_each_member(value, arena, [&](std::string_view name, const JsValue& member) {
    if (member.is_undefined()) return;
    if (!first) out.push_back(',');
    first = false;
    write_text(out, name, arena);
    out.push_back(':');
    write_value(out, member, arena, depth + 1);
  });
  out.push_back('}');
}

json::Value number_value(double number) {
  constexpr double kExact = 9007199254740992.0;
  if (!std::isfinite(number)) return nullptr;
  if (std::trunc(number) == number && std::fabs(number) <= kExact) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}

json::Value make_value(const JsValue& value, Arena& arena, int depth) {
  check_cost(depth, arena);
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNull:
      return nullptr;
    case Kind::kBoolean:
      return value.as_boolean();
    case Kind::kNumber:
      return number_value(value.as_number());
    case Kind::kString:
      arena.charge(value.as_string().size());
      return json::Value(to_utf8(value.as_string()));
    case Kind::kJsonArray:
    case Kind::kArenaArray: {
      json::Array array;
      array.reserve(value.array_size());
      for (std::size_t i = 0; i < value.array_size(); ++i) {
        array.push_back(make_value(value.element(i), arena, depth + 1));
      }
      return array;
    }
    default:
      break;
  }
  json::Object object;
  for_each_member(value, arena, [&](std::string_view name, const JsValue& member) {
    if (member.is_undefined()) return;
    object.emplace(to_utf8(name), make_value(member, arena, depth + 1));
  });
  return object;
}

}  // namespace

std::optional<std::string> stringify(const JsValue& value, Arena& arena) {
  if (value.is_undefined()) return std::nullopt;
  std::string out;
  write_value(out, value, arena, 0);
  return out;
}

std::optional<json::Value> to_json(const JsValue& value, Arena& arena) {
  if (value.is_undefined()) return std::nullopt;
  return make_value(value, arena, 0);
}

}  // namespace state_engine::logic
