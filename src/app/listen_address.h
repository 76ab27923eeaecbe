// The address that --listen names.

#ifndef STATE_ENGINE_APP_LISTEN_ADDRESS_H_
#define STATE_ENGINE_APP_LISTEN_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace state_engine {

struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
};

// Reads "HOST:PORT", "[V6]:PORT" or "PORT"; nothing if it is none of them.
std::optional<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_LISTEN_ADDRESS_H_
