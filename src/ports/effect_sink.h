// EffectSink: where committed effects go. At least once, with a stable id and identical bytes (I9).

#ifndef STATE_ENGINE_PORTS_EFFECT_SINK_H_
#define STATE_ENGINE_PORTS_EFFECT_SINK_H_

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "core/types.h"

namespace state_engine {

enum class Delivery {
  kDelivered,     // a receiver or a durable bus has it
  kNoSubscriber,  // nobody listens; the row is closed and says so
  kRetry,         // not delivered, or not known: try again later
};

// Threads: called from the engine strand, one call outstanding at a time.
class EffectSink {
 public:
  virtual ~EffectSink() = default;

  virtual boost::asio::awaitable<Delivery> deliver(const Effect& effect) = 0;

  // Delivers them in their order; one answer each. After the first kRetry nothing counts as
  // delivered, though a later one may have been. This one delivers one after the other and stops
  // at the first that is not taken.
  virtual boost::asio::awaitable<std::vector<Delivery>> deliver_all(std::vector<Effect> effects);
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_EFFECT_SINK_H_
