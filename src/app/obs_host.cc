// The bridge outlives the server's use of its tools: the service is closed before it stops.

#include "app/obs_host.h"

#include "integrations/obs/tools.h"

namespace state_engine {
namespace {

constexpr const char* kQueue = "obs-bridge";

}  // namespace

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
      age_max_(std::chrono::ceil<std::chrono::seconds>(config.bridge.effect_age_max)),
      metrics_(service.metrics(), service.health()),
      bridge_(std::move(config.bridge),
              {service.runtime().make_strand(), std::move(tls), service.clock(), service.random(),
               service.log(), proposer, metrics_}) {
  obs::add_obs_tools(service.mcp(), bridge_);
  // Before the engine starts, which delivers what waited in its outbox. A queue of its own that
  // begins now: commands of the past are not carried out, however long the stream keeps them.
  ConsumeOptions options;
  options.subject = subjects::kEgress;
  options.queue = kQueue;
  options.from_now = true;
  options.age_max = age_max_;
  ConsumeHandler handler;
  handler.on_message = [this](BusDelivery delivery) {
    BusMessage message = std::move(delivery.message);
    bridge_.take_effect(std::move(message),
                        [settle = std::move(delivery.settle)] { settle(Settlement::kDone, {}); });
  };
  effects_ = bus.consume(std::move(options), std::move(handler));
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
