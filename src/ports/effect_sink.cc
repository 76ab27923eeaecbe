#include "ports/effect_sink.h"

namespace state_engine {

boost::asio::awaitable<std::vector<Delivery>> EffectSink::deliver_all(std::vector<Effect> effects) {
  std::vector<Delivery> out(effects.size(), Delivery::kRetry);
  for (std::size_t i = 0; i < effects.size(); ++i) {
    const Delivery delivery = co_await deliver(effects[i]);
    out[i] = delivery;
    if (delivery == Delivery::kRetry) break;
  }
  co_return out;
}

}  // namespace state_engine
