// What waits for the writer: proposals, with those who want the answers, and the engine's own
// occasions.

#ifndef STATE_ENGINE_ENGINE_WORK_H_
#define STATE_ENGINE_ENGINE_WORK_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/types.h"
#include "engine/decisions.h"
#include "engine/proposal_lane.h"

namespace state_engine {

struct SingleWork {
  Proposal proposal;
  std::function<void(MutationResult)> done;
  MutationResult result;
};
struct TransactionWork {
  TransactionProposal transaction;
  std::function<void(TransactionResult)> done;
  TransactionResult result;
};
struct SequenceWork {
  std::vector<Submission> items;
  std::function<void(std::vector<MutationResult>)> done;
  std::vector<MutationResult> results;
  std::shared_ptr<ProposalLane> lane = nullptr;
};
struct ExpiryWork {
  std::vector<std::string> keys;
};
// Nothing but an occasion: the writer ends the waits of rules whose time has come.
struct WaitWork {};
struct Work {
  std::variant<SingleWork, TransactionWork, SequenceWork, ExpiryWork, WaitWork> what;
  Origin origin;
  ProposeOptions options;
  int late = 0;  // commits of it alone that came too late, and since when
  std::chrono::nanoseconds late_since{0};
};
// Stored records of the ids of one group.
using Records = std::unordered_map<std::string, LogEntry>;

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_WORK_H_
