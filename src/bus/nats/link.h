// Link: one connection to a NATS server, from connect to its end.
//
// A link never reconnects: when it is gone, its owner makes another one, so that nothing of an old
// connection (buffered publishes, half-known subscriptions) leaks into a new one. The calls of
// nats.c 3.4.1 with known memory faults are not used: no Fetch, no natsMsg_Ack, and a subscription
// is destroyed only after its connection is closed.
//
// Ownership: shared; callbacks hold no link alive. A callback may still run while close() returns.
// Threads:   every method from any thread. Messages of one subscription come one after the other
//            on a thread of the library; events on another one. Neither may block.

#ifndef STATE_ENGINE_BUS_NATS_LINK_H_
#define STATE_ENGINE_BUS_NATS_LINK_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bus/nats/nats_options.h"

namespace state_engine::nats {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Inbound {
  std::string subject;
  std::string reply;
  std::string body;
  Headers headers;
  std::string status;  // "503" = nobody answers; empty for a normal message
};

class Link {
 public:
  struct Events {
    std::function<void(std::string why)> on_closed;  // once
    std::function<void(std::string what)> on_error;  // e.g. a permissions violation
    std::function<void()> on_slow;                   // a message was dropped
  };
  using Handler = std::function<void(Inbound)>;

  // Blocks until connected. Errors: kUnavailable, kPermissionDenied (credentials),
  // kInvalidArgument (options); the message says what to do.
  static Result<std::shared_ptr<Link>> connect(const NatsOptions& options, Events events);

  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // A subject prefix that only this connection receives.
  const std::string& inbox() const { return inbox_; }
  std::size_t payload_max() const;

  // False if the connection is gone.
  bool publish(const std::string& subject, const std::string& reply, std::string_view body,
               const Headers& headers = {});

  // An empty queue is none. Errors: kUnavailable.
  Result<std::uint64_t> subscribe(const std::string& subject, const std::string& queue,
                                  Handler handler);
  void unsubscribe(std::uint64_t id);

  // Sends what was published now, rather than a millisecond later as the library does. Never
  // blocks.
  void send_now();

  // Blocks until the server has seen all that was published; false after `timeout`.
  bool flush(std::chrono::milliseconds timeout);

  // Blocks shortly. Idempotent; the destructor calls it.
  void close();

 private:
  struct Impl;
  explicit Link(std::unique_ptr<Impl> impl, std::string inbox);

  std::unique_ptr<Impl> impl_;
  std::string inbox_;
};

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_LINK_H_
