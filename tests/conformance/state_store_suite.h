// The promises of ports/state_store.h, checked on every implementation.
//
// A store joins with a program of state_store_suite.cc and one file that says
//   INSTANTIATE_TEST_SUITE_P(Memory, StateStoreSuite, testing::Values(StoreKind{...}), store_name);

#ifndef STATE_ENGINE_TESTS_CONFORMANCE_STATE_STORE_SUITE_H_
#define STATE_ENGINE_TESTS_CONFORMANCE_STATE_STORE_SUITE_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ports/state_store.h"
#include "tests/conformance/batch_builder.h"

namespace state_engine::test {

// Where one test's store lives; destroyed after the store.
class StoreHome {
 public:
  virtual ~StoreHome() = default;
  // Opens the store, also again after it was closed. The engine id of a new one may be any.
  virtual std::unique_ptr<StateStore> open() = 0;
};

struct StoreKind {
  std::string name;  // of the kind, for test names
  std::function<std::unique_ptr<StoreHome>()> make_home;
  bool persistent = false;  // holds its data beyond close()
  bool any_bytes = true;    // keys need not be UTF-8; the engine refuses such keys anyway
};

// Surely nothing of the batch is there.
inline bool wrote_nothing(const CommitReply& reply) {
  return reply.outcome == CommitOutcome::kNotCommitted || reply.outcome == CommitOutcome::kStale ||
         reply.outcome == CommitOutcome::kTooLarge;
}

// For GoogleTest, which would print the bytes.
inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

inline std::string store_name(const testing::TestParamInfo<StoreKind>& info) {
  return info.param.name;
}

class StateStoreSuite : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Closes and opens again. REQUIRES: persistent.
  void reopen();

  CommitReply commit(const BatchPtr& batch) { return await(store_->commit(batch)); }
  // Commits what `batches_` holds and expects success.
  void commit_all();
  std::vector<LogEntry> log(LogQuery query = {});
  std::vector<SnapshotPtr> all_snapshots();
  std::vector<OutboxRow> pending() { return must(await(store_->pending_effects(0, 1000))); }
  // Checks that the log still ends in entry `seq` with `hash`.
  void expect_unchanged(std::int64_t seq, const std::string& hash);

  std::unique_ptr<StoreHome> home_;
  std::unique_ptr<StateStore> store_;
  BatchBuilder batches_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_CONFORMANCE_STATE_STORE_SUITE_H_
