// A set is the common case and costs one look-up and one copy of text; all else goes through
// apply_op, as in the engine.

#include "app/log_fold.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/apply.h"

namespace state_engine {

json::Value LogFold::Value::get() const {
  if (parsed) return *parsed;
  auto value = json::parse(text, json::trusted_limits());
  return value.ok() ? std::move(*value) : json::Value(nullptr);
}

bool LogFold::apply(Op op, std::string_view key, std::string_view value, std::int64_t version) {
  auto found = values_.find(key);
  if (op == Op::kSet) {
    if (value.empty()) return false;
    if (found == values_.end()) found = values_.try_emplace(std::string(key)).first;
    found->second.text = value;
    found->second.parsed.reset();
    found->second.version = version;
    return true;
  }
  std::optional<json::Value> proposed;
  if (!value.empty()) {
    auto parsed = json::parse(value, json::trusted_limits());
    if (!parsed.ok()) return false;
    proposed = std::move(*parsed);
  }
  std::optional<json::Value> current;
  if (found != values_.end()) current = found->second.get();
  auto outcome = apply_op(op, current ? &*current : nullptr, proposed);
  auto* const applied = std::get_if<Applied>(&outcome);
  if (applied == nullptr) return false;
  if (applied->deleted) {
    if (found != values_.end()) values_.erase(found);
    return true;
  }
  if (found == values_.end()) found = values_.try_emplace(std::string(key)).first;
  found->second.parsed = std::move(applied->value);
  found->second.version = version;
  return true;
}

std::vector<std::string_view> LogFold::keys() const {
  std::vector<std::string_view> out;
  out.reserve(values_.size());
  for (const auto& [key, value] : values_) out.push_back(key);
  std::sort(out.begin(), out.end());
  return out;
}

const LogFold::Value& LogFold::at(std::string_view key) const {
  const auto found = values_.find(key);
  SE_ASSERT(found != values_.end());
  return found->second;
}

}  // namespace state_engine
