// rules test --against-log: what a changed rule file would have done with the log of a directory.

#ifndef STATE_ENGINE_APP_BACKTEST_H_
#define STATE_ENGINE_APP_BACKTEST_H_

#include "cli/cli.h"
#include "cli/commands.h"

namespace state_engine {

// Reads the log only, also beside a running engine. Exit code 0 whether or not something differs.
int backtest_command(cli::CliContext& context, const cli::RulesTestOptions& options);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BACKTEST_H_
