// SharedStore: what a StateStore offers in addition when several engines write to it.
//
// Then an engine's index is a guess and the store is the truth: answers to readers come from the
// store, a commit that was decided on an outdated guess writes nothing (CommitOutcome::kStale), and
// whoever decides refreshes what the decision rests on.
//
// Ownership, threads and errors: as StateStore.

#ifndef STATE_ENGINE_PORTS_SHARED_STORE_H_
#define STATE_ENGINE_PORTS_SHARED_STORE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "core/types.h"

namespace state_engine {

struct RuleState;

// The present state of keys, and what rules remember about them.
struct FreshState {
  std::vector<SnapshotPtr> snapshots;  // in the order asked, tombstones included; null = never set
  std::vector<RuleState> rule_states;
};

struct PrefixQuery {
  std::string prefix;
  std::string after_key;  // exclusive; empty = from the first
  std::size_t limit = 100;
  std::string revision;  // of the page before, so that all pages show one state; empty = now
};

struct PrefixPage {
  std::vector<SnapshotPtr> snapshots;  // in key order, tombstones included
  std::string revision;
  bool more = false;
};

// How far one engine has published its log.
struct PublishCursor {
  std::string engine_id;
  std::int64_t seq = 0;
};

class SharedStore {
 public:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  virtual ~SharedStore() = default;

  // As of one time that is not before the call.
  virtual Awaitable<Result<std::vector<SnapshotPtr>>> read(std::vector<std::string> keys) = 0;

  // The same with the rules' memory of those keys: all that a decision about them needs. Pauses
  // before attempt 1 and later ones, each time longer and with jitter, so that engines that
  // contend for a key get out of step.
  virtual Awaitable<Result<FreshState>> refresh(std::vector<std::string> keys, int attempt) = 0;

  // Errors: kInvalidArgument for a revision that is none or too old.
  virtual Awaitable<Result<PrefixPage>> read_prefix(PrefixQuery query) = 0;

  // Up to `limit` keys whose value is past its deadline, as other engines may have left them.
  virtual Awaitable<Result<std::vector<std::string>>> overdue(Timestamp now, std::size_t limit) = 0;

  // The cursors `name` of other engines that were not saved since `before`: those engines are idle
  // or gone, and what a gone one did not publish is for another to publish.
  virtual Awaitable<Result<std::vector<PublishCursor>>> left_cursors(std::string name,
                                                                     Timestamp before) = 0;
  virtual Awaitable<Status> save_left_cursor(std::string name, PublishCursor cursor) = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_SHARED_STORE_H_
