// The time as each request needs it, several times and cheaply. Internal to src/net.

#ifndef STATE_ENGINE_NET_HTTP_CLOCK_H_
#define STATE_ENGINE_NET_HTTP_CLOCK_H_

#include <cstdint>
#include <string_view>

namespace state_engine::net {

// The steady clock as of the last tick of the kernel, at most 10 ms ago: deadlines are looked at no
// more often than that.
std::int64_t coarse_now_ns();

// The Date field of RFC 9110, good until the same thread asks again.
std::string_view date_now();

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_CLOCK_H_
