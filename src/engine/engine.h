// Engine: the single writer, and the readers' way to committed state.
//
// All decisions are made on one strand, in groups: while one group commits, the next gathers and is
// decided on top of it (group commit; group_commit.cc). A proposer is answered after its group is
// durable, never before (I4). A commit that surely failed answers `unavailable`; one whose outcome
// is unknown is resolved by looking the ids up (I15), and if even that fails the engine stops for
// good and calls on_fatal: the owner ends the process, and the next start reads the truth from the
// store.
//
// Ownership: the dependencies outlive the engine.
// Threads:   propose, propose_transaction, view, now, history, explain: from any thread or
//            executor; awaitables resume on the caller's executor. start, reload and stop: one
//            caller. Change listeners are called on the strand and must not block.
// Errors:    proposals always get a result; reads return the store's errors.

#ifndef STATE_ENGINE_ENGINE_ENGINE_H_
#define STATE_ENGINE_ENGINE_ENGINE_H_

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "base/random.h"
#include "core/policy.h"
#include "engine/batch_builder.h"
#include "engine/decisions.h"
#include "engine/engine_clock.h"
#include "engine/engine_parts.h"
#include "engine/expiry_queue.h"
#include "engine/explanation.h"
#include "engine/observer.h"
#include "engine/outbox.h"
#include "engine/proposal_lane.h"
#include "engine/recent_rules.h"
#include "engine/rule_memories.h"
#include "engine/snapshot_index.h"
#include "engine/work.h"
#include "ports/shared_store.h"
#include "ports/state_store.h"
#include "rules/rule_set.h"

namespace state_engine {

class Engine {
 public:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using ChangeListener = std::function<void(std::span<const CommittedChange>)>;

  explicit Engine(EngineDependencies dependencies);
  // REQUIRES: stop() was awaited, or start() never succeeded.
  ~Engine();

  // Adds a listener for committed changes. REQUIRES: before start().
  void add_change_listener(ChangeListener listener);

  // Loads the state and begins to decide. Cost: O(keys).
  Awaitable<Status> start(EngineConfig config);

  // Decides by `config` from the next group on.
  Awaitable<Status> reload(EngineConfig config);

  // Refuses new proposals, decides those that wait, commits, stops delivering effects.
  Awaitable<void> stop();

  Awaitable<MutationResult> propose(Proposal proposal, Origin origin, ProposeOptions options = {});

  // Decides proposals in their order and in one commit, each for itself. What follows a refused one
  // for the same key is answered `unavailable`, so that sending them again keeps the order; with a
  // `lane` over several calls at a time. REQUIRES: at most kCommitBatchMax; no lane if is_shared().
  Awaitable<std::vector<MutationResult>> propose_in_order(
      std::vector<Submission> submissions, std::shared_ptr<ProposalLane> lane = nullptr);

  // Sets member ids and gives every member the transaction's actor and reason as they come.
  // Errors: too many or no members, duplicate keys are fine: answered `invalid_proposal`.
  Awaitable<TransactionResult> propose_transaction(TransactionProposal transaction, Origin origin,
                                                   ProposeOptions options = {});

  // The last committed revision. Never waits for a commit.
  SnapshotView view() const { return index_.view(); }

  // True if others write to the same store. Then view() is a guess; readers get the next two.
  bool is_shared() const { return deps_.store.shared() != nullptr; }

  // The present snapshots of keys, in the order asked, tombstones included; null = never set.
  Awaitable<Result<std::vector<SnapshotPtr>>> read(std::vector<std::string> keys);

  // REQUIRES: is_shared(). Errors: as SharedStore.
  Awaitable<Result<PrefixPage>> read_prefix(PrefixQuery query);

  // The time that decides whether a value is visible.
  Timestamp now() { return clock_.now(); }

  Awaitable<Result<std::vector<LogEntry>>> history(LogQuery query);

  // Errors: kNotFound if there is no such mutation, or no mutation of the key.
  Awaitable<Result<Explanation>> explain_mutation(std::string mutation_id);
  Awaitable<Result<Explanation>> explain_key(std::string key);

  // Why `rule_id` did or did not match `entry`, an entry of the log: the rule source of that
  // revision is evaluated again over the values that the log has for the versions read then.
  // Errors: kNotFound if the rules of that revision were not kept. Cost: log reads per key read.
  Awaitable<Result<RuleVerdict>> explain_rule(LogEntry entry, std::string rule_id);

  // What rules did lately, the newest first; of `rule_id` only, if it is not empty.
  Awaitable<std::vector<RuleEvaluation>> recent_rules(std::string rule_id, std::size_t limit);

  // The configuration in force.
  Awaitable<EngineConfig> config();

 private:
  void submit(Work work);
  void spawn(std::function<Awaitable<void>()> task);

  // The writer (group_commit.cc).
  struct Decided;
  struct Group;
  Awaitable<void> drain();
  // Takes what waits, up to the bounds of one commit, to what the group has.
  std::vector<Work> take_works(Group& group);
  bool has_room(const Group& group) const;
  // Decides what waits, on top of `ahead`, whose commit is under way (null = none); returns when
  // that commit has ended. Null if nothing waited.
  Awaitable<std::shared_ptr<Group>> prepare(std::shared_ptr<const Group> ahead);
  Awaitable<void> wait_for_work(const Group& ahead, const Group* group);
  std::shared_ptr<Group> open_group(const Group* ahead);
  // Whether what waits may be decided while `ahead` commits, as part of `group` (null = a new one).
  bool may_decide_on(const Group& ahead, const Group* group) const;
  bool is_of_this_configuration(const Group& group) const;
  // True if so much waits that it should be decided while another group commits.
  bool is_worth_deciding() const;
  Awaitable<void> decide_into(Group& group, std::vector<Work> works);
  void begin_commit(const std::shared_ptr<Group>& group);
  void conclude(Group& group);
  void give_up(Group& group);
  void wake_drain();
  std::shared_ptr<Decided> open_decision(std::shared_ptr<const BatchBuilder> ahead);
  Awaitable<Result<Records>> look_up(const std::vector<Work>& group);
  static void decide_sequence(SequenceWork& sequence, const Records& records,
                              BatchBuilder& builder);
  void decide_group(std::vector<Work>& group, const Records& records, BatchBuilder& builder);
  // Puts keys whose expiry could not be committed back into the queue.
  void requeue_expiries(const std::vector<std::string>& keys);
  void queue_expiries_again(const std::vector<Work>& group);
  Awaitable<CommitOutcome> commit(std::shared_ptr<const CommitBatch> batch);
  Awaitable<CommitOutcome> resolve(const CommitBatch& batch);
  void install(const CommitBatch& batch, std::span<const CommittedChange> changes);
  // Takes over what rules remember and did; `saved` says whether that is in the store.
  void install_rules(const BatchBuilder& builder, bool saved);
  bool waits_are_due();
  // Ends waits whose time has come, before anything else is decided at this time.
  std::vector<std::string> end_waits(BatchBuilder& builder, Timestamp now);
  void requeue_waits(const std::vector<std::string>& names);
  // What rules remembered when the engine stopped, with the changes that they wait on.
  Awaitable<Status> load_memories(const EngineConfig& config);
  // Finds the changes that these waits of rules wait on.
  Awaitable<Status> load_waits(std::vector<std::string> names);
  Awaitable<Result<RuleSetPtr>> rules_of(std::string revision);
  void answer(std::vector<Work>& group);
  void refuse(Work& work, std::string_view why);
  void refuse_group(std::vector<Work>& group, std::string_view why);

  // Stores that other engines write to (engine_shared.cc). A group is decided again until all that
  // the decisions rest on has been refreshed (null if that failed).
  Awaitable<void> write_group(std::vector<Work> group);
  Awaitable<std::shared_ptr<Decided>> decide_surely(std::vector<Work>& group,
                                                    const Records& records);
  Awaitable<Status> refresh(std::vector<std::string> keys, int attempt);
  void absorb(const std::string& key, const SnapshotPtr& snapshot);
  std::vector<std::string> absorb(const std::vector<RuleState>& states);
  // Keys that the decisions of `builder` rest on and that no precondition of the commit guards.
  static std::vector<std::string> unguarded_keys(const std::vector<Work>& group,
                                                 const BatchBuilder& builder);
  void undo(const Decided& decided);
  Awaitable<void> after_failed_commit(std::vector<Work> group, const Decided& decided,
                                      const CommitBatch& batch, CommitOutcome outcome);
  Awaitable<void> write_again(std::vector<Work> group, std::vector<std::string> keys);
  Awaitable<void> write_smaller(std::vector<Work> group);
  Awaitable<void> write_halves(std::vector<Work> group);
  // Of one sequence; once something of it is refused as `unavailable`, so is all that follows.
  Awaitable<void> write_parts(Work work);
  static bool has_parts(const Work& work);
  Awaitable<Status> resynchronize();
  // What other engines may have left: effects to send, values that are overdue.
  Awaitable<void> look_around();
  void fail(std::string message);
  Awaitable<void> watch_expiry();
  void start_outbox();
  Awaitable<Status> load();
  Awaitable<Status> save_sources(const EngineConfig& config);
  void warn_if_clock_jumped();

  Awaitable<Result<Explanation>> explain(LogEntry subject);
  // The accepted entry with this version of `key`. Errors: kDataLoss if it is not in the log.
  Awaitable<Result<LogEntry>> past_entry(std::string key, std::int64_t version,
                                         std::int64_t near_seq);
  // The snapshot that the accepted entry with this version of `key` left; nothing if it left none.
  Awaitable<Result<std::optional<Snapshot>>> past_snapshot(std::string key, std::int64_t version,
                                                           std::int64_t near_seq);
  Awaitable<Result<ExplainedMutation>> with_effects(LogEntry entry);
  Awaitable<Status> add_causes(Explanation& explanation);
  Awaitable<Status> add_consequences(Explanation& explanation);

  EngineDependencies deps_;
  EngineClock clock_;
  SnapshotIndex index_;
  OutboxDispatcher outbox_;
  EngineConfig config_;
  StoreHead head_;
  RuleMemories memories_;
  RecentRules recent_;
  RateLimiter rates_;
  ExpiryQueue expiry_;
  std::vector<ChangeListener> listeners_;
  std::deque<Work> queue_;
  bool draining_ = false;
  std::function<void()> drain_waits_;  // wakes drain(), if it waits
  bool accepting_ = false;
  bool failed_ = false;
  bool stopping_ = false;
  bool store_refused_ = false;  // the last commit was refused
  bool expiries_refused_ =
      false;       // expiries or waits went back to the queue: wait before they are tried
  int tasks_ = 0;  // spawned and not finished
  std::function<void()> idle_;  // called when tasks_ reaches 0 during stop()
  bool resynchronize_ = false;  // the outcome of a commit stays unknown
  std::chrono::nanoseconds looked_around_{0};
  Timestamp last_wall_{};
  std::chrono::nanoseconds last_monotonic_{0};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_ENGINE_H_
