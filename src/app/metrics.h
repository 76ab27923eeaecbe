// EngineMetrics: the engine's work as Prometheus metrics.

#ifndef STATE_ENGINE_APP_METRICS_H_
#define STATE_ENGINE_APP_METRICS_H_

#include <map>
#include <memory>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "app/health.h"
#include "engine/observer.h"

namespace state_engine {

// Every metric's name begins with "state_engine_". Threads: as EngineObserver.
class EngineMetrics final : public EngineObserver {
 public:
  EngineMetrics(prometheus::Registry& registry, Health& health);

  void on_answer(RejectionCode code, bool duplicate) override;
  void on_entry(const LogEntry& entry) override;
  void on_commit(std::size_t entries, std::chrono::nanoseconds took) override;
  void on_stale() override;
  void on_queue(std::size_t waiting) override;
  void on_state(std::int64_t head_seq, std::size_t keys) override;
  void on_delivery(Delivery delivery) override;
  void on_outbox(std::size_t waiting) override;
  void on_store(std::string_view message) override;

  void count_reload(bool ok);

 private:
  prometheus::Counter& answers(const std::string& code);

  Health& health_;
  prometheus::Family<prometheus::Counter>& answers_;
  std::map<std::string, prometheus::Counter*> answers_by_code_;
  prometheus::Counter& duplicates_;
  prometheus::Family<prometheus::Counter>& entries_;
  std::map<std::string, prometheus::Counter*> entries_by_op_;
  prometheus::Histogram& commit_seconds_;
  prometheus::Histogram& commit_entries_;
  prometheus::Counter& stale_;
  prometheus::Gauge& queue_;
  prometheus::Gauge& head_seq_;
  prometheus::Gauge& keys_;
  prometheus::Family<prometheus::Counter>& deliveries_;
  prometheus::Gauge& outbox_;
  prometheus::Gauge& store_up_;
  prometheus::Family<prometheus::Counter>& reloads_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_METRICS_H_
