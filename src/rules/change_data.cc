// Members are made when they are read; nothing is copied but the time stamp.

#include "rules/change_data.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace state_engine {
namespace {

using logic::Arena;
using logic::ArenaMember;
using logic::JsValue;

const json::Value kNullValue;

// As they are written when the whole context is the result; `state` is not written.
constexpr std::array<std::string_view, 11> kMembers = {
    "key", "value", "prev",   "version", "prevVersion", "op",
    "ts",  "actor", "reason", "changed", "metadata"};

}  // namespace

ChangeFields ChangeFields::of(const ChangeContext& change) {
  SE_ASSERT(change.entry.accepted);
  ChangeFields fields;
  fields.key = change.after.key;
  fields.value = change.after.deleted ? &kNullValue : &change.after.value;
  fields.prev = change.before == nullptr ? &kNullValue : &change.before->value;
  fields.version = change.after.version;
  fields.prev_version = change.entry.previous_version;
  fields.op = change.entry.proposal.op;
  fields.actor = change.entry.proposal.actor;
  fields.reason = change.entry.proposal.reason;
  fields.ts = change.entry.committed_at;
  fields.metadata = &change.entry.proposal.metadata;
  return fields;
}

ChangeFields ChangeFields::of(const Snapshot& snapshot) {
  ChangeFields fields;
  fields.key = snapshot.key;
  fields.value = snapshot.deleted ? &kNullValue : &snapshot.value;
  fields.prev = &kNullValue;
  fields.version = snapshot.version;
  fields.prev_version = snapshot.version - 1;
  fields.actor = snapshot.updated_by;
  fields.reason = snapshot.reason;
  fields.ts = snapshot.updated_at;
  fields.metadata = &snapshot.metadata;
  return fields;
}

JsValue StateData::resolve(std::span<const std::string_view> path, std::size_t& steps_used,
                           Arena& /*arena*/) const {
  SE_ASSERT(!path.empty());
  const char* const begin = path.front().data();
  const auto name_of = [&](std::size_t steps) {
    const std::string_view& last = path[steps - 1];
    return std::string_view(begin, static_cast<std::size_t>(last.data() + last.size() - begin));
  };
  for (std::size_t steps = path.size(); steps > 0; --steps) {
    const Snapshot* snapshot = lookup_.find(name_of(steps));
    if (snapshot == nullptr) continue;
    record(snapshot->key, snapshot->version);
    steps_used = steps;
    return JsValue::of(snapshot->value);
  }
  record(name_of(path.size()), 0);
  steps_used = path.size();
  return JsValue::undefined();
}

std::vector<ArenaMember> StateData::members(Arena& /*arena*/) const { return {}; }

void StateData::record(std::string_view key, std::int64_t version) const {
  if (key == changed_key_ && version == changed_version_) return;
  const bool known = std::any_of(reads_.begin(), reads_.end(),
                                 [key](const auto& read) { return read.first == key; });
  if (!known) reads_.emplace_back(key, version);
}

JsValue ChangeData::resolve(std::span<const std::string_view> path, std::size_t& steps_used,
                            Arena& arena) const {
  steps_used = 1;
  return member(path.front(), arena);
}

std::vector<ArenaMember> ChangeData::members(Arena& arena) const {
  std::vector<ArenaMember> all;
  all.reserve(kMembers.size());
  for (const std::string_view name : kMembers) all.push_back({name, member(name, arena)});
  return all;
}

JsValue ChangeData::member(std::string_view name, Arena& arena) const {
  if (name == "key") return JsValue::string(fields_.key);
  if (name == "value") return JsValue::of(*fields_.value);
  if (name == "prev") return JsValue::of(*fields_.prev);
  if (name == "version") return JsValue::number(static_cast<double>(fields_.version));
  if (name == "prevVersion") return JsValue::number(static_cast<double>(fields_.prev_version));
  if (name == "op") return JsValue::string(to_string(fields_.op));
  if (name == "actor") return JsValue::string(fields_.actor);
  if (name == "reason") return JsValue::string(fields_.reason);
  if (name == "ts") return JsValue::string(arena.copy(format_rfc3339(fields_.ts)));
  if (name == "metadata") return JsValue::of(*fields_.metadata);
  if (name == "changed") return JsValue::boolean(fields_.changed());
  if (name == "state") return JsValue::data_object(state_);
  return JsValue::undefined();
}

}  // namespace state_engine
