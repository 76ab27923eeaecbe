// `state-engine provision nats`: streams and durable, looked at and made.

#ifndef STATE_ENGINE_APP_PROVISION_NATS_H_
#define STATE_ENGINE_APP_PROVISION_NATS_H_

#include "app/serve.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace state_engine {

struct ProvisionNatsOptions {
  BusOptions bus;
  bool apply = false;
};

// Prints what is there and what is missing; makes the latter with `apply`. Returns the exit code: 0
// if all fits or could be made, 1 if something is in the way.
int provision_nats(const ProvisionNatsOptions& options);

// Adds `provision nats`. The options live as long as `app`.
void add_provision_nats(CLI::App& app, ProvisionNatsOptions& options, int& exit_code);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_PROVISION_NATS_H_
