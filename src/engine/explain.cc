// Engine, explanations: the causal chain of a mutation, read from the log and the outbox.

#include <algorithm>
#include <unordered_set>

#include "base/limits.h"
#include "engine/engine.h"

namespace state_engine {
namespace {

constexpr std::size_t kCausesMax = 32;
constexpr std::size_t kConsequencesMax = 200;
constexpr std::size_t kRejectedShown = 5;

}  // namespace

Engine::Awaitable<Result<std::vector<LogEntry>>> Engine::history(LogQuery query) {
  query.limit = std::min(query.limit, limits::kHistoryPageMax);
  return deps_.store.read_log(std::move(query));
}

Engine::Awaitable<Result<ExplainedMutation>> Engine::with_effects(LogEntry entry) {
  std::vector<std::string> ids{entry.proposal.id};
  auto effects = co_await deps_.store.effects_of(std::move(ids));
  if (!effects.ok()) co_return effects.error();
  co_return ExplainedMutation{std::move(entry), std::move(*effects)};
}

Engine::Awaitable<Result<Explanation>> Engine::explain_mutation(std::string mutation_id) {
  std::vector<std::string> ids{mutation_id};
  auto found = co_await deps_.store.lookup(std::move(ids));
  if (!found.ok()) co_return found.error();
  if (!found->front()) {
    co_return Error{ErrorCode::kNotFound, "no mutation has the id '" + mutation_id + "'"};
  }
  co_return co_await explain(std::move(*found->front()));
}

Engine::Awaitable<Result<Explanation>> Engine::explain_key(std::string key) {
  LogQuery query;
  query.key = key;
  query.newest_first = true;
  query.limit = kConsequencesMax;
  auto entries = co_await deps_.store.read_log(std::move(query));
  if (!entries.ok()) co_return entries.error();
  if (entries->empty()) {
    co_return Error{ErrorCode::kNotFound, "no mutation of the key '" + key + "' is in the log"};
  }
  auto accepted = std::find_if(entries->begin(), entries->end(),
                               [](const LogEntry& entry) { return entry.accepted; });
  std::vector<LogEntry> rejected;
  if (accepted == entries->end()) {
    accepted = entries->begin();  // only refused attempts: explain the newest
  } else {
    const auto shown = std::min<std::ptrdiff_t>(accepted - entries->begin(), kRejectedShown);
    rejected.assign(entries->begin(), entries->begin() + shown);
  }
  auto explanation = co_await explain(*accepted);
  if (explanation.ok()) explanation->rejected_since = std::move(rejected);
  co_return explanation;
}

Engine::Awaitable<Result<Explanation>> Engine::explain(LogEntry subject) {
  Explanation explanation;
  auto explained = co_await with_effects(std::move(subject));
  if (!explained.ok()) co_return explained.error();
  explanation.subject = std::move(*explained);
  SE_CO_RETURN_IF_ERROR(co_await add_causes(explanation));
  SE_CO_RETURN_IF_ERROR(co_await add_consequences(explanation));
  std::vector<std::string> keys{explanation.subject.entry.proposal.key};
  auto read_now = co_await read(std::move(keys));
  if (!read_now.ok()) co_return read_now.error();
  const SnapshotPtr current = read_now->front();
  if (current != nullptr && current->visible_at(now())) explanation.current = current;
  co_return explanation;
}

Engine::Awaitable<Status> Engine::add_causes(Explanation& explanation) {
  // causationId is the proposer's word and may lead in a circle.
  std::unordered_set<std::string> seen{explanation.subject.entry.proposal.id};
  std::string cause = explanation.subject.entry.proposal.causation_id;
  while (!cause.empty() && explanation.causes.size() < kCausesMax && seen.insert(cause).second) {
    std::vector<std::string> ids{cause};
    auto found = co_await deps_.store.lookup(std::move(ids));
    if (!found.ok()) co_return found.error();
    if (!found->front()) break;  // caused by something outside this log
    auto explained = co_await with_effects(std::move(*found->front()));
    if (!explained.ok()) co_return explained.error();
    cause = explained->entry.proposal.causation_id;
    explanation.causes.push_back(std::move(*explained));
  }
  std::reverse(explanation.causes.begin(), explanation.causes.end());
  co_return Status();
}

Engine::Awaitable<Status> Engine::add_consequences(Explanation& explanation) {
  std::vector<std::string> open{explanation.subject.entry.proposal.id};
  std::unordered_set<std::string> seen(open.begin(), open.end());
  while (!open.empty() && explanation.consequences.size() < kConsequencesMax) {
    LogQuery query;
    query.causation_id = open.front();
    query.limit = kConsequencesMax;
    open.erase(open.begin());
    auto entries = co_await deps_.store.read_log(std::move(query));
    if (!entries.ok()) co_return entries.error();
    for (LogEntry& entry : *entries) {
      if (explanation.consequences.size() == kConsequencesMax) break;
      if (!seen.insert(entry.proposal.id).second) continue;
      open.push_back(entry.proposal.id);
      auto explained = co_await with_effects(std::move(entry));
      if (!explained.ok()) co_return explained.error();
      explanation.consequences.push_back(std::move(*explained));
    }
  }
  co_return Status();
}

}  // namespace state_engine
