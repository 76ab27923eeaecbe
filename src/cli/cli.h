// The command line: the verbs that read and change state, look at the log and check rules.
//
// add_cli_commands registers them; src/app adds the verbs that run or maintain an engine (serve,
// verify, ...) to the same CLI::App and calls run_cli.
//
// Every verb: --help with examples, --json (one compact object or, for streams, one a line),
// exit codes of exit_codes.h. Results go to `out`, everything else to `err`.

#ifndef STATE_ENGINE_CLI_CLI_H_
#define STATE_ENGINE_CLI_CLI_H_

#include <chrono>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/engine_link.h"
#include "cli/exit_codes.h"
#include "cli/output.h"

namespace CLI {
class App;
}

namespace state_engine::cli {

// What a verb needs from the world around it. The streams outlive the context.
struct CliContext {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  OutputStyle style;        // of `out`
  bool progress = false;    // `err` is a terminal: show moving progress
  Environment environment;
  Connector connector;
  std::function<void(std::chrono::milliseconds)> sleep;
  int exit_code = kExitOk;  // of the verb that ran

  Result<std::unique_ptr<EngineLink>> connect(const ConnectionOptions& options) const;

  // Says why on `err` and returns the exit code. Use at the end of a verb.
  int fail(const Error& error) const;
};

// The context of the process: standard streams, terminal, NO_COLOR, real engine.
CliContext process_context();

// Adds get, ls, propose, delete, tx, history, watch, explain, rules, errors and completion.
// `app` and `context` outlive the parse.
void add_cli_commands(CLI::App& app, CliContext& context);

// Parses the command line, runs the verb and returns the exit code: help is 0, a mistake on the
// command line 2. Verbs added by others report through `context.exit_code` too.
int run_cli(CLI::App& app, CliContext& context, int argc, const char* const* argv);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_CLI_H_
