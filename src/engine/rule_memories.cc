// The heap of ends may hold entries of waits that are over or were put off; whoever takes one looks
// at the memory itself.

#include "engine/rule_memories.h"

#include <algorithm>

#include "rules/rule_runner.h"

namespace state_engine {
namespace {

// The state of a revision, for conditions that read other keys.
class ViewLookup final : public StateLookup {
 public:
  ViewLookup(const SnapshotView& view, Timestamp now) : view_(view), now_(now) {}

  const Snapshot* find(std::string_view key) const override {
    const SnapshotRef there = view_.look(key);
    if (!there || !there.visible_at(now_)) return nullptr;
    auto& kept = kept_[std::string(key)];
    if (kept == nullptr) kept = there.share();
    return kept.get();
  }

 private:
  const SnapshotView& view_;
  Timestamp now_;
  mutable std::unordered_map<std::string, SnapshotPtr> kept_;  // what it gave out
};

}  // namespace

LastChangePtr make_last_change(const LogEntry& entry, SnapshotPtr before, SnapshotPtr after) {
  auto last = std::make_shared<LastChange>();
  last->entry.proposal.id = entry.proposal.id;
  last->entry.proposal.op = entry.proposal.op;
  last->entry.proposal.key = entry.proposal.key;
  last->entry.proposal.actor = entry.proposal.actor;
  last->entry.proposal.reason = entry.proposal.reason;
  last->entry.proposal.metadata = entry.proposal.metadata;
  last->entry.proposal.correlation_id = entry.proposal.correlation_id;
  last->entry.proposal.traceparent = entry.proposal.traceparent;
  last->entry.seq = entry.seq;
  last->entry.accepted = true;
  last->entry.previous_version = entry.previous_version;
  last->entry.resulting_version = entry.resulting_version;
  last->entry.committed_at = entry.committed_at;
  last->before = std::move(before);
  last->after = std::move(after);
  return last;
}

std::string memory_name(std::string_view rule_id, std::string_view key) {
  std::string name;
  name.reserve(rule_id.size() + 1 + key.size());
  name.append(rule_id).append("\n").append(key);
  return name;
}

std::string_view rule_of_memory(std::string_view name) { return name.substr(0, name.rfind('\n')); }

std::string_view key_of_memory(std::string_view name) { return name.substr(name.rfind('\n') + 1); }

RuleState to_rule_state(const std::string& name, const RuleMemory& memory) {
  return {std::string(rule_of_memory(name)),
          std::string(key_of_memory(name)),
          memory.truth,
          memory.since,
          memory.deadline,
          memory.cooldown_until};
}

void RuleMemories::load(const std::vector<RuleState>& states) {
  for (const RuleState& state : states) {
    put(memory_name(state.rule_id, state.key),
        {{state.truth, state.since, state.deadline, state.cooldown_until}, nullptr});
  }
}

const Remembered* RuleMemories::find(const std::string& name) const {
  const auto found = memories_.find(name);
  return found != memories_.end() ? &found->second : nullptr;
}

void RuleMemories::put(const std::string& name, Remembered remembered) {
  Remembered& kept = memories_[name];
  const bool other_end = kept.memory.deadline != remembered.memory.deadline;
  kept = std::move(remembered);
  if (other_end) queue(name, kept.memory);
}

void RuleMemories::queue(const std::string& name, const RuleMemory& memory) {
  if (memory.deadline.has_value()) ends_.push({*memory.deadline, name});
}

void RuleMemories::adopt(const RuleSetPtr& rules, const RuleSet* before, const SnapshotView& view,
                         Timestamp now) {
  if (rules_ == rules) return;
  if (before == nullptr || before->revision() != rules->revision()) {
    const ViewLookup lookup(view, now);
    for (auto& [name, remembered] : memories_) {
      const std::string_view id = rule_of_memory(name);
      const Rule* old_rule = before != nullptr ? before->find(id) : nullptr;
      const Rule* rule = rules->find(id);
      const SnapshotPtr snapshot = view.find(key_of_memory(name));
      const bool there = snapshot != nullptr && snapshot->visible_at(now);
      const RuleMemory carried =
          carry_over(old_rule, rule, remembered.memory, there ? snapshot.get() : nullptr, lookup);
      if (carried == remembered.memory) continue;
      const bool other_end = carried.deadline != remembered.memory.deadline;
      remembered.memory = carried;
      if (!carried.deadline.has_value()) remembered.change.reset();
      if (other_end) queue(name, carried);
      unsaved_.insert(name);
    }
  }
  rules_ = rules;
}

std::vector<std::string> RuleMemories::waiting() const {
  std::vector<std::string> names;
  for (const auto& [name, remembered] : memories_) {
    if (remembered.memory.deadline.has_value()) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<Timestamp> RuleMemories::next_deadline() const {
  return ends_.empty() ? std::nullopt : std::optional<Timestamp>(ends_.top().deadline);
}

std::vector<std::string> RuleMemories::take_due(Timestamp now, std::size_t most) {
  std::vector<std::string> names;
  while (!ends_.empty() && ends_.top().deadline <= now && names.size() < most) {
    names.push_back(ends_.top().name);
    ends_.pop();
  }
  return names;
}

void RuleMemories::requeue(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (const Remembered* remembered = find(name)) queue(name, remembered->memory);
  }
}

void RuleMemories::add_unsaved(std::vector<RuleState>& states) const {
  std::set<std::string> written;
  for (const RuleState& state : states) written.insert(memory_name(state.rule_id, state.key));
  for (const std::string& name : unsaved_) {
    if (written.contains(name)) continue;
    states.push_back(to_rule_state(name, memories_.at(name).memory));
  }
}

void RuleMemories::saved(const std::vector<RuleState>& states) {
  if (unsaved_.empty()) return;
  for (const RuleState& state : states) unsaved_.erase(memory_name(state.rule_id, state.key));
}

}  // namespace state_engine
