// ProposalQueue: hands proposals over one after the other, and again until each has an answer.
//
// Invariants, checked by proposal_queue_test.cc:
//   (1) Proposals are handed over in the order of push(); none is overtaken while it is retried.
//   (2) None is dropped for an error that may pass. A full queue refuses, so that its owner can
//       reconcile instead.
//   (3) What is "only if different" is handed over only while the key has another value, or one
//       that is about to expire.
//
// Ownership: the dependencies outlive the queue.
// Threads:   one strand. A read or hand-over may resume on it later.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_PROPOSAL_QUEUE_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_PROPOSAL_QUEUE_H_

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "integrations/twitch/mapping.h"
#include "integrations/twitch/observer.h"
#include "net/backoff.h"
#include "net/wake_signal.h"
#include "ports/proposer.h"

namespace state_engine::twitch {

// Reads the current snapshot of a key, null if there is none. Empty where nothing can be read: then
// the queue goes by what it handed over itself.
using StateReader = std::function<boost::asio::awaitable<Result<SnapshotPtr>>(std::string key)>;

class ProposalQueue {
 public:
  static constexpr std::size_t kWaitingMax = 10'000;

  struct Dependencies {
    boost::asio::any_io_executor strand;
    Proposer& proposer;
    StateReader reader;
    const Clock& clock;
    Random& random;
    Log& log;
    TwitchObserver& observer;
    net::BackoffOptions backoff{std::chrono::milliseconds{200}, std::chrono::milliseconds{10'000},
                                2, 0.5};
  };

  explicit ProposalQueue(Dependencies dependencies);

  // False when the queue is full; nothing was taken then.
  bool push(Outgoing outgoing);
  std::size_t waiting() const { return waiting_.size() + (busy_ ? 1 : 0); }

  // Hands over until stop() was called and nothing waits, or abandon() was.
  boost::asio::awaitable<void> run();
  void stop();
  void abandon();

 private:
  struct HandedOver {
    json::Value value;
    Timestamp at{};
  };

  boost::asio::awaitable<void> hand_over(Outgoing outgoing);
  // One try. True if it needs no other; else waits `pause` before the next one.
  boost::asio::awaitable<bool> try_once(Outgoing& outgoing, std::chrono::milliseconds& pause);
  // False if `outgoing` is worthless by now. Errors: the state could not be read.
  boost::asio::awaitable<Result<bool>> still_needed(Outgoing& outgoing);
  bool needed_by_own_record(const Outgoing& outgoing) const;
  bool settle(const Proposal& proposal, const MutationResult& result,
              std::chrono::milliseconds& pause);
  void remember(const Proposal& proposal);

  Dependencies with_;
  net::Backoff backoff_;
  net::WakeSignal wake_;
  std::deque<Outgoing> waiting_;
  std::map<std::string, HandedOver> handed_over_;  // by key
  std::set<std::string> told_;                     // rejections that are in the log already
  bool busy_ = false;
  bool stopping_ = false;
  bool abandoned_ = false;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_PROPOSAL_QUEUE_H_
