// `state-engine ingress twitch`: events of Twitch as proposals on NATS, in a process of its own.

#ifndef STATE_ENGINE_APP_INGRESS_COMMAND_H_
#define STATE_ENGINE_APP_INGRESS_COMMAND_H_

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

// Adds the command to `app`. `exit_code` outlives the parse and gets what the command returns.
void add_ingress_command(CLI::App& app, int& exit_code);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_INGRESS_COMMAND_H_
