// Engine, explanations of one rule: the condition is not remembered but computed again, from the
// rule source of that revision and the values that the log has for the versions read then.

#include <map>
#include <utility>

#include "engine/engine.h"
#include "rules/why_not.h"

namespace state_engine {
namespace {

// A transaction or batch may change what a rule reads after the entry that it runs for.
constexpr std::int64_t kSeqReach = 1000;
constexpr std::size_t kPage = 200;

// The other keys as the rule saw them.
class PastState final : public StateLookup {
 public:
  const Snapshot* find(std::string_view key) const override {
    const auto found = snapshots.find(key);
    return found != snapshots.end() ? &found->second : nullptr;
  }

  std::map<std::string, Snapshot, std::less<>> snapshots;
};

Snapshot snapshot_after(const LogEntry& entry) {
  Snapshot snapshot;
  snapshot.key = entry.proposal.key;
  snapshot.value = entry.resulting_value.value_or(json::Value());
  snapshot.version = *entry.resulting_version;
  snapshot.updated_at = entry.committed_at;
  snapshot.updated_by = entry.proposal.actor;
  snapshot.seq = entry.seq;
  snapshot.mutation_id = entry.proposal.id;
  snapshot.reason = entry.proposal.reason;
  snapshot.metadata = entry.proposal.metadata;
  snapshot.deleted = !entry.resulting_value.has_value();
  return snapshot;
}

// Why no rule at all ran on `entry`; empty if they ran.
std::string why_no_rules(const LogEntry& entry) {
  if (!entry.accepted) return "the mutation was rejected, and rules run on accepted ones only";
  for (const RuleRecord& record : entry.rules) {
    if (record.rule_id.empty()) return "no rule took effect on this mutation: " + record.error;
  }
  return "";
}

}  // namespace

Engine::Awaitable<Result<std::optional<Snapshot>>> Engine::past_snapshot(std::string key,
                                                                         std::int64_t version,
                                                                         std::int64_t near_seq) {
  std::optional<Snapshot> found;
  std::int64_t before = near_seq + kSeqReach;
  while (version > 0) {
    LogQuery query;
    query.key = key;
    query.newest_first = true;
    query.before_seq = before;
    query.limit = kPage;
    auto page = co_await deps_.store.read_log(std::move(query));
    if (!page.ok()) co_return page.error();
    for (const LogEntry& entry : *page) {
      if (!entry.accepted || entry.resulting_version != version) continue;
      Snapshot snapshot = snapshot_after(entry);
      if (!snapshot.deleted) found = std::move(snapshot);
      co_return found;
    }
    if (page->size() < kPage) break;
    before = page->back().seq;
  }
  if (version > 0) {
    co_return Error{ErrorCode::kDataLoss,
                    "version " + std::to_string(version) + " of '" + key + "' is not in the log"};
  }
  co_return found;
}

Engine::Awaitable<Result<RuleVerdict>> Engine::explain_rule(LogEntry entry, std::string rule_id) {
  RuleVerdict verdict;
  verdict.rule_id = rule_id;
  verdict.rule_revision = entry.rule_revision;
  verdict.stored.rule_id = rule_id;
  verdict.not_a_candidate = why_no_rules(entry);
  if (!verdict.not_a_candidate.empty()) co_return verdict;

  auto source = co_await deps_.store.source("rules", entry.rule_revision);
  if (!source.ok()) co_return source.error();
  auto parsed = json::parse(source->text, json::trusted_limits());
  if (!parsed.ok()) co_return Error{ErrorCode::kDataLoss, parsed.error().message};
  const RuleSetLoad load = RuleSet::load(*parsed);
  if (!load.ok()) {
    co_return Error{ErrorCode::kDataLoss, "the rules of revision " + entry.rule_revision +
                                              " do not load: " + load.problems.front().message};
  }
  const Rule* rule = load.rules->find(rule_id);
  if (rule == nullptr) {
    verdict.not_a_candidate = "the rules in force then had no rule of this id";
    co_return verdict;
  }
  const Snapshot after = snapshot_after(entry);
  verdict.not_a_candidate = why_not_a_candidate(*rule, after.key, after.value);
  if (!verdict.not_a_candidate.empty()) co_return verdict;

  // A candidate without a record did not match, did not fail and read no other key.
  for (const RuleRecord& record : entry.rules) {
    if (record.rule_id == rule_id) verdict.stored = record;
  }
  PastState state;
  if (!after.deleted) state.snapshots.emplace(after.key, after);
  for (const auto& [key, version] : verdict.stored.reads) {
    auto read = co_await past_snapshot(key, version, entry.seq);
    if (!read.ok()) co_return read.error();
    state.snapshots.erase(key);
    if (*read) state.snapshots.emplace(key, std::move(**read));
  }
  auto before = co_await past_snapshot(after.key, entry.previous_version, entry.seq);
  if (!before.ok()) co_return before.error();
  const ChangeContext change{entry, *before ? &**before : nullptr, after};
  verdict.tree = load.rules->explain(*rule, change, state);
  // An action that fails is stored as an error too, but beside a condition that matched.
  const bool same_error = verdict.tree.error.empty() || verdict.tree.error == verdict.stored.error;
  verdict.agrees = verdict.tree.matched == verdict.stored.matched && same_error;
  co_return verdict;
}

}  // namespace state_engine
