// StateStore: the durable home of snapshots, the mutation log, effects and rule state.
//
// Invariants every implementation keeps, checked by tests/conformance/state_store_suite.h:
//   (1) A batch becomes durable as a whole or not at all (I8).
//   (2) commit() returns kCommitted only once the batch survives a crash and a power loss (I4, I5).
//   (3) What a committed batch holds is visible to every call that starts after its reply.
//   (4) The log is append-only; a mutation id has at most one record (I3).
//
// Ownership: the engine's owner owns the store, which outlives every awaitable it returned.
// Threads:   commit(), mark_effects() and save_source() are called on the engine strand; several
//            may be outstanding and take effect in the order of the calls. save_cursor() and the
//            reads may be called from any executor, several at once, save_cursor() once per name.
//            Awaitables resume on the caller's executor.
// Errors:    every read may fail with kUnavailable (try again) or kDataLoss (stop the process).

#ifndef STATE_ENGINE_PORTS_STATE_STORE_H_
#define STATE_ENGINE_PORTS_STATE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "core/snapshot_page.h"
#include "core/types.h"

namespace state_engine {

// The end of the log, and whose log it is.
struct StoreHead {
  std::string engine_id;  // made once per store; where several engines share it, at each start
  std::int64_t seq = 0;   // of the last entry; 0 = empty log
  std::string hash;       // of this engine's last entry; 64 zeros if it has none
  Timestamp last_committed_at{};
};

enum class EffectState { kPending, kSent, kNoSubscriber };

// "pending", "sent", "no_subscriber".
std::string_view to_string(EffectState state);

// One row of the outbox.
struct OutboxRow {
  Effect effect;
  std::int64_t position = 0;  // order of commit; assigned by the store, increasing
  EffectState state = EffectState::kPending;
  std::optional<Timestamp> delivered_at;
};

// What a rule remembers about one key between commits.
struct RuleState {
  std::string rule_id;
  std::string key;
  bool truth = false;
  std::optional<Timestamp> since;
  std::optional<Timestamp> deadline;
  std::optional<Timestamp> cooldown_until;
};

// All that one durable commit writes.
// REQUIRES of the maker: entries are in seq order and follow the head without a gap; `snapshots`
// holds the last state of every key that an accepted entry changed, tombstones included, each once,
// as its entry made it: a store may keep the entry only, and the deadline.
struct CommitBatch {
  std::vector<LogEntry> entries;
  std::vector<SnapshotPtr> snapshots;
  std::vector<Effect> effects;
  std::vector<RuleState> rule_states;
};

enum class CommitOutcome {
  kCommitted,     // durable
  kNotCommitted,  // surely nothing of it is there; the same store may be used on
  kStale,         // as before, because another engine was first: refresh, then decide again
  kTooLarge,      // as before, because the store has no place for so much; less may pass
  kUnknown,       // may or may not be there: look the ids up, after a restart if `fatal`
};

struct CommitReply {
  CommitOutcome outcome = CommitOutcome::kUnknown;
  bool fatal = false;   // the store must not be used again by this process (I/O error)
  std::string message;  // for people; empty if committed
};

// Which log entries to read. Criteria are ANDed; an empty string means "any".
struct LogQuery {
  std::string key;
  std::string prefix;  // of the key
  std::string actor;
  std::string mutation_id;
  std::string causation_id;  // entries that this mutation caused
  std::string transaction_id;
  std::string engine_id;        // entries that this engine wrote
  std::int64_t after_seq = 0;   // exclusive
  std::int64_t before_seq = 0;  // exclusive; 0 = no bound
  std::size_t limit = 100;
  bool newest_first = false;
};

// A policy or rule source by its revision, so that an old decision can be explained.
struct SourceRevision {
  std::string kind;      // "policy" or "rules"
  std::string revision;  // hash of the source
  std::string text;      // canonical JSON
};

// The state as an engine keeps it in memory.
struct LoadedState {
  struct Deadline {
    Timestamp deadline{};
    std::string key;
  };
  std::vector<SnapshotPage> pages;  // in key order
  std::vector<Deadline> deadlines;  // of what expires
};

class SharedStore;

class StateStore {
 public:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  virtual ~StateStore() = default;

  // A short name for logs and /health: "sqlite", "memory", "firestore".
  virtual std::string_view name() const = 0;

  // What it offers when several engines write to it (ports/shared_store.h); null if one engine has
  // it to itself.
  virtual SharedStore* shared() { return nullptr; }

  // Where the log ends. After a commit of a shared store with outcome kUnknown the engine id may
  // be another one: what becomes of that commit then cannot fork the chain.
  virtual Awaitable<Result<StoreHead>> head() = 0;

  // Durably writes `batch`. Cost: one durable transaction.
  virtual Awaitable<CommitReply> commit(std::shared_ptr<const CommitBatch> batch) = 0;

  // Returns for each id its log entry, or nothing, in the order asked.
  virtual Awaitable<Result<std::vector<std::optional<LogEntry>>>> lookup(
      std::vector<std::string> mutation_ids) = 0;

  // Returns up to `limit` snapshots with key > `after_key`, in key order, tombstones included.
  virtual Awaitable<Result<std::vector<SnapshotPtr>>> scan_snapshots(std::string after_key,
                                                                     std::size_t limit) = 0;

  // Returns all snapshots, tombstones included, packed. REQUIRES: no commit is under way.
  // By default made from scan_snapshots(). Cost: O(keys).
  virtual Awaitable<Result<LoadedState>> load_state();

  // Returns log entries in seq order (or the reverse). Cost: O(limit) for every single criterion.
  virtual Awaitable<Result<std::vector<LogEntry>>> read_log(LogQuery query) = 0;

  // Returns up to `limit` pending effects with position > `after_position`, oldest first.
  virtual Awaitable<Result<std::vector<OutboxRow>>> pending_effects(std::int64_t after_position,
                                                                    std::size_t limit) = 0;

  // Returns the effects, in any state, that the given mutations caused.
  virtual Awaitable<Result<std::vector<OutboxRow>>> effects_of(
      std::vector<std::string> mutation_ids) = 0;

  // Records the delivery of effects. Forgets sent rows older than `forget_before`.
  virtual Awaitable<Status> mark_effects(std::vector<std::string> effect_ids, EffectState state,
                                         Timestamp at, Timestamp forget_before) = 0;

  virtual Awaitable<Result<std::vector<RuleState>>> rule_states() = 0;

  // Keeps `source`; the same revision again is no error.
  virtual Awaitable<Status> save_source(SourceRevision source) = 0;

  // Errors: kNotFound if this revision was never saved.
  virtual Awaitable<Result<SourceRevision>> source(std::string kind, std::string revision) = 0;

  // How far the publisher `name` has come in the log: the last seq it is done with; 0 if it never
  // said. It belongs to the engine whose log this is.
  virtual Awaitable<Result<std::int64_t>> cursor(std::string name) = 0;

  // Durably keeps that. Cost: one durable write; group calls.
  virtual Awaitable<Status> save_cursor(std::string name, std::int64_t seq) = 0;

  // Finishes what is under way and releases files and locks. Nothing may be called afterwards.
  virtual Awaitable<Status> close() = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_STATE_STORE_H_
