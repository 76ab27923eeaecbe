// `state-engine obs`: the bridge to OBS as a process of its own, on NATS.

#ifndef STATE_ENGINE_APP_OBS_COMMAND_H_
#define STATE_ENGINE_APP_OBS_COMMAND_H_

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

// Adds the command to `app`. `exit_code` outlives the parse and gets what the command returns.
void add_obs_command(CLI::App& app, int& exit_code);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_OBS_COMMAND_H_
