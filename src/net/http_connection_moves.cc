// How a connection changes its thread between two requests (docs/adr/0028).

#include <algorithm>

#include <unistd.h>

#include "net/http_connection.h"

namespace state_engine::net {
namespace {

// Request and answer together; from here on the exchange costs more than a wake of another thread.
constexpr std::size_t kLargeExchangeBytes = 16 * 1024;
// Short-lived connections and those that become streams never get there, and stay spread.
constexpr int kSmallInARow = 64;

}  // namespace

bool HttpConnection::begin_move(std::size_t exchanged) {
  const bool large = exchanged >= kLargeExchangeBytes;
  small_in_a_row_ = large ? 0 : std::min(small_in_a_row_ + 1, kSmallInARow);
  Spread wanted = spread_;
  if (large) wanted = Spread::kAll;
  if (small_in_a_row_ == kSmallInARow) wanted = Spread::kHalf;
  // What was read belongs to this one, and so does the state of TLS.
  if (wanted == spread_ || buffer_.size() > 0 || stream_.is_tls()) return false;
  spread_ = wanted;
  auto next = host_->make_strand(wanted);
  if (next == executor_) return false;
  next_executor_ = std::move(next);
  return true;
}

std::shared_ptr<HttpConnection> HttpConnection::moved() {
  if (!next_executor_ || !stream_.is_open()) return nullptr;
  boost::system::error_code error;
  const auto protocol = stream_.socket().local_endpoint(error).protocol();
  if (!error) {
    HttpStream::Socket socket(*next_executor_);
    const auto handle = stream_.socket().release(error);
    if (!error) socket.assign(protocol, handle, error);
    if (!error) {
      auto next = std::make_shared<HttpConnection>(std::move(socket), host_);
      next->remote_address_ = remote_address_;
      next->is_loopback_ = is_loopback_;
      next->spread_ = spread_;
      return next;
    }
    if (handle >= 0) ::close(handle);
  }
  host_->log().warn("a connection was lost on its way to another thread",
                    {{"peer", remote_address_}, {"what", error.message()}});
  close_now();
  return nullptr;
}

}  // namespace state_engine::net
