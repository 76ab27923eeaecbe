// The requests that nearly all clients send, read without a general parser. Internal to src/net.

#ifndef STATE_ENGINE_NET_PLAIN_REQUEST_H_
#define STATE_ENGINE_NET_PLAIN_REQUEST_H_

#include <cstddef>
#include <string_view>

#include "net/http_types.h"

namespace state_engine::net {

struct PlainRequestLimits {
  std::size_t header_bytes_max;
  std::size_t body_bytes_max;
};

// Reads the request at the front of `bytes` if it is plain: whole, HTTP/1.1 on a connection that
// goes on, one Host, a body by Content-Length or none. Sets method, target, path, query, headers
// and body of `request`. Returns how many bytes it has, or 0 if it is anything else: then nothing
// is said about it, and `request` is in an unknown state.
std::size_t read_plain_request(std::string_view bytes, const PlainRequestLimits& request_limits,
                               HttpRequest& request);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_PLAIN_REQUEST_H_
