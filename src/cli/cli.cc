#include "cli/cli.h"

#include <fmt/format.h>

namespace state_engine::cli {

Result<std::unique_ptr<EngineLink>> CliContext::connect(const ConnectionOptions& options) const {
  return connector(resolve(options, environment));
}

int CliContext::fail(const Error& error) const {
  err << fmt::format("state-engine: {}\n", error.message);
  return cli::exit_code(error);
}

}  // namespace state_engine::cli
