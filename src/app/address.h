// HOST:PORT as options give it.

#ifndef STATE_ENGINE_APP_ADDRESS_H_
#define STATE_ENGINE_APP_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace state_engine {

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

// Reads "HOST:PORT", "[V6]:PORT" or "PORT"; the host is then 127.0.0.1.
std::optional<Address> parse_address(std::string_view text);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ADDRESS_H_
