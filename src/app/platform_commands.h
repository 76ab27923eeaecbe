// Commands for the platform's stores: migrate, provision firestore.

#ifndef STATE_ENGINE_APP_PLATFORM_COMMANDS_H_
#define STATE_ENGINE_APP_PLATFORM_COMMANDS_H_

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

// The verb `provision`, made on the first call.
CLI::App* provision_command(CLI::App& app);

// Adds the commands to `app`; they put their exit code where `exit_code` says.
void add_platform_commands(CLI::App& app, int& exit_code);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_PLATFORM_COMMANDS_H_
