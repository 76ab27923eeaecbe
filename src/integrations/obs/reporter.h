// Reporter: tells the engine what OBS did, in order, until each report is handed over.
//
// A report keeps its id over all tries, so that a repeated one is harmless.
//
// Ownership: proposer, clock, random and log outlive it. Threads: its strand.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_REPORTER_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_REPORTER_H_

#include <chrono>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "net/backoff.h"
#include "net/wake_signal.h"
#include "ports/proposer.h"

namespace state_engine::obs {

class Reporter {
 public:
  // Over this many, the oldest reports are dropped and counted: the newest state matters.
  static constexpr std::size_t kWaitingMax = 1000;

  Reporter(Proposer& proposer, const Clock& clock, Random& random, Log& log, std::string actor,
           const boost::asio::any_io_executor& strand);

  void report(std::string_view key, const json::Value& value, const std::string& reason);

  // Hands reports over until stop(), then what is left, once.
  boost::asio::awaitable<void> run();
  void stop();

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t dropped() const { return dropped_; }

 private:
  boost::asio::awaitable<bool> hand_over(Proposal proposal);
  void check(const Proposal& proposal, const MutationResult& result);

  Proposer& proposer_;
  const Clock& clock_;
  Log& log_;
  const std::string actor_;
  const std::string run_id_;
  std::uint64_t count_ = 0;
  std::size_t dropped_ = 0;
  bool stopping_ = false;
  std::deque<Proposal> waiting_;
  std::set<std::string> complained_;  // keys whose refusal was logged
  net::Backoff backoff_;
  net::WakeSignal wake_;
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_REPORTER_H_
