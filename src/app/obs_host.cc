#include "app/obs_host.h"

#include "integrations/obs/tools.h"

namespace state_engine {

Result<std::unique_ptr<ObsHost>> ObsHost::create(Service& service, Bus& bus, Proposer& proposer,
                                                 ObsConfig config) {
  SE_RETURN_IF_ERROR(complete_obs_config(config));
  auto tls = net::TlsContext::create(config.tls);
  if (!tls.ok()) return std::move(tls).error();
  return std::unique_ptr<ObsHost>(
      new ObsHost(service, bus, proposer, std::move(config), std::move(*tls)));
}

ObsHost::ObsHost(Service& service, Bus& bus, Proposer& proposer, ObsConfig config,
                 net::TlsContext tls)
    : service_(service),
      metrics_(service.metrics(), service.health()),
      bridge_(std::move(config.bridge),
              {service.runtime().make_strand(), std::move(tls), service.clock(), service.random(),
               service.log(), proposer, metrics_}) {
  obs::add_obs_tools(service.mcp(), bridge_);
  // Before the engine starts, which delivers what waited in its outbox.
  effects_ = bus.subscribe(std::string(subjects::kEgress),
                           [this](const BusMessage& message) { bridge_.take_effect(message); });
}

void ObsHost::start() {
  metrics_.on_link(false, "connecting");
  bridge_.start();
}

void ObsHost::stop() {
  effects_.reset();
  service_.runtime().run_blocking(
      [](obs::Bridge& bridge) -> boost::asio::awaitable<void> { co_await bridge.stop(); }(bridge_));
}

}  // namespace state_engine
