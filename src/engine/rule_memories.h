// RuleMemories: what the rules remember, per (rule, key), and which wait of a rule ends next.
//
// A wait (RuleMemory::deadline) is kept with the change that it waits on, so that the rule can be
// run on it once more when the time is over: the last change of the key on which the rule was run.
//
// Ownership: values are shared with the builder of a batch. Threads: the engine strand.

#ifndef STATE_ENGINE_ENGINE_RULE_MEMORIES_H_
#define STATE_ENGINE_ENGINE_RULE_MEMORIES_H_

#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/snapshot_index.h"
#include "ports/state_store.h"
#include "rules/rule_set.h"

namespace state_engine {

// A change as rules see it. The values are in the snapshots; `entry` holds none.
struct LastChange {
  LogEntry entry;
  SnapshotPtr before;  // null = nothing
  SnapshotPtr after;
};
using LastChangePtr = std::shared_ptr<const LastChange>;
LastChangePtr make_last_change(const LogEntry& entry, SnapshotPtr before, SnapshotPtr after);

struct Remembered {
  RuleMemory memory;
  LastChangePtr change;  // only while a wait goes on
};

// "<rule id>\n<key>": a key has no line break.
std::string memory_name(std::string_view rule_id, std::string_view key);
std::string_view rule_of_memory(std::string_view name);
std::string_view key_of_memory(std::string_view name);

RuleState to_rule_state(const std::string& name, const RuleMemory& memory);

class RuleMemories {
 public:
  // Takes over what the store has; waits still need their changes (waiting(), put()).
  void load(const std::vector<RuleState>& states);

  // Null if nothing is remembered. Valid until the next call that is not const.
  const Remembered* find(const std::string& name) const;

  void put(const std::string& name, Remembered remembered);

  // Goes over to `rules`. What a rule remembers stays if its condition and trigger stay (a new
  // `for` moves the end of a wait); a rule that is new or says something else begins with the truth
  // that its condition has now, without firing. `before`: the rules that made the memories; null =
  // not known, all is new. Nothing happens if these rules are already followed.
  void adopt(const RuleSetPtr& rules, const RuleSet* before, const SnapshotView& view,
             Timestamp now);
  const RuleSetPtr& rules() const { return rules_; }

  // The names of all waits.
  std::vector<std::string> waiting() const;
  // When the next wait ends.
  std::optional<Timestamp> next_deadline() const;
  // Takes out up to `most` waits whose end has come. Stale ones may be among them.
  std::vector<std::string> take_due(Timestamp now, std::size_t most);
  // Puts waits back that could not be ended.
  void requeue(const std::vector<std::string>& names);

  // What was changed without a commit, to be written with the next one.
  void mark_unsaved(const std::string& name) { unsaved_.insert(name); }
  bool has_unsaved() const { return !unsaved_.empty(); }
  void add_unsaved(std::vector<RuleState>& states) const;
  void saved(const std::vector<RuleState>& states);

 private:
  struct End {
    Timestamp deadline;
    std::string name;
    bool operator<(const End& other) const { return deadline > other.deadline; }
  };

  void queue(const std::string& name, const RuleMemory& memory);

  RuleSetPtr rules_;
  std::unordered_map<std::string, Remembered> memories_;
  std::priority_queue<End> ends_;
  std::set<std::string> unsaved_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_RULE_MEMORIES_H_
