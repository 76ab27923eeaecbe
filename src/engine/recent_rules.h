// RecentRules: the last evaluations of rules, for people who watch them at work.
//
// Two rings, so that many conditions that say no do not push out the few rules that fired. Nothing
// but what is committed comes in; why a condition said what it said is computed on demand
// (Engine::explain_rule).
//
// Threads: the engine strand.

#ifndef STATE_ENGINE_ENGINE_RECENT_RULES_H_
#define STATE_ENGINE_ENGINE_RECENT_RULES_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/time.h"

namespace state_engine {

// What a rule did on one mutation.
struct RuleEvaluation {
  std::string rule_id;
  std::string mutation_id;
  std::string key;  // of the mutation
  std::int64_t seq = 0;
  Timestamp at{};
  bool matched = false;
  bool fired = false;
  int effects = 0;
  int derived = 0;
  std::string held;   // as RuleRecord::held
  std::string error;  // as RuleRecord::error
};

class RecentRules {
 public:
  void add(RuleEvaluation evaluation) {
    std::deque<RuleEvaluation>& ring = evaluation.fired ? fired_ : not_fired_;
    if (ring.size() == limits::kRecentRules) ring.pop_front();
    ring.push_back(std::move(evaluation));
  }

  // The newest first; of `rule_id` only, if it is not empty.
  std::vector<RuleEvaluation> newest(std::string_view rule_id, std::size_t limit) const {
    std::vector<RuleEvaluation> all;
    for (const auto* ring : {&fired_, &not_fired_}) {
      for (const RuleEvaluation& evaluation : *ring) {
        if (rule_id.empty() || evaluation.rule_id == rule_id) all.push_back(evaluation);
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.seq > b.seq; });
    if (all.size() > limit) all.resize(limit);
    return all;
  }

 private:
  std::deque<RuleEvaluation> fired_;
  std::deque<RuleEvaluation> not_fired_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_RECENT_RULES_H_
