// BusEffectSink: effects as messages on the egress subject of a bus.

#ifndef STATE_ENGINE_APP_BUS_EFFECT_SINK_H_
#define STATE_ENGINE_APP_BUS_EFFECT_SINK_H_

#include "ports/bus.h"
#include "ports/effect_sink.h"
#include "wire/egress.h"

namespace state_engine {

class BusEffectSink final : public EffectSink {
 public:
  BusEffectSink(Bus& bus, wire::EgressShape shape) : bus_(bus), shape_(shape) {}

  boost::asio::awaitable<Delivery> deliver(const Effect& effect) override;
  boost::asio::awaitable<std::vector<Delivery>> deliver_all(std::vector<Effect> effects) override;

 private:
  BusMessage message_of(const Effect& effect) const;

  Bus& bus_;
  wire::EgressShape shape_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BUS_EFFECT_SINK_H_
