// Effects are published in groups: one wake-up and one wait for all, in their order.

#include "app/bus_effect_sink.h"

#include "base/assert.h"

namespace state_engine {
namespace {

Delivery delivery_of(PublishOutcome outcome) {
  switch (outcome) {
    case PublishOutcome::kPublished:
      return Delivery::kDelivered;
    case PublishOutcome::kNoSubscriber:
    case PublishOutcome::kRefused:  // nobody will ever get it; the bus has said why
      return Delivery::kNoSubscriber;
    case PublishOutcome::kRetry:
      return Delivery::kRetry;
  }
  SE_UNREACHABLE();
}

}  // namespace

BusMessage BusEffectSink::message_of(const Effect& effect) const {
  return {std::string(subjects::kEgress),
          wire::egress_body(effect, shape_),
          effect.id,
          {{"type", effect.type}, {"source", "state-engine"}}};
}

boost::asio::awaitable<Delivery> BusEffectSink::deliver(const Effect& effect) {
  co_return delivery_of(co_await bus_.publish(message_of(effect)));
}

boost::asio::awaitable<std::vector<Delivery>> BusEffectSink::deliver_all(
    std::vector<Effect> effects) {
  std::vector<BusMessage> messages;
  messages.reserve(effects.size());
  for (const Effect& effect : effects) messages.push_back(message_of(effect));
  const auto outcomes = co_await bus_.publish_all(std::move(messages));
  std::vector<Delivery> out;
  out.reserve(outcomes.size());
  for (const PublishOutcome outcome : outcomes) out.push_back(delivery_of(outcome));
  co_return out;
}

}  // namespace state_engine
