// The command line: the verbs that read and change state, look at the log and check rules.
//
// add_cli_commands registers them; src/app adds the verbs that run or maintain an engine (serve,
// verify, ...) to the same CLI::App and owns main().
//
// Every verb: --help with examples, --json (one compact object or, for streams, one a line),
// exit codes of exit_codes.h. Results go to `out`, everything else to `err`.

#ifndef STATE_ENGINE_CLI_CLI_H_
#define STATE_ENGINE_CLI_CLI_H_

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>

#include "base/result.h"
#include "cli/engine_link.h"
#include "cli/exit_codes.h"
#include "cli/output.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine::cli {

struct RulesTestOptions;

// What a verb needs from the world around it. A default one is the process's own: add_cli_commands
// fills in what is empty and looks whether `out` is a terminal. Tests bring their own parts.
struct CliContext {
  std::istream& in = std::cin;
  std::ostream& out = std::cout;
  std::ostream& err = std::cerr;
  OutputStyle style;      // of `out`
  bool progress = false;  // `err` is a terminal: show moving progress
  Environment environment;
  Connector connector;
  std::function<void(std::chrono::milliseconds)> sleep;
  int* exit_code = nullptr;  // where the verb that ran puts its exit code
  // `rules test --against-log`: it opens a data directory, which this folder cannot.
  std::function<int(CliContext&, const RulesTestOptions&)> backtest = {};

  Result<std::unique_ptr<EngineLink>> connect(const ConnectionOptions& options) const;

  // Says why on `err` and returns the exit code. Use at the end of a verb.
  int fail(const Error& error) const;
};

// Adds get, ls, propose, delete, tx, history, watch, explain, rules, errors and completion.
// `app` and `context` outlive the parse. CLI11 reports mistakes on the command line by exception,
// which main() turns into exit code 2.
void add_cli_commands(CLI::App& app, CliContext& context);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_CLI_H_
