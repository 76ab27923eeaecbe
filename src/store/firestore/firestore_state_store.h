// FirestoreStateStore: state, log and outbox as documents of a Firestore database, which several
// engines may share.
//
//   (1) One Commit a batch, with preconditions; no transaction, no lock (writer.h).
//   (2) The documents of `state` and `mutation_log` are the reference's, with fields of ours added
//       (documents.h).
//   (3) A new engine id at each start; seq grows along causes across engines (docs/adr), the hash
//       chain is per engine id.
//   (4) Calls block on threads of the store: one for writes, in order, several for reads.
//
// Ownership: outlives every awaitable it returned; clock, random and log outlive the store.
// Threads: as StateStore. Destroying it without close() is safe and drains what is queued.
// Errors: kUnavailable while the service does not answer; nothing is fatal to the process.

#ifndef STATE_ENGINE_STORE_FIRESTORE_FIRESTORE_STATE_STORE_H_
#define STATE_ENGINE_STORE_FIRESTORE_FIRESTORE_STATE_STORE_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "ports/shared_store.h"
#include "ports/state_store.h"

namespace state_engine {

struct FirestoreOptions {
  std::string project;
  std::string database = "(default)";
  std::string emulator;  // HOST:PORT (FIRESTORE_EMULATOR_HOST); empty = the service
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Log* log = nullptr;
  // Goes on with the log of this engine, which no process may be running. Empty = a new engine.
  std::string engine_id;

  std::chrono::milliseconds call_timeout{5000};
  std::chrono::milliseconds read_patience{1000};      // how long a read is tried again
  std::chrono::milliseconds commit_patience{10'000};  // how long a commit is tried again
  // An effect that nobody has sent for so long is taken over.
  std::chrono::milliseconds adopt_after{60'000};

  // For tests: a server with TLS that is not the service.
  std::string endpoint_for_test;
  std::string roots_for_test;
  std::string service_account_for_test;
};

class FirestoreStateStore final : public StateStore, public SharedStore {
 public:
  template <typename T>
  using Awaitable = StateStore::Awaitable<T>;

  // Reads the end of the log, which shows that the database is there and may be used.
  // REQUIRES: project, clock, random and log are set.
  // Errors: kFailedPrecondition (credentials, permission, no such database), kUnavailable.
  static Result<std::unique_ptr<FirestoreStateStore>> open(const FirestoreOptions& options);

  ~FirestoreStateStore() override;

  std::string_view name() const override { return "firestore"; }
  SharedStore* shared() override { return this; }

  Awaitable<Result<StoreHead>> head() override;
  Awaitable<CommitReply> commit(std::shared_ptr<const CommitBatch> batch) override;
  Awaitable<Result<std::vector<std::optional<LogEntry>>>> lookup(
      std::vector<std::string> mutation_ids) override;
  Awaitable<Result<std::vector<SnapshotPtr>>> scan_snapshots(std::string after_key,
                                                             std::size_t limit) override;
  // In (seq, engine id) order. Cost: O(limit) for one criterion; a prefix costs its entries.
  Awaitable<Result<std::vector<LogEntry>>> read_log(LogQuery query) override;
  // Also takes over what other engines have left.
  Awaitable<Result<std::vector<OutboxRow>>> pending_effects(std::int64_t after_position,
                                                            std::size_t limit) override;
  Awaitable<Result<std::vector<OutboxRow>>> effects_of(
      std::vector<std::string> mutation_ids) override;
  Awaitable<Status> mark_effects(std::vector<std::string> effect_ids, EffectState state,
                                 Timestamp at, Timestamp forget_before) override;
  Awaitable<Result<std::vector<RuleState>>> rule_states() override;
  Awaitable<Status> save_source(SourceRevision source) override;
  Awaitable<Result<SourceRevision>> source(std::string kind, std::string revision) override;
  // Cursors belong to the engine id.
  Awaitable<Result<std::int64_t>> cursor(std::string name) override;
  Awaitable<Status> save_cursor(std::string name, std::int64_t seq) override;
  Awaitable<Status> close() override;

  Awaitable<Result<std::vector<SnapshotPtr>>> read(std::vector<std::string> keys) override;
  Awaitable<Result<FreshState>> refresh(std::vector<std::string> keys, int attempt) override;
  Awaitable<Result<PrefixPage>> read_prefix(PrefixQuery query) override;
  Awaitable<Result<std::vector<std::string>>> overdue(Timestamp now, std::size_t limit) override;
  Awaitable<Result<std::vector<PublishCursor>>> left_cursors(std::string name,
                                                             Timestamp before) override;
  Awaitable<Status> save_left_cursor(std::string name, PublishCursor cursor) override;

 private:
  struct Core;
  explicit FirestoreStateStore(std::unique_ptr<Core> core);

  std::unique_ptr<Core> core_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_STORE_FIRESTORE_FIRESTORE_STATE_STORE_H_
