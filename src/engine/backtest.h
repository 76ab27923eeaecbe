// Backtest: what other rules would have done with the changes that a log holds.
//
// The log is fed in seq order. Its state is taken as it is: what the changed rules would derive is
// compared, but not followed into further changes. The rules of then are run once more beside the
// changed ones, on the same change, state and time, so that payloads can be compared and not only
// the counts that the log keeps; where that does not come to those counts, the report says so.
//
// Threads: one.

#ifndef STATE_ENGINE_ENGINE_BACKTEST_H_
#define STATE_ENGINE_ENGINE_BACKTEST_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/types.h"
#include "engine/rule_memories.h"
#include "rules/rule_set.h"

namespace state_engine {

// One action that differs.
struct BacktestDifference {
  enum class Kind { kAdded, kRemoved, kChanged };
  Kind kind = Kind::kAdded;
  std::string rule_id;
  bool effect = true;  // false: a derived mutation
  std::int64_t seq = 0;
  std::string mutation_id;  // of the change
  std::string key;          // of the change
  std::string before;       // the payload, or "op key value", as it was; empty if added
  std::string after;        // as it would be; empty if removed
};

// Counts by what differs.
struct BacktestCounts {
  std::int64_t added = 0;
  std::int64_t removed = 0;
  std::int64_t changed = 0;
};

struct BacktestRule {
  BacktestCounts effects;
  BacktestCounts mutations;
  std::vector<BacktestDifference> examples;  // the first ones
};

struct BacktestReport {
  std::int64_t changes = 0;       // accepted entries of the range on which rules were run
  std::int64_t same = 0;          // actions that would not differ
  std::int64_t unreproduced = 0;  // changes whose stored outcome the rules of then do not come to
  std::map<std::string, BacktestRule> rules;  // by id; only those that differ
};

class Backtest final : private StateLookup {
 public:
  static constexpr std::size_t kExamples = 3;

  // Reports on changes with from <= seq <= to; to 0 = to the end. What is before only counts as
  // state and memory.
  Backtest(RuleSetPtr changed, std::int64_t from, std::int64_t to);

  // Takes the next entry of the log; `rules` are those of its rule revision.
  // REQUIRES: seq order, from the first entry.
  void feed(LogEntry entry, const RuleSetPtr& rules);

  // Runs what is left. REQUIRES: nothing is fed afterwards.
  BacktestReport finish();

 private:
  struct Action {
    std::string rule_id;
    bool effect = true;
    int index = 0;
    std::string text;
  };
  using Actions = std::vector<Action>;
  // A rule set with what it remembers.
  struct Side final : MemoryLookup {
    std::optional<RuleMemory> memory(std::string_view rule_id, std::string_view key) const override;
    RuleSetPtr rules;
    std::map<std::string, Remembered, std::less<>> memories;
  };
  // A change that is applied and whose rules have not been run.
  struct Pending {
    LogEntry entry;
    SnapshotPtr before;
    SnapshotPtr after;
    bool derived = false;
  };

  const Snapshot* find(std::string_view key) const override;
  void use_rules(const RuleSetPtr& rules);
  void apply(LogEntry entry);
  void run_next();
  void run_until(std::string_view mutation_id);
  Actions run(Side& side, const Pending& pending) const;
  void end_waits(Timestamp until);
  Actions end_wait(Side& side, const std::string& name, Timestamp deadline);
  bool reproduces(const LogEntry& entry, const Actions& actions) const;
  void compare(const LogEntry& cause, const Actions& before, const Actions& after);
  void report(BacktestDifference difference);

  Side then_;
  Side changed_;
  std::int64_t from_;
  std::int64_t to_;
  std::map<std::string, SnapshotPtr, std::less<>> state_;
  Timestamp now_{};
  std::int64_t seq_ = 0;
  std::string transaction_;
  std::deque<Pending> pending_;
  BacktestReport report_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_BACKTEST_H_
