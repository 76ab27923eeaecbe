// Bus: publish and subscribe by subject, in one process or over NATS.

#ifndef STATE_ENGINE_PORTS_BUS_H_
#define STATE_ENGINE_PORTS_BUS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace state_engine {

namespace subjects {
inline constexpr std::string_view kMutation = "internal.state.mutation.v1";
inline constexpr std::string_view kMutationResult = "internal.state.mutation.result.v1";
inline constexpr std::string_view kChanged = "internal.state.changed.v1";
inline constexpr std::string_view kEgress = "internal.egress.v1";
inline constexpr std::string_view kDeadLetter = "internal.deadletter.v1";
}  // namespace subjects

struct BusMessage {
  std::string subject;
  std::string body;
  std::string message_id;  // dedupe id; stable across redeliveries
};

enum class PublishOutcome { kPublished, kNoSubscriber, kRetry };

// Threads: publish() and subscribe() from any thread.
class Bus {
 public:
  // Ends the subscription when destroyed.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  using Handler = std::function<void(const BusMessage&)>;

  virtual ~Bus() = default;

  virtual boost::asio::awaitable<PublishOutcome> publish(BusMessage message) = 0;

  // Calls `handler` for each message on `subject`, on a thread of the bus. It must not block.
  [[nodiscard]] virtual std::unique_ptr<Subscription> subscribe(std::string subject,
                                                                Handler handler) = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_BUS_H_
