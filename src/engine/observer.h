// EngineObserver: what the engine tells metrics and health about its work.

#ifndef STATE_ENGINE_ENGINE_OBSERVER_H_
#define STATE_ENGINE_ENGINE_OBSERVER_H_

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/types.h"
#include "ports/effect_sink.h"

namespace state_engine {

// Threads: called on the engine strand; must be quick and must not call the engine.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;

  // One answer left the engine; kNone = accepted.
  virtual void on_answer(RejectionCode /*code*/, bool /*duplicate*/) {}
  // One entry was committed (expiries and derived mutations included).
  virtual void on_entry(const LogEntry& /*entry*/) {}
  virtual void on_commit(std::size_t /*entries*/, std::chrono::nanoseconds /*took*/) {}
  // A commit came too late: another engine had changed what it was decided on.
  virtual void on_stale() {}
  virtual void on_queue(std::size_t /*waiting*/) {}
  virtual void on_state(std::int64_t /*head_seq*/, std::size_t /*keys*/) {}
  virtual void on_delivery(Delivery /*delivery*/) {}
  virtual void on_outbox(std::size_t /*waiting*/) {}
  // The store refused or failed a commit (`message`), or works again (empty).
  virtual void on_store(std::string_view /*message*/) {}
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_OBSERVER_H_
