// Desk: what the parts of the Director may ask for: OBS, time, an answer to a command, a report.
//
// Threads: one. Continuations and timers are dropped when the connection ends.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_DESK_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_DESK_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "integrations/obs/command.h"
#include "integrations/obs/session.h"

namespace state_engine::obs {

// Names one command until its outcome is told.
using Ticket = std::uint64_t;

class Desk {
 public:
  virtual ~Desk() = default;

  virtual void ask(std::vector<Request> requests, Continuation then) = 0;
  virtual void after(std::chrono::milliseconds wait, std::function<void()> then) = 0;
  virtual MonotonicTime now() const = 0;
  // Tells the outcome of a command; a ticket that has had one is passed over.
  virtual void finish(Ticket ticket, Outcome outcome) = 0;
  // Reports what OBS did. Repetitions of the last value are passed over.
  virtual void observe(std::string_view key, json::Value value, std::string reason) = 0;
};

// Tells `outcome` to all of `tickets` and empties the list.
inline void finish_all(Desk& desk, std::vector<Ticket>& tickets, const Outcome& outcome) {
  std::vector<Ticket> taken;
  taken.swap(tickets);
  for (const Ticket ticket : taken) desk.finish(ticket, outcome);
}

// The first reply that failed, or the last; an empty list is a failure too.
inline Reply verdict(const std::vector<Reply>& replies) {
  return replies.empty() ? Reply{} : replies.back();
}

// "OBS refused (600): No source was found by the name ..."
std::string refusal(const Reply& reply);

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_DESK_H_
