// Label values are bounded: codes and operations, never keys or actors.

#include "app/metrics.h"

namespace state_engine {
namespace {

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry,
                                                  const std::string& name,
                                                  const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const std::string& name,
                         const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Histogram& histogram(prometheus::Registry& registry, const std::string& name,
                                 const std::string& help,
                                 const prometheus::Histogram::BucketBoundaries& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

std::string result_label(Delivery delivery) {
  switch (delivery) {
    case Delivery::kDelivered:
      return "delivered";
    case Delivery::kNoSubscriber:
      return "no_subscriber";
    case Delivery::kRetry:
      return "retry";
  }
  SE_UNREACHABLE();
}

}  // namespace

EngineMetrics::EngineMetrics(prometheus::Registry& registry, Health& health)
    : health_(health),
      answers_(counters(registry, "state_engine_answers_total",
                        "Answers to proposals by code; 'accepted' for accepted ones")),
      duplicates_(counters(registry, "state_engine_duplicates_total",
                           "Answers given from the record of an earlier delivery")
                      .Add({})),
      entries_(counters(registry, "state_engine_log_entries_total",
                        "Committed log entries by operation and status")),
      commit_seconds_(histogram(registry, "state_engine_commit_seconds",
                                "Time of one durable commit",
                                {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5})),
      commit_entries_(histogram(registry, "state_engine_commit_entries",
                                "Log entries in one durable commit",
                                {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024})),
      stale_(counters(registry, "state_engine_stale_commits_total",
                      "Commits that were decided again because another engine was first")
                 .Add({})),
      queue_(gauge(registry, "state_engine_queue_depth", "Proposals waiting for the writer")),
      head_seq_(gauge(registry, "state_engine_head_seq",
                      "Seq of the last log entry, and so the length of the log")),
      keys_(gauge(registry, "state_engine_keys", "Keys in the index, tombstones included")),
      deliveries_(counters(registry, "state_engine_effects_total",
                           "Attempts to deliver an effect by result")),
      outbox_(gauge(registry, "state_engine_outbox_waiting", "Effects waiting in memory")),
      store_up_(gauge(registry, "state_engine_store_up", "1 while the store accepts commits")),
      reloads_(counters(registry, "state_engine_config_reloads_total",
                        "Reloads of the configuration by result")) {
  store_up_.Set(1);
  for (const RejectionInfo& row : rejection_table()) answers(std::string(row.name));
  answers("accepted");
}

prometheus::Counter& EngineMetrics::answers(const std::string& code) {
  auto [item, fresh] = answers_by_code_.try_emplace(code, nullptr);
  if (fresh) item->second = &answers_.Add({{"code", code}});
  return *item->second;
}

void EngineMetrics::on_answer(RejectionCode code, bool duplicate) {
  static const std::string kAccepted = "accepted";
  answers(code == RejectionCode::kNone ? kAccepted : std::string(to_string(code))).Increment();
  if (duplicate) duplicates_.Increment();
}

void EngineMetrics::on_entry(const LogEntry& entry) {
  const std::string op(to_string(entry.proposal.op));
  const std::string name = op + (entry.accepted ? "+" : "-");
  auto [item, fresh] = entries_by_op_.try_emplace(name, nullptr);
  if (fresh) {
    item->second =
        &entries_.Add({{"op", op}, {"status", entry.accepted ? "accepted" : "rejected"}});
  }
  item->second->Increment();
}

void EngineMetrics::on_commit(std::size_t entries, std::chrono::nanoseconds took) {
  commit_seconds_.Observe(std::chrono::duration<double>(took).count());
  commit_entries_.Observe(static_cast<double>(entries));
}

void EngineMetrics::on_stale() { stale_.Increment(); }

void EngineMetrics::on_queue(std::size_t waiting) { queue_.Set(static_cast<double>(waiting)); }

void EngineMetrics::on_state(std::int64_t head_seq, std::size_t keys) {
  head_seq_.Set(static_cast<double>(head_seq));
  keys_.Set(static_cast<double>(keys));
}

void EngineMetrics::on_delivery(Delivery delivery) {
  deliveries_.Add({{"result", result_label(delivery)}}).Increment();
}

void EngineMetrics::on_outbox(std::size_t waiting) { outbox_.Set(static_cast<double>(waiting)); }

void EngineMetrics::on_store(std::string_view message) {
  store_up_.Set(message.empty() ? 1 : 0);
  health_.set("store", message.empty(), message.empty() ? "up" : "down", std::string(message));
}

void EngineMetrics::count_reload(bool ok) {
  reloads_.Add({{"result", ok ? "ok" : "refused"}}).Increment();
}

}  // namespace state_engine
