// MemoryBus: publish and subscribe inside one process.
//
// Threads:   any. Handlers run on the publisher's thread, one message after the other.
// Ownership: a Subscription may outlive the bus.

#ifndef STATE_ENGINE_BUS_MEMORY_MEMORY_BUS_H_
#define STATE_ENGINE_BUS_MEMORY_MEMORY_BUS_H_

#include <memory>

#include "ports/bus.h"

namespace state_engine {

class MemoryBus final : public Bus {
 public:
  MemoryBus();

  // kNoSubscriber if nobody listens to the subject at this moment.
  boost::asio::awaitable<PublishOutcome> publish(BusMessage message) override;

  [[nodiscard]] std::unique_ptr<Subscription> subscribe(std::string subject,
                                                        Handler handler) override;

  // As subscribe(): nothing is stored, so nothing comes again, and settling has no effect.
  [[nodiscard]] std::unique_ptr<Subscription> consume(ConsumeOptions options,
                                                      ConsumeHandler handler) override;

 private:
  struct Table;
  std::shared_ptr<Table> table_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_BUS_MEMORY_MEMORY_BUS_H_
