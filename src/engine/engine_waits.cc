// Engine, rules over time: waits that end, what rules remember across starts, and what they did
// last.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/limits.h"
#include "engine/engine.h"
#include "engine/rule_records.h"

namespace state_engine {

namespace asio = boost::asio;

namespace {

// The process log: failures, and at debug everything.
void tell(Log& log, const RuleEvaluation& evaluation) {
  LogLevel level = LogLevel::kDebug;
  if (!evaluation.error.empty()) level = LogLevel::kWarn;
  if (!log.enabled(level)) return;
  log.write(level, rule_words(evaluation),
            {{"rule", evaluation.rule_id},
             {"key", evaluation.key},
             {"mutationId", evaluation.mutation_id},
             {"seq", evaluation.seq}});
}

}  // namespace

// ---- Waits in the writer ---------------------------------------------------------------------

bool Engine::waits_are_due() {
  // Waits that could not be committed are tried again after a while, by watch_expiry().
  if (stopping_ || expiries_refused_) return false;
  const auto next = memories_.next_deadline();
  return next.has_value() && *next <= clock_.now();
}

std::vector<std::string> Engine::end_waits(BatchBuilder& builder, Timestamp now) {
  std::vector<std::string> names = memories_.take_due(now, limits::kWaitsEndedTogether);
  for (const std::string& name : names) builder.end_wait(name);
  return names;
}

void Engine::requeue_waits(const std::vector<std::string>& names) {
  if (names.empty()) return;
  memories_.requeue(names);
  expiries_refused_ = true;
  deps_.expiry_timer.wake();
}

void Engine::install_rules(const BatchBuilder& builder, bool saved) {
  const auto before = memories_.next_deadline();
  for (const auto& [name, remembered] : builder.memories()) {
    const Remembered* known = memories_.find(name);
    const bool other = known == nullptr || known->memory != remembered.memory;
    memories_.put(name, remembered);
    if (!saved && other) memories_.mark_unsaved(name);
  }
  for (const RuleEvaluation& evaluation : builder.evaluations()) {
    tell(deps_.log, evaluation);
    recent_.add(evaluation);
  }
  const auto after = memories_.next_deadline();
  if (after && (!before || *after < *before)) deps_.expiry_timer.wake();
}

Engine::Awaitable<std::vector<RuleEvaluation>> Engine::recent_rules(std::string rule_id,
                                                                    std::size_t limit) {
  auto on_strand = [this, rule_id = std::move(rule_id),
                    limit]() -> Awaitable<std::vector<RuleEvaluation>> {
    co_return recent_.newest(rule_id, limit);
  };
  co_return co_await asio::co_spawn(deps_.strand, std::move(on_strand), asio::use_awaitable);
}

// ---- Start -----------------------------------------------------------------------------------

Engine::Awaitable<Result<RuleSetPtr>> Engine::rules_of(std::string revision) {
  auto source = co_await deps_.store.source("rules", revision);
  if (!source.ok()) co_return source.error();
  auto parsed = json::parse(source->text, json::trusted_limits());
  if (!parsed.ok()) co_return Error{ErrorCode::kDataLoss, parsed.error().message};
  const RuleSetLoad load = RuleSet::load(*parsed);
  if (!load.ok()) {
    co_return Error{ErrorCode::kDataLoss, "the rules of revision " + revision +
                                              " do not load: " + load.problems.front().message};
  }
  co_return load.rules;
}

Engine::Awaitable<Status> Engine::load_memories(const EngineConfig& config) {
  auto states = co_await deps_.store.rule_states();
  if (!states.ok()) co_return states.error();
  memories_.load(*states);
  RuleSetPtr before;
  if (!states->empty()) {
    LogQuery newest;
    newest.newest_first = true;
    newest.limit = 1;
    auto last = co_await deps_.store.read_log(std::move(newest));
    if (!last.ok()) co_return last.error();
    if (!last->empty() && last->front().rule_revision == config.rules->revision()) {
      before = config.rules;
    } else if (!last->empty()) {
      auto rules = co_await rules_of(last->front().rule_revision);
      if (rules.ok()) before = *rules;
      if (!rules.ok() && rules.error().code == ErrorCode::kUnavailable) co_return rules.error();
      if (!rules.ok()) {
        deps_.log.warn("the rules of before are not known: all of them begin anew",
                       {{"error", rules.error().message}});
      }
    }
  }
  memories_.adopt(config.rules, before.get(), index_.view(), clock_.now());
  co_return co_await load_waits(memories_.waiting());
}

Engine::Awaitable<Status> Engine::load_waits(std::vector<std::string> names) {
  for (const std::string& name : names) {
    const std::string key(key_of_memory(name));
    const SnapshotPtr after = index_.view().find(key);
    if (after == nullptr) continue;  // end_wait() lets go of it
    auto entry = co_await past_entry(key, after->version, after->seq);
    if (!entry.ok()) co_return entry.error();
    auto before = co_await past_snapshot(key, entry->previous_version, entry->seq);
    if (!before.ok()) co_return before.error();
    SnapshotPtr previous;
    if (*before) previous = std::make_shared<const Snapshot>(std::move(**before));
    const RuleMemory memory = memories_.find(name)->memory;
    memories_.put(name, {memory, make_last_change(*entry, std::move(previous), after)});
  }
  co_return Status();
}

}  // namespace state_engine
