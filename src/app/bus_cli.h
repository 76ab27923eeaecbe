// The options of every command that reaches NATS, and their environment variables.

#ifndef STATE_ENGINE_APP_BUS_CLI_H_
#define STATE_ENGINE_APP_BUS_CLI_H_

#include "app/serve.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

// What the environment says: NATS_URL, BUS_PREFIX, NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_NKEY,
// NATS_CREDS, NATS_CA, NATS_CERT, NATS_KEY, NATS_INBOX_PREFIX.
NatsOptions default_nats_options();

void add_nats_options(CLI::App& command, NatsOptions& nats);

// The same, and how the engine uses the bus.
void add_bus_options(CLI::App& command, BusOptions& bus);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BUS_CLI_H_
