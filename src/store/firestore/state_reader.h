// StateReader: snapshots and rule states, read from Firestore.
//
// Blocking. Threads: any.

#ifndef STATE_ENGINE_STORE_FIRESTORE_STATE_READER_H_
#define STATE_ENGINE_STORE_FIRESTORE_STATE_READER_H_

#include <string>
#include <vector>

#include "ports/shared_store.h"
#include "ports/state_store.h"
#include "store/firestore/calls.h"
#include "store/firestore/known_versions.h"

namespace state_engine::firestore {

class StateReader {
 public:
  // Notes in `known` what it sees.
  StateReader(Calls& calls, KnownVersions& known) : calls_(calls), known_(known) {}

  // One per key, null for a key without a document. Keys that are not UTF-8 have none.
  Result<std::vector<SnapshotPtr>> read(const std::vector<std::string>& keys);

  Result<FreshState> refresh(const std::vector<std::string>& keys);

  // Cost: two queries; those whose ids are hashed are in a range of their own.
  Result<PrefixPage> read_prefix(const PrefixQuery& query);

  Result<std::vector<std::string>> overdue(Timestamp now, std::size_t limit);

  Result<std::vector<RuleState>> rule_states();

 private:
  struct Range;

  Result<SnapshotPtr> note(const Document& document);
  // Documents whose id is their key.
  Result<QueryAnswer> read_plain(const Range& range, std::size_t limit);
  Result<QueryAnswer> read_hashed(const Range& range, std::size_t limit);

  Calls& calls_;
  KnownVersions& known_;
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_STATE_READER_H_
