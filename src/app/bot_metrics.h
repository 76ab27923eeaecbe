// BotMetrics: the bot's work as Prometheus metrics, and its part of the health report.

#ifndef STATE_ENGINE_APP_BOT_METRICS_H_
#define STATE_ENGINE_APP_BOT_METRICS_H_

#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "app/health.h"
#include "integrations/llm/bot_observer.h"

namespace state_engine {

// The part "bot" of the health report is "up", "no_engine" or "no_model". It never makes a service
// unready: a bot without a model says so in chat, and an engine serves without its bot.
// Threads: as BotObserver.
class BotMetrics final : public llm::BotObserver {
 public:
  BotMetrics(prometheus::Registry& registry, Health& health);

  void on_message(std::string_view end, std::chrono::nanoseconds took) override;
  void on_completion(bool ok, std::chrono::nanoseconds took, std::int64_t prompt_tokens,
                     std::int64_t completion_tokens) override;
  void on_tool(std::string_view tool, std::string_view end) override;
  void on_conflicts(int count) override;
  void on_lost_answer() override;
  void on_engine(bool up, std::string_view why) override;
  void on_model(bool up, std::string_view why) override;

 private:
  void report();

  Health& health_;
  prometheus::Family<prometheus::Counter>& messages_;
  prometheus::Histogram& answer_seconds_;
  prometheus::Family<prometheus::Counter>& completions_;
  prometheus::Histogram& completion_seconds_;
  prometheus::Family<prometheus::Counter>& tokens_;
  prometheus::Family<prometheus::Counter>& tools_;
  prometheus::Counter& conflicts_;
  prometheus::Counter& lost_answers_;
  prometheus::Gauge& engine_up_;
  prometheus::Gauge& model_up_;
  bool is_engine_up_ = true;
  bool is_model_up_ = true;
  std::string why_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BOT_METRICS_H_
