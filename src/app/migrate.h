// `state-engine migrate`: a copy of state and log in another kind of store.

#ifndef STATE_ENGINE_APP_MIGRATE_H_
#define STATE_ENGINE_APP_MIGRATE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "ports/state_store.h"

namespace state_engine {

struct MigrateOptions {
  std::string from;  // sqlite:DIR or firestore:PROJECT[/DATABASE]
  std::string to;
  bool json = false;
};

// Copies, compares and prints. Exit codes: 0, 1 failure, 2 usage, 7 the copy differs.
int migrate_command(const MigrateOptions& options);

struct MigrateReport {
  std::int64_t entries = 0;           // log entries of the source
  std::int64_t entries_copied = 0;    // by this run; the others were there already
  std::int64_t keys = 0;              // snapshots compared, tombstones included
  std::int64_t imported = 0;          // keys whose state no log entry explains: one was made
  std::int64_t effects = 0;           // undelivered effects taken along
  bool chain_kept = false;            // hashes and seqs are those of the source
  std::vector<std::string> problems;  // differences found at the end

  bool ok() const { return problems.empty(); }
};

struct MigratePlan {
  StateStore& from;
  StateStore& to;
  // The target goes on with the source's own numbers and hashes. Otherwise entries are numbered
  // anew in the source's order and chained in the target's own chain.
  bool keep_chain = false;
  std::function<void(std::int64_t done)> progress;
};

// REQUIRES: nobody else writes to either. Errors: kFailedPrecondition if the target holds anything
// that is no beginning of this copy.
boost::asio::awaitable<Result<MigrateReport>> migrate(MigratePlan plan);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_MIGRATE_H_
