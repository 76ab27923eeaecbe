// Between JSON values and protobuf messages, by reflection, in the JSON form of this project
// (proto/state_engine/v1/options.proto): numbers stay numbers, a `value` keeps integers beyond 2^53
// and any depth by way of its `value_json` companion.
//
// One mapping serves every message, so that JSON and the schemas cannot drift apart: what a codec
// writes and no schema names is an error here.

#ifndef STATE_ENGINE_WIRE_MESSAGE_JSON_H_
#define STATE_ENGINE_WIRE_MESSAGE_JSON_H_

#include "base/json.h"
#include "base/result.h"

namespace google::protobuf {
class Message;
}

namespace state_engine::wire {

// Fills `message`, which must be empty, from `object`. Null members count as absent, but for fields
// of type google.protobuf.Value. Errors: kInvalidArgument naming the field.
Status json_to_message(const json::Object& object, google::protobuf::Message& message);

// The JSON form of `message`. Errors: kInvalidArgument if a companion holds no JSON, a number is
// not finite or a time is out of range.
Result<json::Object> message_to_json(const google::protobuf::Message& message);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_MESSAGE_JSON_H_
