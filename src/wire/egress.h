// Effects as messages on the egress subject.
//
// What a rule published becomes a valid InternalEventV2 (proto: EgressEvent). Everything in it
// follows from the effect, so that each delivery has identical bytes (I9).
//
// Of the rule's payload, these members shape the envelope: `egress` {destination, connector,
// channel}, `message` (a string or {text, role}), `candidates`, `annotations`, `payload`. All
// others but `type` become members of the event's `payload`. Missing parts are filled in; the
// connector is "system" unless the rule names one.

#ifndef STATE_ENGINE_WIRE_EGRESS_H_
#define STATE_ENGINE_WIRE_EGRESS_H_

#include <string>

#include "base/json.h"
#include "core/types.h"

namespace state_engine::wire {

enum class EgressShape {
  kInternalEventV2,
  kRaw,  // the rule's payload as it is, as the reference publishes it
};

json::Object encode_egress_event(const Effect& effect);

// The body to publish.
std::string egress_body(const Effect& effect, EgressShape shape);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_EGRESS_H_
