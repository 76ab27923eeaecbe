// NatsObserver: what the bus tells metrics and health about its connection.

#ifndef STATE_ENGINE_BUS_NATS_NATS_OBSERVER_H_
#define STATE_ENGINE_BUS_NATS_NATS_OBSERVER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace state_engine {

// Threads: called from several; must be quick and must not call the bus.
class NatsObserver {
 public:
  virtual ~NatsObserver() = default;

  // Connected (`detail`: to which server), or not (`detail`: why).
  virtual void on_state(bool /*up*/, std::string_view /*detail*/) {}
  // Connected again after the connection was lost.
  virtual void on_reconnect() {}
  virtual void on_publish_error() {}
  // A message came again that had been delivered before.
  virtual void on_redelivered() {}
  // Messages were dropped here because too much waits; they are asked for again.
  virtual void on_slow_consumer() {}
  // A durable was made anew to get unsettled messages again, in their order.
  virtual void on_resync() {}
  // `waiting` in the stream, `unsettled` delivered here and not yet done.
  virtual void on_backlog(std::string_view /*queue*/, std::int64_t /*waiting*/,
                          std::int64_t /*unsettled*/) {}
};

}  // namespace state_engine

#endif  // STATE_ENGINE_BUS_NATS_NATS_OBSERVER_H_
