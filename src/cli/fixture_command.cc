// rules test: the fixtures of a configuration, one line each.

#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "config/config.h"
#include "rules/fixtures.h"

namespace state_engine::cli {
namespace {

json::Object result_json(const FixtureResult& result) {
  json::Array problems;
  for (const RuleProblem& problem : result.problems) {
    problems.push_back(json::Object{{"path", problem.path}, {"message", problem.message}});
  }
  return {{"name", result.name}, {"passed", result.passed()}, {"problems", std::move(problems)}};
}

void print_result(CliContext& context, const FixtureResult& result) {
  const char* const word = result.passed() ? "pass" : "FAIL";
  const Tone tone = result.passed() ? Tone::kGood : Tone::kBad;
  context.out << paint(context.style, tone, word) << "  " << result.name << "\n";
  for (const RuleProblem& problem : result.problems) {
    context.out << "      " << problem.path << ": " << problem.message << "\n";
  }
}

}  // namespace

int run_rules_test(CliContext& context, const RulesTestOptions& options) {
  if (options.against_log) {
    if (context.backtest) return context.backtest(context, options);
    return context.fail({ErrorCode::kFailedPrecondition, "this program cannot open a log"});
  }
  const config::LoadedConfig loaded = config::load_config(options.file);
  const RuleSetLoad rules = RuleSet::load(loaded.rules);
  if (!loaded.problems.empty() || !rules.ok()) {
    context.err << config::to_text(config::compile_config(loaded).problems);
    return kExitFailure;
  }
  const std::vector<FixtureResult> results = run_fixtures(*rules.rules, loaded.tests);
  const auto passed = std::count_if(results.begin(), results.end(),
                                    [](const FixtureResult& result) { return result.passed(); });
  const bool ok = static_cast<std::size_t>(passed) == results.size();
  if (options.json) {
    json::Array tests;
    for (const FixtureResult& result : results) tests.push_back(result_json(result));
    context.out << json::write(json::Object{{"ok", ok}, {"tests", std::move(tests)}}) << "\n";
    return ok ? kExitOk : kExitFailure;
  }
  for (const FixtureResult& result : results) print_result(context, result);
  context.out << fmt::format("{} of {} tests passed\n", passed, results.size());
  return ok ? kExitOk : kExitFailure;
}

}  // namespace state_engine::cli
