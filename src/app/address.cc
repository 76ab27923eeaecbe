#include "app/address.h"

#include <charconv>

namespace state_engine {

std::optional<Address> parse_address(std::string_view text) {
  Address address{"127.0.0.1", 0};
  const std::size_t colon = text.rfind(':');
  std::string_view port = text;
  if (colon != std::string_view::npos) {
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.host.starts_with('[') && address.host.ends_with(']')) {
      address.host = address.host.substr(1, address.host.size() - 2);
    }
  }
  const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (fault != std::errc{} || end != port.data() + port.size() || address.host.empty()) {
    return std::nullopt;
  }
  return address;
}

}  // namespace state_engine
