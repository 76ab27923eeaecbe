// NatsBus: the Bus over NATS JetStream.
//
// publish() is done when a stream has the message (PubAck). Streams that the platform needs and
// that are missing are made, as the platform's own services make them. While the server is away
// publish() answers kRetry at once, and consuming goes on by itself when it is back.
//
// Not promised: NATS 2.9 may forget what it acknowledged when power fails; the engine's store is
// the truth, and effects are in its outbox until a stream has them.
//
// Ownership: log and observer outlive the bus; a Subscription may outlive it.
// Threads:   as Bus.

#ifndef STATE_ENGINE_BUS_NATS_NATS_BUS_H_
#define STATE_ENGINE_BUS_NATS_NATS_BUS_H_

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/log.h"
#include "base/result.h"
#include "bus/nats/nats_observer.h"
#include "bus/nats/nats_options.h"
#include "ports/bus.h"

namespace state_engine {

class NatsBus final : public Bus {
 public:
  // Sends the one answer to a request; any thread.
  using Responder = std::function<void(std::string body)>;
  using RequestHandler = std::function<void(BusMessage request, Responder respond)>;

  // Coroutines run on strands of `executor`.
  NatsBus(NatsOptions options, boost::asio::any_io_executor executor, Log& log,
          NatsObserver& observer);
  ~NatsBus() override;

  // Begins to connect and waits up to `patience` for the first connection; without one it goes on
  // trying. Errors: kInvalidArgument for options that can never work. Blocks.
  Status start(std::chrono::milliseconds patience);
  bool connected() const;
  // Makes the streams that are missing now, if connected, rather than a moment later.
  boost::asio::awaitable<void> make_streams();

  boost::asio::awaitable<PublishOutcome> publish(BusMessage message) override;
  boost::asio::awaitable<std::vector<PublishOutcome>> publish_all(
      std::vector<BusMessage> messages) override;
  [[nodiscard]] std::unique_ptr<Subscription> subscribe(std::string subject,
                                                        Handler handler) override;
  [[nodiscard]] std::unique_ptr<Subscription> consume(ConsumeOptions options,
                                                      ConsumeHandler handler) override;

  // Answers requests on `subject`, which is taken as it is, without the prefix. Members of one
  // queue share them. At most once: a request that nobody answers in time is the caller's to send
  // again.
  [[nodiscard]] std::unique_ptr<Subscription> answer(std::string subject, std::string queue,
                                                     RequestHandler handler);

  // The stream that takes `subject` (without prefix added), if any.
  boost::asio::awaitable<Result<std::optional<std::string>>> stream_of(std::string subject);

  const std::string& prefix() const;

  // Ends what consumes, flushes and closes. Nothing may be called afterwards.
  boost::asio::awaitable<void> close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_BUS_NATS_NATS_BUS_H_
