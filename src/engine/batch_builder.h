// BatchBuilder: decides proposals one after the other and gathers what one commit will write.
//
// Pure and synchronous: it reads a revision of the index, a policy, rules and a given time, and
// changes nothing but itself (and rate tokens). Each proposal is decided against committed state,
// plus what a batch decided whose commit is under way, plus what earlier proposals of this batch
// decided. Rules run on each accepted change at once; what they derive is decided in the same pass,
// breadth first, in file order.
//
// Invariants: (I1) seq grows by one per entry, versions of a key by one per accepted entry.
//   (I3) an id is decided once; a repetition is answered from its record. (I6) a rejected proposal
//   leaves its own entry and nothing else. (I7) a conditional proposal is accepted only at exactly
//   its expected version. (I11) a root whose rules exceed the budget is rejected as a whole.
//   (I10) an effect has its cause in the same batch, a rule that fires after a wait too.
//   (I12) a write to a key past its deadline is preceded by the key's own expire entry.
//
// Ownership: what the environment refers to outlives the builder.
// Threads:   the engine strand.

#ifndef STATE_ENGINE_ENGINE_BATCH_BUILDER_H_
#define STATE_ENGINE_ENGINE_BATCH_BUILDER_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "core/apply.h"
#include "core/policy.h"
#include "engine/decisions.h"
#include "engine/rate_limiter.h"
#include "engine/recent_rules.h"
#include "engine/rule_memories.h"
#include "engine/snapshot_index.h"
#include "ports/state_store.h"
#include "rules/rule_set.h"

namespace state_engine {

class BatchBuilder;

struct DecisionEnvironment {
  SnapshotView base;
  std::shared_ptr<const Policy> policy;
  RuleSetPtr rules;
  RateLimiter& rates;
  const RuleMemories& memories;
  Random& random;
  StoreHead head;
  Timestamp now{};
  std::chrono::nanoseconds monotonic_now{};
  // A batch that was taken and is not part of `base`; null = none. What is decided on top of it
  // must not be committed before it, nor at all if it is not.
  std::shared_ptr<const BatchBuilder> ahead = nullptr;
};

class BatchBuilder final : private StateLookup, private MemoryLookup {
 public:
  explicit BatchBuilder(DecisionEnvironment environment);

  // The time of what is decided.
  Timestamp now() const { return env_.now; }
  // What follows is decided at this time. REQUIRES: not before the time of what was decided.
  void go_on_at(Timestamp now, std::chrono::nanoseconds monotonic_now);

  // Decides one proposal. `known` is the stored record of its id, or null. With a `fault`, which
  // the door found, it is recorded as rejected for that. A dry run answers the same and leaves no
  // trace.
  MutationResult decide(const Proposal& proposal, const Origin& origin, bool dry_run,
                        const LogEntry* known, const PolicyDenial* fault = nullptr);

  // Decides a transaction. `known[i]` is the stored record of member i's id, or null.
  // REQUIRES: 1 to kTransactionMembersMax members; known.size() == members.size().
  TransactionResult decide_transaction(const TransactionProposal& transaction, const Origin& origin,
                                       bool dry_run, std::span<const LogEntry* const> known);

  // Commits the expiry of `key` if its deadline has come.
  void expire_if_due(std::string_view key);

  // Ends the wait of a rule for a key (memory_name), if its time has come: the rule fires, which is
  // a mutation of the engine's own key for it, the cause of all that the rule then does (I10).
  void end_wait(const std::string& name);

  // What rules remember now, and which of them were run.
  const std::unordered_map<std::string, Remembered>& memories() const { return memories_; }
  const std::vector<RuleEvaluation>& evaluations() const { return evaluations_; }

  // REQUIRES: before take().
  bool empty() const { return entries_.empty(); }

  // Keys whose state decided something without being changed: refusals, what rules read, what
  // policies require.
  // REQUIRES: before take().
  std::vector<std::string> keys_read_only() const;

  // Hashes the entries so far, which can then not be rolled back; take() has less to do.
  void chain();

  // Chains the entries and hands the batch over, which must not change any more once others decide
  // on top of it. Nothing can be decided here afterwards.
  std::shared_ptr<CommitBatch> take();

  // The end of the log after this batch. REQUIRES: after take().
  StoreHead head() const;

  // The accepted entries, in seq order. REQUIRES: after take(). Valid as long as the builder.
  std::vector<CommittedChange> changes() const;

  // The keys that this batch changes.
  std::vector<std::string> changed_keys() const;

 private:
  // What rollback() returns to.
  struct Mark {
    std::size_t entries, effects, snapshot_undo, memory_undo, evaluations;
  };
  struct SnapshotUndo {
    std::string key;
    SnapshotPtr previous;  // null: the key was not in the overlay
  };
  struct MemoryUndo {
    std::string name;
    std::optional<Remembered> previous;
  };
  // A change whose rules have not run yet.
  struct Pending {
    std::size_t entry;
    SnapshotPtr before;  // as readers saw it; null = nothing
    SnapshotPtr after;
    int depth;
  };
  // How one proposal is to be decided.
  struct Decision {
    const Proposal& proposal;
    const Origin& origin;
    std::string payload_hash;
    std::string transaction_id;
    bool internal = false;  // expiry or derived: no rate, reserved actor allowed
    bool dry_run = false;
    bool firing = false;  // the end of a wait: beyond policy, on a key of the engine's own
  };

  // StateLookup and MemoryLookup, for the rules.
  const Snapshot* find(std::string_view key) const override;
  std::optional<RuleMemory> memory(std::string_view rule_id, std::string_view key) const override;

  Mark mark() const;
  void rollback(const Mark& mark);

  SnapshotPtr latest(std::string_view key) const;
  // What this batch or the one ahead made of `key`; null = neither changed it.
  const SnapshotPtr* changed(std::string_view key) const;
  const LogEntry* own_record(const std::string& id) const;
  const LogEntry* record(const std::string& id, const LogEntry* known) const;
  MutationResult answer_again(const LogEntry& entry, const std::string& hash) const;

  // The expiry of `key` if its deadline has come.
  std::optional<Proposal> due_expiry(std::string_view key) const;

  MutationResult decide_root(const Decision& decision);
  // Decides without running rules; an accepted change is appended to `pending`.
  MutationResult decide_one(const Decision& decision, int depth, std::vector<Pending>& pending);
  std::optional<PolicyDenial> admit(const Decision& decision, const PolicyRule* rule,
                                    const Snapshot* current, MutationResult& result);
  MutationResult accept(const Decision& decision, const PolicyRule* rule, SnapshotPtr current,
                        Applied applied, int depth, std::vector<Pending>& pending);
  MutationResult reject(const Decision& decision, const PolicyRule* rule, RejectionCode code,
                        std::string error);
  // `proposal` is the decision's, fit for a record.
  LogEntry& append(const Decision& decision, Proposal proposal, const PolicyRule* rule,
                   std::int64_t previous_version);
  void put(SnapshotPtr snapshot);

  // Runs the rules on `pending` and on all that follows from it; false if over the budget.
  bool run_rules(std::vector<Pending> pending, std::vector<MutationResult>& derived,
                 std::string& fault);
  void apply_outcome(const Pending& cause, const RuleOutcome& outcome,
                     std::vector<Pending>& pending, std::vector<MutationResult>& derived);
  bool within_budget(const Pending& cause, const RuleOutcome& outcome, int& firings,
                     std::string& fault) const;
  // Remembers what `outcome` says; `last` is the change as waits keep it, made when first needed.
  void remember(const Pending& cause, const RuleOutcome& outcome, LastChangePtr& last);
  const Remembered* remembered(const std::string& name) const;
  const Remembered* remembered_before(const std::string& name) const;
  void set_memory(const std::string& name, Remembered value);
  void record_firing(const std::string& name, const Remembered& ended, const RuleOutcome& outcome);
  std::vector<Effect> effects_since(std::size_t from) const;

  TransactionResult transaction_again(const TransactionProposal& transaction,
                                      std::span<const LogEntry* const> records,
                                      std::span<const std::string> hashes) const;
  TransactionResult run_transaction(const TransactionProposal& transaction,
                                    std::span<const std::string> hashes, const Origin& origin,
                                    bool dry_run);
  void give_back_rates(std::span<const Proposal> members);
  TransactionResult abort_transaction(const TransactionProposal& transaction,
                                      std::span<const std::string> hashes, const Origin& origin,
                                      bool dry_run, std::size_t failed, MutationResult cause);

  DecisionEnvironment env_;
  std::deque<LogEntry> entries_;        // references stay valid while it grows
  std::size_t chained_ = 0;             // how many of them have their hashes
  std::shared_ptr<CommitBatch> taken_;  // has the entries after take()
  std::vector<SnapshotPtr> befores_;    // per entry: what readers saw before; for changes()
  std::vector<SnapshotPtr> afters_;     // per entry: the new snapshot; null if rejected
  std::vector<Effect> effects_;
  std::map<std::string, SnapshotPtr, std::less<>> overlay_;
  // Snapshots of the base revision that decisions looked at, as objects.
  mutable std::map<std::string, SnapshotPtr, std::less<>> unpacked_;
  std::unordered_map<std::string, std::size_t> ids_;  // mutation id -> entry
  std::unordered_map<std::string, Remembered> memories_;
  std::vector<RuleEvaluation> evaluations_;
  std::vector<SnapshotUndo> snapshot_undo_;
  std::vector<MemoryUndo> memory_undo_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_BATCH_BUILDER_H_
