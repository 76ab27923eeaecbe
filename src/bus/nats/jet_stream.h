// JetStream: the requests of the JetStream API that the engine makes, as awaitables.
//
// Errors: kNotFound (no such stream or consumer), kConflict (a name or a subject is taken),
// kUnavailable (JetStream is not enabled, or not connected), kDeadlineExceeded (no answer: the
// outcome is unknown, or the user may not make this request), kFailedPrecondition (any other).

#ifndef STATE_ENGINE_BUS_NATS_JET_STREAM_H_
#define STATE_ENGINE_BUS_NATS_JET_STREAM_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/json.h"
#include "base/result.h"
#include "bus/nats/link.h"
#include "bus/nats/names.h"

namespace state_engine::nats {

struct StreamState {
  std::string name;
  std::vector<std::string> subjects;
  std::string retention;  // "limits", "interest", "workqueue"
  std::string created;
  std::uint64_t last_sequence = 0;
};

struct DurableState {
  json::Object config;
  std::string deliver_subject;  // empty: a pull consumer
  std::string deliver_group;
  std::string filter_subject;
  std::string ack_policy;
  std::uint64_t delivered = 0;  // stream sequence of the last delivered
  std::uint64_t ack_floor = 0;  // stream sequence up to which all is settled
  std::int64_t ack_pending = 0;
  std::int64_t pending = 0;  // not yet delivered
  bool bound = false;        // somebody subscribes to deliver_subject
};

class JetStream {
 public:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  // Sends a request and awaits its answer.
  using Requester =
      std::function<Awaitable<Result<Inbound>>(std::string subject, std::string body)>;

  explicit JetStream(Requester requester) : requester_(std::move(requester)) {}

  // The stream that takes `subject`, if any.
  Awaitable<Result<std::optional<std::string>>> stream_of(std::string subject) const;
  Awaitable<Result<StreamState>> stream(std::string name) const;
  Awaitable<Status> create_stream(StreamSpec spec) const;

  Awaitable<Result<DurableState>> durable(std::string stream, std::string name) const;
  Awaitable<Status> create_durable(std::string stream, json::Object config) const;
  Awaitable<Status> delete_durable(std::string stream, std::string name) const;

 private:
  Awaitable<Result<json::Object>> call(std::string verb, json::Object body) const;

  Requester requester_;
};

// The configuration of a stream to make, as the API takes it.
json::Object stream_config(const StreamSpec& spec);

// The configuration of the platform's push consumer, all of it but deliver_subject.
json::Object durable_config(const NatsOptions& options, const std::string& name,
                            const std::string& subject, const std::string& queue);

// Errors: kFailedPrecondition if `durable` is not one that the engine can consume.
Status check_durable(const DurableState& durable, const std::string& name,
                     const std::string& subject, const std::string& queue);

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_JET_STREAM_H_
