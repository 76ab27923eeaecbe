// Bus: publish and subscribe by subject, in one process or over NATS.
//
// Subjects here are those of the platform, without the prefix of a deployment; a bus adds it.
// A durable bus stores what is published and delivers it at least once to each queue that consumes
// it: a delivery counts as done when it is settled, and comes again otherwise.

#ifndef STATE_ENGINE_PORTS_BUS_H_
#define STATE_ENGINE_PORTS_BUS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/time.h"

namespace state_engine {

namespace subjects {
inline constexpr std::string_view kMutation = "internal.state.mutation.v1";
inline constexpr std::string_view kMutationResult = "internal.state.mutation.result.v1";
inline constexpr std::string_view kChanged = "internal.state.changed.v1";
inline constexpr std::string_view kEgress = "internal.egress.v1";
inline constexpr std::string_view kDeadLetter = "internal.deadletter.v1";
inline constexpr std::string_view kLlmBot = "internal.llmbot.v1";
inline constexpr std::string_view kRegistration = "internal.mcp.registration.v1";
}  // namespace subjects

struct BusMessage {
  std::string subject;
  std::string body;
  std::string message_id = {};  // dedupe id; stable across redeliveries
  std::vector<std::pair<std::string, std::string>> headers = {};

  // The value of the header, whatever the case of its name; empty if absent.
  std::string_view header(std::string_view name) const;
};

enum class PublishOutcome {
  kPublished,
  kNoSubscriber,  // nobody listens, and nothing is stored
  kRetry,         // not published, or not known: try again later, with the same message id
  kRefused,       // the bus will never take this message
};

enum class Settlement {
  kDone,    // never again
  kLater,   // again after the delay
  kRefuse,  // never again: it cannot be handled
};

// A message that wants to be settled, once. One that never is comes again.
struct BusDelivery {
  BusMessage message;
  std::uint64_t position = 0;  // in the stream it comes from; 0 = none
  int attempt = 1;             // 1 = first delivery
  Timestamp stored_at{};       // when the bus took it
  // Any thread; a delivery that a reset has made void is ignored.
  std::function<void(Settlement, std::chrono::milliseconds delay)> settle;

  void done() const { settle(Settlement::kDone, {}); }
  void later(std::chrono::milliseconds delay) const { settle(Settlement::kLater, delay); }
  void refuse() const { settle(Settlement::kRefuse, {}); }
};

struct ConsumeOptions {
  std::string subject;
  std::string queue;      // members of one queue share its messages; it keeps its place for ever
  bool from_now = false;  // a new queue begins with what is published from now on, not with all
  std::chrono::seconds age_max{0};  // older messages are settled unseen; 0 = no bound
};

// Called on a thread of the bus, one call at a time; must not block.
struct ConsumeHandler {
  std::function<void(BusDelivery)> on_message;
  // Every delivery not yet settled is void: all of them come again, in their order.
  std::function<void()> on_reset = [] {};
};

// Threads: publish() from any thread, awaited on a strand; the others from any thread.
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

  // Publishes several in their order, without waiting for one before the next is sent. Returns
  // what became of each; after the first kRetry those behind it may be published or not.
  virtual boost::asio::awaitable<std::vector<PublishOutcome>> publish_all(
      std::vector<BusMessage> messages);

  // Calls `handler` for each message on `subject` from now on, on a thread of the bus, at most
  // once each. It must not block.
  [[nodiscard]] virtual std::unique_ptr<Subscription> subscribe(std::string subject,
                                                                Handler handler) = 0;

  // Consumes `options.subject` as a member of a queue, in stream order, at least once each.
  [[nodiscard]] virtual std::unique_ptr<Subscription> consume(ConsumeOptions options,
                                                              ConsumeHandler handler) = 0;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_PORTS_BUS_H_
