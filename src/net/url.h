// Url: the parts of an absolute http, https, ws or wss address.

#ifndef STATE_ENGINE_NET_URL_H_
#define STATE_ENGINE_NET_URL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine::net {

struct Url {
  std::string scheme;      // lower case: "wss"
  std::string host;        // without brackets: "::1"
  std::uint16_t port = 0;  // the default of the scheme when the text names none
  std::string target;      // "/eventsub?x=1"; at least "/"

  bool is_tls() const { return scheme == "https" || scheme == "wss"; }
  bool is_websocket() const { return scheme == "ws" || scheme == "wss"; }
  // What the Host field says: the port only when it is not the default, brackets around IPv6.
  std::string authority() const;
  // "wss://host:port/path", without the query, which may hold a secret; for logs and messages.
  std::string display() const;
};

// Reads an absolute URL; a fragment is dropped. User names and passwords in it are refused: they
// would end up in logs.
// Errors: kInvalidArgument; the message does not repeat the text.
Result<Url> parse_url(std::string_view text);

// `text` with everything but unreserved characters as %XX, for a query or a form.
std::string percent_encode(std::string_view text);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_URL_H_
