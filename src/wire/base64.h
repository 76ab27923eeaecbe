// Base64 (RFC 4648): the form of `bytes` fields in protobuf's JSON.

#ifndef STATE_ENGINE_WIRE_BASE64_H_
#define STATE_ENGINE_WIRE_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

namespace state_engine::wire {

// The standard alphabet with padding.
std::string to_base64(std::string_view bytes);

// Reads the standard and the URL-safe alphabet, with or without padding; nothing if malformed.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace state_engine::wire

#endif  // STATE_ENGINE_WIRE_BASE64_H_
