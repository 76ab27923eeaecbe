// The names that the platform gives to streams, durables and subjects on NATS.

#ifndef STATE_ENGINE_BUS_NATS_NAMES_H_
#define STATE_ENGINE_BUS_NATS_NAMES_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace state_engine::nats {

// "local.internal.state.mutation.v1", "state-engine" ->
// "local-internal-state-mutation-v1-state-engine-durable".
std::string durable_name(std::string_view subject, std::string_view queue);

// A stream that must exist for `needed`, a subject that the platform uses.
struct StreamSpec {
  std::string needed;
  std::string name;               // of the stream to make if none takes `needed`
  std::string subject;            // that the new stream takes
  std::chrono::hours age_max{0};  // 0 = for ever
};

// What the engine needs: one stream for all with a prefix, one per family of subjects without.
std::vector<StreamSpec> stream_plan(const std::string& prefix);

// Where requests are answered: "rpc.local.state.engine.v1.get".
std::string rpc_subject(const std::string& prefix, std::string_view verb);

// What the reply subject of a JetStream delivery says.
struct AckSubject {
  std::string stream;
  std::string consumer;
  int attempt = 1;
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  Timestamp stored_at{};
  std::uint64_t pending = 0;  // messages that the consumer has yet to deliver
};

// Nothing for a subject that is no JetStream reply. Knows the form with and without a domain.
std::optional<AckSubject> parse_ack_subject(std::string_view subject);

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_NAMES_H_
