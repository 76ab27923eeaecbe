// ChangeData: a committed change as the data of a condition, without making JSON of it.
//
// Members: key, value, prev, version, prevVersion, op, actor, reason, ts, metadata, changed, state.
// `state` is virtual: `state.<dotted name>` is the value of the longest existing key among the
// name's dotted beginnings ("obs.scene.name", "obs.scene", "obs"), then a member inside that value.

#ifndef STATE_ENGINE_RULES_CHANGE_DATA_H_
#define STATE_ENGINE_RULES_CHANGE_DATA_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "core/types.h"
#include "rules/js_value.h"
#include "rules/rule_set.h"

namespace state_engine {

// What a condition sees of a change. The pointers outlive the evaluation.
struct ChangeFields {
  std::string_view key;
  const json::Value* value = nullptr;
  const json::Value* prev = nullptr;
  std::int64_t version = 0;
  std::int64_t prev_version = 0;
  Op op = Op::kSet;
  std::string_view actor;
  std::string_view reason;
  Timestamp ts{};  // of the commit
  const json::Object* metadata = nullptr;

  static ChangeFields of(const ChangeContext& change);
  // The commit that made `snapshot`, as far as the snapshot tells: its previous value is null.
  static ChangeFields of(const Snapshot& snapshot);

  // The version under which readers see the key after the change; 0 = it is gone.
  std::int64_t visible_version() const {
    return op == Op::kDelete || op == Op::kExpire ? 0 : version;
  }

  bool changed() const { return !json::equal(*value, *prev); }
};

using StateReads = std::vector<std::pair<std::string, std::int64_t>>;

class StateData final : public logic::DataObject {
 public:
  // `changed_version` is what a read of the changed key itself is expected to see (0 = nothing).
  StateData(const StateLookup& lookup, std::string_view changed_key, std::int64_t changed_version)
      : lookup_(lookup), changed_key_(changed_key), changed_version_(changed_version) {}

  logic::JsValue resolve(std::span<const std::string_view> path, std::size_t& steps_used,
                         logic::Arena& arena) const override;
  std::vector<logic::ArenaMember> members(logic::Arena& arena) const override;

  // Which other keys were read, once each, with their version. A name that leads to no key is
  // recorded whole, with version 0. The changed key counts as another one if a later member of the
  // same transaction changed it again before the rules ran.
  StateReads take_reads() { return std::exchange(reads_, {}); }

 private:
  void record(std::string_view key, std::int64_t version) const;

  const StateLookup& lookup_;
  std::string_view changed_key_;
  std::int64_t changed_version_;
  mutable StateReads reads_;
};

class ChangeData final : public logic::DataObject {
 public:
  ChangeData(const ChangeFields& fields, const StateLookup& lookup)
      : fields_(fields), state_(lookup, fields.key, fields.visible_version()) {}

  logic::JsValue resolve(std::span<const std::string_view> path, std::size_t& steps_used,
                         logic::Arena& arena) const override;
  std::vector<logic::ArenaMember> members(logic::Arena& arena) const override;

  StateReads take_reads() { return state_.take_reads(); }

 private:
  logic::JsValue member(std::string_view name, logic::Arena& arena) const;

  const ChangeFields& fields_;
  StateData state_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_CHANGE_DATA_H_
