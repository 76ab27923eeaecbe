// Host and Origin checks: the defence of a local server against DNS rebinding and foreign pages.

#ifndef STATE_ENGINE_NET_ORIGIN_H_
#define STATE_ENGINE_NET_ORIGIN_H_

#include <string>
#include <string_view>
#include <vector>

#include "net/http_types.h"

namespace state_engine::net {

struct OriginPolicy {
  // True on a loopback bind: Host must then be a loopback name or an allowed host.
  bool check_host = true;
  std::vector<std::string> allowed_hosts;    // "engine.example" (any port) or "engine.example:8080"
  std::vector<std::string> allowed_origins;  // "https://console.example", exactly as browsers send
};

// True for localhost, 127.0.0.1 and [::1] with or without a port.
bool is_loopback_authority(std::string_view authority);

// True if the request may be served: its Host fits and its Origin is absent, loopback or allowed.
// More than one Host or Origin field never fits.
bool origin_allowed(const OriginPolicy& policy, const Headers& headers);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_ORIGIN_H_
