// Labels are names of requests, commands and keys of ours: few, and never a user's data.

#include "app/obs_metrics.h"

namespace state_engine {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                                          0.05,   0.1,   0.5,   1,     5};

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

}  // namespace

ObsMetrics::ObsMetrics(prometheus::Registry& registry, Health& health)
    : health_(health),
      connected_(gauge(registry, "state_engine_obs_connected", "1 while OBS is connected")),
      live_(gauge(registry, "state_engine_obs_live", "1 while OBS streams")),
      connections_(counters(registry, "state_engine_obs_connections_total",
                            "Connections to OBS that got ready")
                       .Add({})),
      request_seconds_(prometheus::BuildHistogram()
                           .Name("state_engine_obs_request_seconds")
                           .Help("How long OBS took to answer, by request")
                           .Register(registry)),
      refusals_(counters(registry, "state_engine_obs_refusals_total",
                         "Requests that OBS refused, by request")),
      commands_(counters(registry, "state_engine_obs_commands_total",
                         "Commands for OBS by what came of them")),
      effects_(counters(registry, "state_engine_obs_effects_total",
                        "Egress events by what the bridge did with them")),
      reports_(counters(registry, "state_engine_obs_reports_total",
                        "Observations of OBS that were reported, by key")) {}

void ObsMetrics::on_link(bool connected, const std::string& detail) {
  connected_.Set(connected ? 1 : 0);
  if (connected) connections_.Increment();
  // A missing OBS does not make the service unready: the engine and its state are there.
  health_.set("obs", true, connected ? "up" : "down", connected ? "" : detail);
}

void ObsMetrics::on_request(std::string_view type, std::chrono::nanoseconds took, bool ok) {
  auto [item, fresh] = request_seconds_by_type_.try_emplace(std::string(type), nullptr);
  if (fresh) item->second = &request_seconds_.Add({{"request", std::string(type)}}, kSeconds);
  item->second->Observe(std::chrono::duration<double>(took).count());
  if (!ok) refusals_.Add({{"request", std::string(type)}}).Increment();
}

void ObsMetrics::on_command(obs::CommandKind kind, obs::OutcomeKind outcome) {
  commands_
      .Add({{"command", std::string(obs::to_string(kind))},
            {"outcome", std::string(obs::to_string(outcome))}})
      .Increment();
}

void ObsMetrics::on_effect(obs::EffectFate fate) {
  effects_.Add({{"fate", std::string(obs::to_string(fate))}}).Increment();
}

void ObsMetrics::on_report(std::string_view key, const json::Value& value) {
  reports_.Add({{"key", std::string(key)}}).Increment();
  if (key == "obs.stream") live_.Set(value == "live" ? 1 : 0);
}

}  // namespace state_engine
