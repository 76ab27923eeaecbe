// Engine, explanations of one rule: the condition is not remembered but computed again, from the
// rule source of that revision and the values that the log has for the versions read then.

#include <map>
#include <optional>
#include <utility>

#include "core/chain.h"
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

// What a mutation says that records the end of a rule's wait.
struct EndedWait {
  std::string rule_id;
  std::string key;
  std::int64_t version = 0;
};

std::optional<EndedWait> ended_wait(const LogEntry& entry) {
  const Proposal& proposal = entry.proposal;
  if (proposal.actor != "state-engine" || !proposal.key.starts_with(kFiringPrefix)) return {};
  if (!proposal.value.has_value() || !proposal.value->is_object()) return {};
  const json::Object& value = proposal.value->get_object();
  return EndedWait{json::find_string(value, "rule").value_or(""),
                   json::find_string(value, "key").value_or(""),
                   json::find_int(value, "version").value_or(0)};
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

Engine::Awaitable<Result<LogEntry>> Engine::past_entry(std::string key, std::int64_t version,
                                                       std::int64_t near_seq) {
  std::int64_t before = near_seq + kSeqReach;
  while (true) {
    LogQuery query;
    query.key = key;
    query.newest_first = true;
    query.before_seq = before;
    query.limit = kPage;
    auto page = co_await deps_.store.read_log(std::move(query));
    if (!page.ok()) co_return page.error();
    for (LogEntry& entry : *page) {
      if (entry.accepted && entry.resulting_version == version) co_return std::move(entry);
    }
    if (page->size() < kPage) break;
    before = page->back().seq;
  }
  co_return Error{ErrorCode::kDataLoss,
                  "version " + std::to_string(version) + " of '" + key + "' is not in the log"};
}

Engine::Awaitable<Result<std::optional<Snapshot>>> Engine::past_snapshot(std::string key,
                                                                         std::int64_t version,
                                                                         std::int64_t near_seq) {
  std::optional<Snapshot> found;
  if (version == 0) co_return found;
  auto entry = co_await past_entry(std::move(key), version, near_seq);
  if (!entry.ok()) co_return entry.error();
  Snapshot snapshot = snapshot_after(*entry);
  if (!snapshot.deleted) found = std::move(snapshot);
  co_return found;
}

Engine::Awaitable<Result<RuleVerdict>> Engine::explain_rule(LogEntry entry, std::string rule_id) {
  RuleVerdict verdict;
  verdict.rule_id = rule_id;
  verdict.rule_revision = entry.rule_revision;
  verdict.stored.rule_id = rule_id;
  verdict.not_a_candidate = why_no_rules(entry);
  if (!verdict.not_a_candidate.empty()) co_return verdict;

  const EngineConfig now = co_await config();
  RuleSetPtr rules = now.rules;
  if (rules->revision() != entry.rule_revision) {
    auto past = co_await rules_of(entry.rule_revision);
    if (!past.ok()) co_return past.error();
    rules = *past;
  }
  const Rule* rule = rules->find(rule_id);
  if (rule == nullptr) {
    verdict.not_a_candidate = "the rules in force then had no rule of this id";
    co_return verdict;
  }
  // A candidate without a record did not match, did not fail and read no other key.
  for (const RuleRecord& record : entry.rules) {
    if (record.rule_id == rule_id) verdict.stored = record;
  }
  const std::int64_t seq = entry.seq;
  if (const auto wait = ended_wait(entry)) {
    if (wait->rule_id != rule_id) {
      verdict.not_a_candidate =
          "this mutation records that rule '" + wait->rule_id + "' fired; no other rule runs on it";
      co_return verdict;
    }
    auto change = co_await past_entry(wait->key, wait->version, seq);
    if (!change.ok()) co_return change.error();
    entry = std::move(*change);
  }
  const Snapshot after = snapshot_after(entry);
  verdict.not_a_candidate = why_not_a_candidate(*rule, after.key, after.value);
  if (!verdict.not_a_candidate.empty()) co_return verdict;

  PastState state;
  if (!after.deleted) state.snapshots.emplace(after.key, after);
  for (const auto& [key, version] : verdict.stored.reads) {
    auto read = co_await past_snapshot(key, version, seq);
    if (!read.ok()) co_return read.error();
    state.snapshots.erase(key);
    if (*read) state.snapshots.emplace(key, std::move(**read));
  }
  auto before = co_await past_snapshot(after.key, entry.previous_version, seq);
  if (!before.ok()) co_return before.error();
  const ChangeContext change{entry, *before ? &**before : nullptr, after};
  verdict.tree = rules->explain(*rule, change, state);
  // An action that fails is stored as an error too, but beside a condition that matched.
  const bool same_error = verdict.tree.error.empty() || verdict.tree.error == verdict.stored.error;
  verdict.agrees = verdict.tree.matched == verdict.stored.matched && same_error;
  co_return verdict;
}

}  // namespace state_engine
