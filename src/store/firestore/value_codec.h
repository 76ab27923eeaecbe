// JSON values as native Firestore values, and back.

#ifndef STATE_ENGINE_STORE_FIRESTORE_VALUE_CODEC_H_
#define STATE_ENGINE_STORE_FIRESTORE_VALUE_CODEC_H_

#include <cstddef>
#include <optional>

#include <google/firestore/v1/document.pb.h>

#include "base/json.h"

namespace state_engine::firestore {

// Limits of a native value; what is over them is kept as JSON text. Firestore allows maps and
// arrays 20 deep and 40,000 index entries in a document.
inline constexpr int kNativeDepthMax = 16;
inline constexpr std::size_t kNativeNodesMax = 5000;

// The native form of `value`, or nothing where Firestore has none: an array in an array, nesting
// over the depth, an integer over int64, member names that are empty, reserved or over 1,500 bytes,
// text that is not UTF-8. The order of members is not kept.
std::optional<google::firestore::v1::Value> to_native(const json::Value& value);

// Any Firestore value as JSON: times as RFC 3339 text, bytes as base64, references as their name.
// Members in byte order of their names.
json::Value from_native(const google::firestore::v1::Value& value);

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_VALUE_CODEC_H_
