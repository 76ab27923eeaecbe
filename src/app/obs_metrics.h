// ObsMetrics: the bridge's work as Prometheus metrics, and the part `obs` of the health report.

#ifndef STATE_ENGINE_APP_OBS_METRICS_H_
#define STATE_ENGINE_APP_OBS_METRICS_H_

#include <map>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "app/health.h"
#include "integrations/obs/bridge.h"

namespace state_engine {

// Threads: as BridgeObserver.
class ObsMetrics final : public obs::BridgeObserver {
 public:
  ObsMetrics(prometheus::Registry& registry, Health& health);

  void on_link(bool connected, const std::string& detail) override;
  void on_request(std::string_view type, std::chrono::nanoseconds took, bool ok) override;
  void on_command(obs::CommandKind kind, obs::OutcomeKind outcome) override;
  void on_effect(obs::EffectFate fate) override;
  void on_report(std::string_view key, const json::Value& value) override;

 private:
  Health& health_;
  prometheus::Gauge& connected_;
  prometheus::Gauge& live_;
  prometheus::Counter& connections_;
  prometheus::Family<prometheus::Histogram>& request_seconds_;
  std::map<std::string, prometheus::Histogram*, std::less<>> request_seconds_by_type_;
  prometheus::Family<prometheus::Counter>& refusals_;
  prometheus::Family<prometheus::Counter>& commands_;
  prometheus::Family<prometheus::Counter>& effects_;
  prometheus::Family<prometheus::Counter>& reports_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_OBS_METRICS_H_
