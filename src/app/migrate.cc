// Entry by entry in (seq, id) order, in pages that are one commit each, so that an interrupted copy
// ends between pages. A page's snapshots are those after its last entries; the last page of a key
// brings the source's own snapshot.

#include "app/migrate.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "base/hex.h"
#include "core/chain.h"

namespace state_engine {
namespace {

using boost::asio::awaitable;

constexpr std::size_t kPage = 100;
constexpr std::size_t kProblemsShown = 20;

using Snapshots = std::map<std::string, SnapshotPtr>;

awaitable<Result<Snapshots>> read_snapshots(StateStore& store) {
  constexpr std::size_t kSnapshotsPage = 500;
  Snapshots out;
  std::string after;
  while (true) {
    auto page = co_await store.scan_snapshots(after, kSnapshotsPage);
    if (!page.ok()) co_return page.error();
    if (page->empty()) co_return out;
    after = page->back()->key;
    for (SnapshotPtr& snapshot : *page) out.emplace(snapshot->key, std::move(snapshot));
  }
}

// The entries after `after`, without the last ones of equal seq if more of those may follow.
awaitable<Result<std::vector<LogEntry>>> read_page(StateStore& store, std::int64_t after) {
  LogQuery query;
  query.after_seq = after;
  query.limit = kPage;
  auto page = co_await store.read_log(query);
  if (!page.ok() || page->size() < kPage) co_return page;
  const std::int64_t last = page->back().seq;
  if (page->front().seq == last) {
    co_return Error{ErrorCode::kInternal, fmt::format("{} entries share seq {}", kPage, last)};
  }
  while (page->back().seq == last) page->pop_back();
  co_return page;
}

SnapshotPtr snapshot_of(const LogEntry& entry) {
  auto out = std::make_shared<Snapshot>();
  out->key = entry.proposal.key;
  if (entry.resulting_value) out->value = *entry.resulting_value;
  out->version = entry.resulting_version.value_or(0);
  out->updated_at = entry.committed_at;
  out->updated_by = entry.proposal.actor;
  out->seq = entry.seq;
  out->mutation_id = entry.proposal.id;
  out->reason = entry.proposal.reason;
  out->metadata = entry.proposal.metadata;
  out->deleted = !entry.resulting_value.has_value();
  if (entry.proposal.ttl && !out->deleted) {
    out->ttl = entry.proposal.ttl;
    out->expires_at = entry.committed_at + *entry.proposal.ttl;
  }
  return out;
}

// A record for state that has none, as documents of the reference have none that we can read.
LogEntry import_entry(const Snapshot& snapshot) {
  LogEntry entry;
  entry.proposal.id =
      "import-" + sha256_hex(fmt::format("{}\n{}", snapshot.key, snapshot.version)).substr(0, 32);
  entry.proposal.op = snapshot.deleted ? Op::kDelete : Op::kSet;
  entry.proposal.key = snapshot.key;
  if (!snapshot.deleted) entry.proposal.value = snapshot.value;
  entry.proposal.actor = snapshot.updated_by.empty() ? "unknown" : snapshot.updated_by;
  entry.proposal.reason = snapshot.reason.empty() ? "imported" : snapshot.reason;
  entry.proposal.ttl = snapshot.ttl;
  entry.proposal.metadata = snapshot.metadata;
  entry.proposal.ts = entry.committed_at = snapshot.updated_at;
  entry.principal = "migrate";
  entry.actor_verified = false;
  entry.accepted = true;
  entry.previous_version = snapshot.version - 1;
  entry.resulting_version = snapshot.version;
  if (!snapshot.deleted) entry.resulting_value = snapshot.value;
  entry.payload_hash = payload_hash(entry.proposal);
  entry.salt = sha256_hex(entry.proposal.id).substr(0, 32);
  return entry;
}

class Migration {
 public:
  explicit Migration(MigratePlan plan) : plan_(std::move(plan)) {}

  awaitable<Result<MigrateReport>> run() {
    SE_CO_RETURN_IF_ERROR(co_await prepare());
    SE_CO_RETURN_IF_ERROR(co_await copy_log());
    SE_CO_RETURN_IF_ERROR(co_await copy_unexplained());
    SE_CO_RETURN_IF_ERROR(co_await copy_rule_states());
    SE_CO_RETURN_IF_ERROR(co_await compare());
    co_return std::move(report_);
  }

 private:
  awaitable<Status> prepare() {
    auto head = co_await plan_.to.head();
    if (!head.ok()) co_return head.error();
    head_ = *head;
    report_.chain_kept = plan_.keep_chain;
    auto snapshots = co_await read_snapshots(plan_.from);
    if (!snapshots.ok()) co_return snapshots.error();
    source_ = std::move(*snapshots);
    LogQuery newest;
    newest.newest_first = true;
    newest.limit = 1;
    auto last = co_await plan_.to.read_log(newest);
    if (!last.ok()) co_return last.error();
    if (last->empty()) {
      auto there = co_await plan_.to.scan_snapshots("", 1);
      if (!there.ok()) co_return there.error();
      if (there->empty()) co_return Status();
      co_return not_a_copy(there->front()->key);
    }
    // A copy that was interrupted: it ends in an entry of the source.
    const std::string id = last->front().proposal.id;
    std::vector<std::string> ids{id};
    auto known = co_await plan_.from.lookup(std::move(ids));
    if (!known.ok()) co_return known.error();
    if (known->front() && known->front()->payload_hash == last->front().payload_hash) {
      resume_after_id_ = id;
      after_seq_ = known->front()->seq - 1;
    } else if (id.starts_with("import-")) {
      log_is_copied_ = true;
    } else {
      co_return not_a_copy("mutation " + id);
    }
    co_return Status();
  }

  static Error not_a_copy(const std::string& what) {
    return {ErrorCode::kFailedPrecondition,
            fmt::format("the target is not empty and no beginning of this copy (it holds {}); name "
                        "an empty directory or project",
                        what)};
  }

  awaitable<Status> copy_log() {
    while (!log_is_copied_) {
      auto page = co_await read_page(plan_.from, after_seq_);
      if (!page.ok()) co_return page.error();
      if (page->empty()) break;
      after_seq_ = page->back().seq;
      report_.entries += static_cast<std::int64_t>(page->size());
      if (!resume_after_id_.empty()) skip_copied(*page);
      for (const LogEntry& entry : *page) {
        SE_CO_RETURN_IF_ERROR(co_await copy_source("policy", entry.policy_revision));
        SE_CO_RETURN_IF_ERROR(co_await copy_source("rules", entry.rule_revision));
      }
      if (!page->empty()) SE_CO_RETURN_IF_ERROR(co_await copy_page(std::move(*page)));
      if (plan_.progress) plan_.progress(report_.entries_copied);
    }
    co_return Status();
  }

  void skip_copied(std::vector<LogEntry>& page) {
    const auto last = std::find_if(page.begin(), page.end(), [this](const LogEntry& entry) {
      return entry.proposal.id == resume_after_id_;
    });
    if (last == page.end()) return;
    page.erase(page.begin(), last + 1);
    resume_after_id_.clear();
  }

  awaitable<Status> copy_source(std::string kind, std::string revision) {
    if (revision.empty() || !sources_.insert(kind + revision).second) co_return Status();
    auto source = co_await plan_.from.source(kind, revision);
    if (!source.ok() && source.error().code == ErrorCode::kNotFound) co_return Status();
    if (!source.ok()) co_return source.error();
    co_return co_await plan_.to.save_source(std::move(*source));
  }

  awaitable<Status> copy_page(std::vector<LogEntry> page) {
    std::vector<std::string> ids;
    ids.reserve(page.size());
    for (const LogEntry& entry : page) ids.push_back(entry.proposal.id);
    auto effects = co_await plan_.from.effects_of(std::move(ids));
    if (!effects.ok()) co_return effects.error();
    CommitBatch batch;
    std::unordered_map<std::string, std::int64_t> seqs;
    for (LogEntry& entry : page) {
      place(entry);
      seqs[entry.proposal.id] = entry.seq;
      batch.entries.push_back(std::move(entry));
    }
    for (OutboxRow& row : *effects) {
      if (row.state != EffectState::kPending) continue;
      row.effect.cause_seq = seqs.at(row.effect.cause_id);
      batch.effects.push_back(std::move(row.effect));
      ++report_.effects;
    }
    co_return co_await commit(std::move(batch));
  }

  // Gives an entry its number and hash in the target.
  void place(LogEntry& entry) {
    if (!plan_.keep_chain) {
      entry.seq = head_.seq + 1;
      entry.engine_id = head_.engine_id;
      entry.prev_hash = head_.hash;
      entry.hash = entry_hash(entry);
    }
    head_.seq = entry.seq;
    head_.hash = entry.hash;
  }

  awaitable<Status> commit(CommitBatch batch) {
    std::map<std::string, SnapshotPtr> after;
    for (const LogEntry& entry : batch.entries) {
      if (!entry.accepted) continue;
      const auto final = source_.find(entry.proposal.key);
      const bool is_final =
          final != source_.end() && final->second->version == entry.resulting_version &&
          (final->second->mutation_id == entry.proposal.id || entry.principal == "migrate");
      SnapshotPtr snapshot = snapshot_of(entry);
      if (is_final) {
        auto own = std::make_shared<Snapshot>(*final->second);
        own->seq = entry.seq;
        own->mutation_id = entry.proposal.id;
        snapshot = std::move(own);
      }
      after[entry.proposal.key] = std::move(snapshot);
    }
    for (auto& [key, snapshot] : after) batch.snapshots.push_back(std::move(snapshot));
    const auto count = static_cast<std::int64_t>(batch.entries.size());
    auto shared = std::make_shared<const CommitBatch>(std::move(batch));
    const CommitReply reply = co_await plan_.to.commit(shared);
    if (reply.outcome != CommitOutcome::kCommitted) {
      co_return Error{
          ErrorCode::kUnavailable,
          fmt::format("the target did not take entries {} to {}: {}; run the same "
                      "command again to go on",
                      shared->entries.front().seq, shared->entries.back().seq, reply.message)};
    }
    report_.entries_copied += count;
    co_return Status();
  }

  // State that no log entry of ours explains.
  awaitable<Status> copy_unexplained() {
    auto there = co_await read_snapshots(plan_.to);
    if (!there.ok()) co_return there.error();
    for (const auto& [key, snapshot] : source_) {
      const auto copied = there->find(key);
      if (copied != there->end() && copied->second->version == snapshot->version) continue;
      if (plan_.keep_chain) {
        co_return Error{ErrorCode::kDataLoss,
                        fmt::format("version {} of {} is in no log entry; run `state-engine "
                                    "verify` on the source",
                                    snapshot->version, key)};
      }
      LogEntry entry = import_entry(*snapshot);
      if (copied != there->end()) entry.previous_version = copied->second->version;
      if (entry.previous_version + 1 != snapshot->version) {
        co_return Error{ErrorCode::kDataLoss,
                        fmt::format("versions between {} and {} of {} are in no log entry",
                                    entry.previous_version, snapshot->version, key)};
      }
      place(entry);
      CommitBatch batch;
      batch.entries.push_back(std::move(entry));
      SE_CO_RETURN_IF_ERROR(co_await commit(std::move(batch)));
      ++report_.imported;
    }
    co_return Status();
  }

  awaitable<Status> copy_rule_states() {
    auto states = co_await plan_.from.rule_states();
    if (!states.ok()) co_return states.error();
    if (states->empty()) co_return Status();
    CommitBatch batch;
    batch.rule_states = std::move(*states);
    auto shared = std::make_shared<const CommitBatch>(std::move(batch));
    const CommitReply reply = co_await plan_.to.commit(std::move(shared));
    if (reply.outcome == CommitOutcome::kCommitted) co_return Status();
    co_return Error{ErrorCode::kUnavailable, reply.message};
  }

  void problem(std::string text) {
    if (report_.problems.size() < kProblemsShown) report_.problems.push_back(std::move(text));
  }

  void compare_entries(const LogEntry& source, const LogEntry& target) {
    const bool same =
        source.proposal.id == target.proposal.id && source.proposal.key == target.proposal.key &&
        source.proposal.op == target.proposal.op && source.accepted == target.accepted &&
        source.code == target.code && source.resulting_version == target.resulting_version &&
        source.payload_hash == target.payload_hash &&
        source.resulting_value == target.resulting_value;
    if (!same) problem(fmt::format("log entry {} differs in the target", source.proposal.id));
    if (plan_.keep_chain && source.hash != target.hash) {
      problem(fmt::format("the hash of log entry {} differs", source.proposal.id));
    }
  }

  awaitable<Status> compare() {
    SE_CO_RETURN_IF_ERROR(co_await compare_logs());
    auto there = co_await read_snapshots(plan_.to);
    if (!there.ok()) co_return there.error();
    if (there->size() != source_.size()) {
      problem(
          fmt::format("{} keys in the source, {} in the target", source_.size(), there->size()));
    }
    for (const auto& [key, snapshot] : source_) {
      ++report_.keys;
      const auto found = there->find(key);
      const bool same = found != there->end() && found->second->version == snapshot->version &&
                        found->second->deleted == snapshot->deleted &&
                        found->second->expires_at == snapshot->expires_at &&
                        found->second->updated_by == snapshot->updated_by &&
                        found->second->updated_at == snapshot->updated_at &&
                        json::equal(found->second->value, snapshot->value);
      if (!same) problem(fmt::format("key {} differs in the target", key));
    }
    co_return Status();
  }

  // Both logs in step, and the target's chain.
  awaitable<Status> compare_logs() {
    std::int64_t from_after = 0;
    std::int64_t to_after = 0;
    std::string hash = genesis_hash();
    std::int64_t count = 0;
    std::vector<LogEntry> waiting;
    while (true) {
      auto source = co_await read_page(plan_.from, from_after);
      if (!source.ok()) co_return source.error();
      if (source->empty()) break;
      from_after = source->back().seq;
      while (waiting.size() < source->size()) {
        auto target = co_await read_page(plan_.to, to_after);
        if (!target.ok()) co_return target.error();
        if (target->empty()) break;
        to_after = target->back().seq;
        for (LogEntry& entry : *target) {
          if (entry.prev_hash != hash || entry_hash(entry) != entry.hash) {
            problem(fmt::format("the chain of the target breaks at seq {}", entry.seq));
          }
          hash = entry.hash;
          waiting.push_back(std::move(entry));
        }
      }
      if (waiting.size() < source->size()) {
        problem(fmt::format("the target lacks log entries after {}", count));
        co_return Status();
      }
      for (std::size_t i = 0; i < source->size(); ++i) compare_entries((*source)[i], waiting[i]);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(source->size()));
      count += static_cast<std::int64_t>(source->size());
    }
    report_.entries = count;
    co_return Status();
  }

  MigratePlan plan_;
  MigrateReport report_;
  StoreHead head_;
  Snapshots source_;
  std::set<std::string> sources_;
  std::string resume_after_id_;
  std::int64_t after_seq_ = 0;
  bool log_is_copied_ = false;
};

}  // namespace

awaitable<Result<MigrateReport>> migrate(MigratePlan plan) {
  Migration migration(std::move(plan));
  co_return co_await migration.run();
}

}  // namespace state_engine
