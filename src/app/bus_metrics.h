// BusMetrics: the bus as Prometheus metrics and as a part of /health.

#ifndef STATE_ENGINE_APP_BUS_METRICS_H_
#define STATE_ENGINE_APP_BUS_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "app/health.h"
#include "bus/nats/nats_observer.h"

namespace state_engine {

// A bus that is down does not make the service unready: MCP goes on, and effects wait.
class BusMetrics final : public NatsObserver {
 public:
  BusMetrics(prometheus::Registry& registry, Health& health);

  void on_state(bool up, std::string_view detail) override;
  void on_reconnect() override { reconnects_.Increment(); }
  void on_publish_error() override { publish_errors_.Increment(); }
  void on_redelivered() override { redelivered_.Increment(); }
  void on_slow_consumer() override { slow_.Increment(); }
  void on_resync() override { resyncs_.Increment(); }
  void on_backlog(std::string_view queue, std::int64_t waiting, std::int64_t unsettled) override;

  void count_dead_letter() { dead_letters_.Increment(); }
  void set_held(std::size_t messages) { held_.Set(static_cast<double>(messages)); }

 private:
  Health& health_;
  prometheus::Gauge& up_;
  prometheus::Counter& reconnects_;
  prometheus::Counter& publish_errors_;
  prometheus::Counter& redelivered_;
  prometheus::Counter& slow_;
  prometheus::Counter& resyncs_;
  prometheus::Counter& dead_letters_;
  prometheus::Gauge& held_;
  prometheus::Family<prometheus::Gauge>& waiting_;
  prometheus::Family<prometheus::Gauge>& unsettled_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BUS_METRICS_H_
