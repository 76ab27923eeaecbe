// ObsHost: the OBS bridge wired into a Service: tools, metrics, health, the egress subject.

#ifndef STATE_ENGINE_APP_OBS_HOST_H_
#define STATE_ENGINE_APP_OBS_HOST_H_

#include <chrono>
#include <memory>

#include "app/obs_config.h"
#include "app/obs_metrics.h"
#include "app/service.h"
#include "integrations/obs/bridge.h"
#include "ports/bus.h"
#include "ports/proposer.h"

namespace state_engine {

class ObsHost {
 public:
  // Registers the tools and subscribes to effects. Errors: kInvalidArgument for a CA file that
  // cannot be read.
  static Result<std::unique_ptr<ObsHost>> create(Service& service, Bus& bus, Proposer& proposer,
                                                 ObsConfig config);

  // Begins to connect to OBS.
  void start();
  // Ends both and tells the engine that OBS is no longer watched.
  void stop();

 private:
  ObsHost(Service& service, Bus& bus, Proposer& proposer, ObsConfig config, net::TlsContext tls);

  Service& service_;
  const std::chrono::seconds age_max_;
  ObsMetrics metrics_;
  obs::Bridge bridge_;
  std::unique_ptr<Bus::Subscription> effects_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_OBS_HOST_H_
