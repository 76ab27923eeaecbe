// Writer: everything that this store writes to Firestore.
//
// Invariants: (W1) A batch is one Commit, so that it is there as a whole or not at all.
//   (W2) Every log record is created (exists = false), so that an id has one record at most.
//   (W3) Every state document is written on the precondition that it is as the decision saw it, so
//        that nothing that another engine wrote is lost.
//   (W4) The outcome of a commit is never guessed: after any error the record of its first mutation
//        is read. A commit that could not be resolved in time may still arrive; the writer then
//        takes a new engine id, so that its chain cannot fork.
//
// Blocking. Threads: one at a time.

#ifndef STATE_ENGINE_STORE_FIRESTORE_WRITER_H_
#define STATE_ENGINE_STORE_FIRESTORE_WRITER_H_

#include <string>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "ports/batch_check.h"
#include "ports/state_store.h"
#include "store/firestore/calls.h"
#include "store/firestore/log_reader.h"
#include "store/firestore/state_reader.h"

namespace state_engine::firestore {

struct WriterParts {
  Calls& calls;
  KnownVersions& known;
  LogReader& log_reader;
  StateReader& state_reader;
  Random& random;
  const Clock& clock;
  Log& log;
};

class Writer {
 public:
  // Goes on with the log of `engine_id`; empty = a new engine.
  Writer(WriterParts parts, std::string engine_id);

  Result<StoreHead> head();
  CommitReply commit(const CommitBatch& batch);
  Status mark_effects(const std::vector<std::string>& ids, EffectState state, Timestamp at,
                      Timestamp forget_before);
  Status save_source(const SourceRevision& source);
  Status save_cursor(const std::string& name, const std::string& engine_id, std::int64_t seq);

  // Takes over effects that no engine has sent for `age`. At most one attempt in a quarter of that.
  Status adopt_effects(std::chrono::milliseconds age);

  // Whose queue the effects of this process wait in; never changes.
  const std::string& owner() const { return owner_; }

 private:
  using Commit = google::firestore::v1::CommitRequest;
  enum class Found { kOurs, kAnother, kNothing, kNoAnswer };

  Status find_end();
  Status check(const CommitBatch& batch) const;
  // Nothing, if a document is not as the batch expects it.
  Result<std::optional<Commit>> build(const CommitBatch& batch);
  Status add_states(const CommitBatch& batch, Commit& commit, bool& stale);
  CommitReply attempt(const CommitBatch& batch, const Commit& commit);
  CommitReply after_fault(const CommitBatch& batch, const Fault& fault, bool& unsure, bool& again);
  Found find_record(const CommitBatch& batch);
  void settle(const CommitBatch& batch,
              const std::optional<google::firestore::v1::CommitResponse>& response);
  void become_another_engine();
  Status write_all(const Commit& commit);
  Status forget_delivered(Timestamp before);
  void adopt(const Document& row);

  WriterParts parts_;
  std::string engine_id_;
  const std::string owner_;
  bool found_end_ = false;
  LogEnd end_;
  Timestamp last_committed_at_{};
  Timestamp forgotten_before_{};
  std::chrono::nanoseconds adopted_at_{0};
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_WRITER_H_
