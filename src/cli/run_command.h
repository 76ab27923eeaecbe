// Runs a shell command of the user's, with input and extra environment variables.

#ifndef STATE_ENGINE_CLI_RUN_COMMAND_H_
#define STATE_ENGINE_CLI_RUN_COMMAND_H_

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace state_engine::cli {

using CommandVariables = std::vector<std::pair<std::string, std::string>>;

// Runs `sh -c command` with `input` on its standard input and waits for it. Returns its exit code,
// 128 + N if signal N ended it. A command that does not read its input is fine.
// Errors: kInternal if it cannot be started.
Result<int> run_command(const std::string& command, const CommandVariables& variables,
                        const std::string& input);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_RUN_COMMAND_H_
