// Holes are found by one walk when compiling and by the same walk when filling.

#include "rules/template.h"

#include <optional>
#include <utility>

#include "base/assert.h"
#include "rules/fault.h"
#include "rules/js_json.h"

namespace state_engine::logic {
namespace {

Status compile_holes(const json::Value& source, std::vector<Program>& holes) {
  if (const json::Value* hole = find_hole(source)) {
    Result<Program> program = Program::compile(*hole);
    if (!program.ok()) return std::move(program).error();
    holes.push_back(std::move(program).value());
    return {};
  }
  if (source.is_array()) {
    for (const json::Value& element : source.get_array()) {
      SE_RETURN_IF_ERROR(compile_holes(element, holes));
    }
  } else if (source.is_object()) {
    for (const auto& member : source.get_object()) {
      SE_RETURN_IF_ERROR(compile_holes(member.value(), holes));
    }
  }
  return {};
}

// Copies a template, taking its holes in the order in which they were compiled. Throws Fault.
class Filler {
 public:
  Filler(const std::vector<Program>& holes, JsValue data, Arena& arena, const Budget& budget)
      : holes_(holes), data_(data), arena_(arena), budget_(budget) {}

  std::optional<json::Value> fill(const json::Value& source) {
    if (find_hole(source) != nullptr) {
      SE_ASSERT(next_ < holes_.size());
      EvalResult result = holes_[next_++].evaluate(data_, arena_, budget_);
      if (!result.ok()) throw Fault{*std::move(result.error)};
      return to_json(result.value, arena_);
    }
    if (source.is_array()) {
      json::Array array;
      for (const json::Value& element : source.get_array()) {
        array.push_back(fill(element).value_or(nullptr));
      }
      return json::Value(std::move(array));
    }
    if (source.is_object()) {
      json::Object object;
      for (const auto& member : source.get_object()) {
        std::optional<json::Value> value = fill(member.value());
        if (value.has_value()) object.emplace(member.key(), *std::move(value));
      }
      return json::Value(std::move(object));
    }
    return source;
  }

 private:
  const std::vector<Program>& holes_;
  JsValue data_;
  Arena& arena_;
  const Budget& budget_;
  std::size_t next_ = 0;
};

}  // namespace

const json::Value* find_hole(const json::Value& value) {
  if (!value.is_object() || value.get_object().size() != 1) return nullptr;
  return value.get_object().if_contains("$logic");
}

Result<Template> Template::compile(const json::Value& source) {
  Template result;
  result.source_ = source;
  SE_RETURN_IF_ERROR(compile_holes(source, result.holes_));
  return result;
}

Result<json::Value> Template::fill(JsValue data, Arena& arena, const Budget& budget) const {
  if (is_constant()) return source_;
  try {
    std::optional<json::Value> value = Filler(holes_, data, arena, budget).fill(source_);
    return std::move(value).value_or(nullptr);
  } catch (const Fault& fault) {
    return invalid_argument(fault.error.message);
  }
}

}  // namespace state_engine::logic
