// Consumer: a durable JetStream consumer, kept alive and in order.
//
// The durable is the platform's push consumer with a queue group (names.h); one that exists is
// taken over with its backlog. JetStream delivers unsettled messages again only after AckWait, and
// newer ones before them. So whenever deliveries may have been lost (start, reconnect, an overflow
// here), and nobody else is bound to the durable, it is made anew from its ack floor: what was
// unsettled comes again at once, in stream order, before anything newer.
//
// A server cuts off who does not read fast enough what it pushes. When the ack floor has not moved
// from one time to the next, the durable is made again with a smaller window of unsettled messages,
// until the backlog is done.
//
// A durable or stream that was deleted is made again while running; its whole stream is then seen
// again, which ids make harmless.
//
// Threads: its own strand; deliveries come on a thread of the library.

#ifndef STATE_ENGINE_BUS_NATS_CONSUMER_H_
#define STATE_ENGINE_BUS_NATS_CONSUMER_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/any_io_executor.hpp>

#include "bus/nats/jet_stream.h"
#include "bus/nats/nats_core.h"
#include "net/wake_signal.h"
#include "ports/bus.h"

namespace state_engine::nats {

class Consumer : public std::enable_shared_from_this<Consumer> {
 public:
  // Makes missing streams; the subject is then tried again.
  using StreamMaker = std::function<void()>;

  Consumer(std::shared_ptr<NatsCore> core, const boost::asio::any_io_executor& strand,
           ConsumeOptions options, ConsumeHandler handler, StreamMaker make_streams);

  // Runs until end(). Spawn it once, on the strand.
  boost::asio::awaitable<void> run();

  // Afterwards the handler neither runs nor is running. Settling still works until the bus closes.
  // REQUIRES: not called from the handler.
  void end();

 private:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  // A message delivered here and not yet settled.
  struct Unsettled {
    std::string reply;
    std::size_t bytes = 0;
    std::chrono::steady_clock::time_point extended;
  };

  Awaitable<Status> attach();
  Awaitable<Result<DurableState>> find_or_create(const StreamState& stream);
  Awaitable<Result<DurableState>> create(const StreamState& stream, json::Object config);
  Awaitable<Result<DurableState>> recreate(const StreamState& stream, const DurableState& old);
  Awaitable<Result<DurableState>> wait_unbound(std::string stream);
  Awaitable<void> watch();
  Awaitable<bool> still_good();
  json::Object new_config(const StreamState& stream);
  std::string fresh_deliver_subject();
  Status check(const DurableState& durable) const;
  void listen(const std::shared_ptr<Link>& link, const DurableState& durable);
  void detach();

  void on_message(std::uint64_t generation, Inbound inbound);
  void settle(std::uint64_t generation, std::uint64_t sequence, Settlement how,
              std::chrono::milliseconds delay);
  void extend_unsettled();
  Awaitable<void> widen(const DurableState& durable);
  void complain(const Error& error);

  const std::shared_ptr<NatsCore> core_;
  const ConsumeOptions options_;
  const std::string subject_;  // with prefix
  const std::string name_;     // of the durable
  const ConsumeHandler handler_;
  const StreamMaker make_streams_;
  const JetStream jet_stream_;
  const std::uint64_t id_;
  const net::WakeSignal wake_;

  // The strand's.
  std::shared_ptr<Link> link_;
  std::uint64_t on_link_ = 0;
  StreamState stream_;
  std::string deliver_subject_;
  std::chrono::nanoseconds ack_wait_{0};
  std::string last_complaint_;
  bool attached_before_ = false;
  // How many messages may be unsettled, once a server has cut the connection off for being slow.
  std::optional<int> window_;
  std::optional<std::uint64_t> last_floor_;  // where the durable was made anew the last time

  std::mutex delivering_;  // held while the handler runs; taken before mutex_
  bool ended_ = false;     // guarded by delivering_

  std::mutex mutex_;  // guards all below
  bool stopping_ = false;
  std::uint64_t generation_ = 0;  // of the deliveries that count
  bool overflowed_ = false;
  std::uint64_t last_sequence_ = 0;  // highest delivered
  std::size_t unsettled_bytes_ = 0;
  std::unordered_map<std::uint64_t, Unsettled> unsettled_;  // by stream sequence
};

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_CONSUMER_H_
