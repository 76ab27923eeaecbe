// Fixtures: tests that a configuration carries for its own rules.
//
//   tests:
//     - name: going live switches the scene
//       given: {stream.state: "off"}                  values before; optional
//       commit: {key: stream.state, value: "on"}      also op, actor, reason, metadata
//       after: 5m                                     time that passes, for rules with `for`;
//       optional expect:
//         fired: [live-scene]                         these rules and no others, in file order,
//                                                     those that waited behind the others
//         effects: [{type: obs.scene, name: Live}]    these payloads and no others, in order
//         derived: [{key: obs.scene.wanted, value: Live}]
//
// What `expect` does not name is not looked at. A fixture is one commit: what derived mutations set
// off in turn is a matter of another fixture. It runs at each load; one that fails refuses the
// file.

#ifndef STATE_ENGINE_RULES_FIXTURES_H_
#define STATE_ENGINE_RULES_FIXTURES_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "rules/lint.h"
#include "rules/rule_set.h"

namespace state_engine {

struct FixtureResult {
  std::string name;
  RuleProblems problems;  // paths are relative to the array of tests; empty = passed

  bool passed() const { return problems.empty(); }
};

// Runs `tests`, the array of a configuration, in order. Mistakes in a fixture fail it.
std::vector<FixtureResult> run_fixtures(const RuleSet& rules, const json::Value& tests);

}  // namespace state_engine

#endif  // STATE_ENGINE_RULES_FIXTURES_H_
