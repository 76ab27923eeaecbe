#include "app/bus_effect_sink.h"

#include "base/assert.h"

namespace state_engine {

boost::asio::awaitable<Delivery> BusEffectSink::deliver(const Effect& effect) {
  BusMessage message{std::string(subjects::kEgress),
                     wire::egress_body(effect, shape_),
                     effect.id,
                     {{"type", effect.type}, {"source", "state-engine"}}};
  switch (co_await bus_.publish(std::move(message))) {
    case PublishOutcome::kPublished:
      co_return Delivery::kDelivered;
    case PublishOutcome::kNoSubscriber:
    case PublishOutcome::kRefused:  // nobody will ever get it; the bus has said why
      co_return Delivery::kNoSubscriber;
    case PublishOutcome::kRetry:
      co_return Delivery::kRetry;
  }
  SE_UNREACHABLE();
}

}  // namespace state_engine
