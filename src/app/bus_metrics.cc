// Label values are bounded: the names of queues, never subjects of users or keys.

#include "app/bus_metrics.h"

namespace state_engine {
namespace {

prometheus::Counter& counter(prometheus::Registry& registry, const std::string& name,
                             const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Family<prometheus::Gauge>& gauges(prometheus::Registry& registry,
                                              const std::string& name, const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

}  // namespace

BusMetrics::BusMetrics(prometheus::Registry& registry, Health& health)
    : health_(health),
      up_(gauges(registry, "state_engine_bus_up", "1 while connected to NATS").Add({})),
      reconnects_(counter(registry, "state_engine_bus_reconnects_total",
                          "Connections to NATS made after one was lost")),
      publish_errors_(counter(registry, "state_engine_bus_publish_errors_total",
                              "Publishes that no stream confirmed while connected")),
      redelivered_(
          counter(registry, "state_engine_bus_redelivered_total", "Messages that came again")),
      slow_(counter(registry, "state_engine_bus_slow_consumer_total",
                    "Messages dropped here because too much waited; they come again")),
      resyncs_(counter(registry, "state_engine_bus_resyncs_total",
                       "Durables made anew to get unsettled messages again in their order")),
      dead_letters_(counter(registry, "state_engine_bus_dead_letters_total",
                            "Messages on the bus that could not be read")),
      held_(gauges(registry, "state_engine_bus_held",
                   "Messages that wait here behind a rate limited one of their key")
                .Add({})),
      waiting_(gauges(registry, "state_engine_bus_pending",
                      "Messages in the stream that were not delivered yet")),
      unsettled_(gauges(registry, "state_engine_bus_unsettled",
                        "Messages delivered and not yet settled")) {
  health_.set("bus", true, "down", "not connected yet");
}

void BusMetrics::on_state(bool up, std::string_view detail) {
  up_.Set(up ? 1 : 0);
  health_.set("bus", true, up ? "up" : "down", up ? "" : std::string(detail));
}

void BusMetrics::on_backlog(std::string_view queue, std::int64_t waiting, std::int64_t unsettled) {
  const prometheus::Labels labels{{"queue", std::string(queue)}};
  waiting_.Add(labels).Set(static_cast<double>(waiting));
  unsettled_.Add(labels).Set(static_cast<double>(unsettled));
}

}  // namespace state_engine
