// Counters by label are made when first needed: labels are configured names and fixed words.

#include "app/bot_metrics.h"

namespace state_engine {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {0.05, 0.1, 0.25, 0.5, 1,  2,
                                                          5,    10,  20,   30,  60, 120};

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry,
                                                  const std::string& name,
                                                  const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Histogram& seconds(prometheus::Registry& registry, const std::string& name,
                               const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kSeconds);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const std::string& name,
                         const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

double in_seconds(std::chrono::nanoseconds took) {
  return std::chrono::duration<double>(took).count();
}

}  // namespace

BotMetrics::BotMetrics(prometheus::Registry& registry, Health& health)
    : health_(health),
      messages_(counters(registry, "state_engine_bot_messages_total",
                         "Chat messages by what became of them")),
      answer_seconds_(seconds(registry, "state_engine_bot_answer_seconds",
                              "Time from a chat message to its answer")),
      completions_(counters(registry, "state_engine_bot_completions_total",
                            "Questions to the language model by result, retries included in one")),
      completion_seconds_(seconds(registry, "state_engine_bot_completion_seconds",
                                  "Time of one question to the language model")),
      tokens_(counters(registry, "state_engine_bot_tokens_total",
                       "Tokens as the language model's server counts them")),
      tools_(counters(registry, "state_engine_bot_tool_calls_total",
                      "Calls of tools and actions by end")),
      conflicts_(counters(registry, "state_engine_bot_conflicts_total",
                          "Times the state moved on between reading and acting")
                     .Add({})),
      lost_answers_(counters(registry, "state_engine_bot_lost_answers_total",
                             "Answers that the bus did not take")
                        .Add({})),
      engine_up_(gauge(registry, "state_engine_bot_engine_up", "1 while the engine answers")),
      model_up_(gauge(registry, "state_engine_bot_model_up", "1 while the model answers")) {
  engine_up_.Set(1);
  model_up_.Set(1);
  report();
}

void BotMetrics::on_message(std::string_view end, std::chrono::nanoseconds took) {
  messages_.Add({{"end", std::string(end)}}).Increment();
  if (took.count() > 0) answer_seconds_.Observe(in_seconds(took));
}

void BotMetrics::on_completion(bool ok, std::chrono::nanoseconds took, std::int64_t prompt_tokens,
                               std::int64_t completion_tokens) {
  completions_.Add({{"result", ok ? "ok" : "failed"}}).Increment();
  completion_seconds_.Observe(in_seconds(took));
  // Counters refuse negative numbers, which a hostile server may send.
  if (prompt_tokens > 0) {
    tokens_.Add({{"kind", "prompt"}}).Increment(static_cast<double>(prompt_tokens));
  }
  if (completion_tokens > 0) {
    tokens_.Add({{"kind", "completion"}}).Increment(static_cast<double>(completion_tokens));
  }
}

void BotMetrics::on_tool(std::string_view tool, std::string_view end) {
  tools_.Add({{"tool", std::string(tool)}, {"end", std::string(end)}}).Increment();
}

void BotMetrics::on_conflicts(int count) { conflicts_.Increment(count); }
void BotMetrics::on_lost_answer() { lost_answers_.Increment(); }

void BotMetrics::on_engine(bool up, std::string_view why) {
  engine_up_.Set(up ? 1 : 0);
  is_engine_up_ = up;
  if (!up) why_ = why;
  report();
}

void BotMetrics::on_model(bool up, std::string_view why) {
  model_up_.Set(up ? 1 : 0);
  is_model_up_ = up;
  if (!up) why_ = why;
  report();
}

void BotMetrics::report() {
  const bool up = is_engine_up_ && is_model_up_;
  health_.set("bot", true, up ? "up" : is_engine_up_ ? "no_model" : "no_engine", up ? "" : why_);
}

}  // namespace state_engine
