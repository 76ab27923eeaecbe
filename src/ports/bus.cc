#include "ports/bus.h"

#include <algorithm>

namespace state_engine {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::string_view BusMessage::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name)) return value;
  }
  return {};
}

boost::asio::awaitable<std::vector<PublishOutcome>> Bus::publish_all(
    std::vector<BusMessage> messages) {
  std::vector<PublishOutcome> out;
  out.reserve(messages.size());
  for (BusMessage& message : messages) {
    const PublishOutcome outcome = co_await publish(std::move(message));
    out.push_back(outcome);
  }
  co_return out;
}

}  // namespace state_engine
