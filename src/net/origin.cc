// A browser can be made to send requests here by a page (Origin) or by a name that it resolves to
// this machine (Host). Names are compared as text, never resolved: only exact loopback names pass.

#include "net/origin.h"

#include <algorithm>

namespace state_engine::net {
namespace {

// An authority without its port; empty if it is malformed ("a:b:c", "[::1", "x:99999", user info).
std::string_view host_of(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return {};
    host = authority.substr(0, end + 1);
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return {};
    if (!port.empty()) port.remove_prefix(1);
    if (authority.size() > host.size() && port.empty()) return {};
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (port.empty()) return {};
  }
  if (port.size() > 5 ||
      !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return {};
  }
  if (host.find_first_of("@/?#\\ \t%") != std::string_view::npos) return {};
  return host;
}

bool is_loopback_name(std::string_view host) {
  return equals_ignoring_case(host, "localhost") || host == "127.0.0.1" || host == "[::1]";
}

bool host_fits(const OriginPolicy& policy, std::string_view authority) {
  if (is_loopback_authority(authority)) return true;
  const std::string_view host = host_of(authority);
  if (host.empty()) return false;
  return std::any_of(
      policy.allowed_hosts.begin(), policy.allowed_hosts.end(), [&](const std::string& allowed) {
        return equals_ignoring_case(allowed, authority) || equals_ignoring_case(allowed, host);
      });
}

bool origin_fits(const OriginPolicy& policy, std::string_view origin) {
  for (const std::string& allowed : policy.allowed_origins) {
    if (equals_ignoring_case(allowed, origin)) return true;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) {
      return is_loopback_authority(origin.substr(scheme.size()));
    }
  }
  return false;
}

}  // namespace

bool is_loopback_authority(std::string_view authority) {
  return is_loopback_name(host_of(authority));
}

bool origin_allowed(const OriginPolicy& policy, const Headers& headers) {
  if (headers.count("Host") > 1 || headers.count("Origin") > 1) return false;
  if (policy.check_host || !policy.allowed_hosts.empty()) {
    const std::string* host = headers.find("Host");
    if (!host || !host_fits(policy, *host)) return false;
  }
  const std::string* origin = headers.find("Origin");
  return !origin || origin_fits(policy, *origin);
}

}  // namespace state_engine::net
