// Plain non-blocking sockets with poll(): no event loop, and every wait ends at its deadline.

#include "net/blocking_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include "net/tls_client.h"

namespace state_engine::net {
namespace {

Error unavailable(const std::string& what, int error_number) {
  return {ErrorCode::kUnavailable, what + ": " + std::generic_category().message(error_number)};
}

// Waits until `descriptor` is ready for `events`.
Status wait_for(int descriptor, short events, BlockingSocket::Deadline deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd poll_one{descriptor, events, 0};
    constexpr std::int64_t kPollMax = 60'000;
    const int ready = ::poll(
        &poll_one, 1, static_cast<int>(std::clamp<std::int64_t>(left.count() + 1, 0, kPollMax)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return unavailable("waiting for a socket failed", errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{ErrorCode::kDeadlineExceeded, "no answer in time"};
    }
  }
}

// Connects a non-blocking socket; 0, or an errno value.
int connect_within(int descriptor, const sockaddr* address, socklen_t length,
                   BlockingSocket::Deadline deadline) {
  if (::connect(descriptor, address, length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(descriptor, POLLOUT, deadline).ok()) return ETIMEDOUT;
  int result = 0;
  socklen_t size = sizeof(result);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &result, &size) != 0) return errno;
  return result;
}

}  // namespace

BlockingSocket::BlockingSocket(int descriptor) : descriptor_(descriptor) {}

BlockingSocket::BlockingSocket(BlockingSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), tls_(std::move(other.tls_)) {}

BlockingSocket& BlockingSocket::operator=(BlockingSocket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(tls_, other.tls_);
  return *this;
}

BlockingSocket::~BlockingSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<BlockingSocket> BlockingSocket::connect_tcp(const std::string& host, const std::string& port,
                                                   Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int resolved = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (resolved != 0) {
    return Error{ErrorCode::kUnavailable,
                 "cannot resolve '" + host + "': " + ::gai_strerror(resolved)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  int last = ECONNREFUSED;
  for (const addrinfo* item = found; item; item = item->ai_next) {
    BlockingSocket socket(::socket(item->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.descriptor_ < 0) {
      last = errno;
      continue;
    }
    last = connect_within(socket.descriptor_, item->ai_addr, item->ai_addrlen, deadline);
    if (last != 0) continue;
    const int on = 1;
    ::setsockopt(socket.descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return socket;
  }
  return unavailable("cannot connect to " + host + ":" + port, last);
}

Result<BlockingSocket> BlockingSocket::connect_unix(const std::string& path) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return invalid_argument("'" + path + "' cannot be a Unix socket: it must have 1 to " +
                            std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  BlockingSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.descriptor_ < 0) return unavailable("cannot open a Unix socket", errno);
  if (::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    return unavailable("cannot connect to " + path, errno);
  }
  const int flags = ::fcntl(socket.descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(socket.descriptor_, F_SETFL, flags | O_NONBLOCK) != 0) {
    return unavailable("cannot set up the socket", errno);
  }
  return socket;
}

Status BlockingSocket::start_tls(const std::string& host, const std::string& ca_file,
                                 Deadline deadline) {
  auto client = TlsClient::create(host, ca_file);
  if (!client.ok()) return client.error();
  tls_ = std::move(*client);
  while (true) {
    const auto done = tls_->handshake();
    if (!done.ok()) {
      // The peer learns why from the alert, if it still listens.
      std::ignore = write_raw(tls_->take_output(), deadline);
      return done.error();
    }
    if (*done) return write_raw(tls_->take_output(), deadline);
    SE_RETURN_IF_ERROR(exchange_tls(deadline));
  }
}

Status BlockingSocket::exchange_tls(Deadline deadline) {
  SE_RETURN_IF_ERROR(write_raw(tls_->take_output(), deadline));
  const auto bytes = read_raw(deadline);
  if (!bytes.ok()) return bytes.error();
  tls_->feed(*bytes);
  return {};
}

Status BlockingSocket::write_all(std::string_view text, Deadline deadline) {
  if (!tls_) return write_raw(text, deadline);
  SE_RETURN_IF_ERROR(tls_->write(text));
  return write_raw(tls_->take_output(), deadline);
}

Result<std::string> BlockingSocket::read_some(Deadline deadline) {
  if (!tls_) return read_raw(deadline);
  while (true) {
    auto text = tls_->read();
    if (!text.ok()) return text.error();
    if (*text) return std::move(**text);
    SE_RETURN_IF_ERROR(exchange_tls(deadline));
  }
}

Status BlockingSocket::write_raw(std::string_view text, Deadline deadline) {
  while (!text.empty()) {
    const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      SE_RETURN_IF_ERROR(wait_for(descriptor_, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return unavailable("the connection broke", errno);
    }
  }
  return {};
}

Result<std::string> BlockingSocket::read_raw(Deadline deadline) {
  std::string chunk(64 * 1024, '\0');
  while (true) {
    const ssize_t count = ::recv(descriptor_, chunk.data(), chunk.size(), 0);
    if (count >= 0) {
      chunk.resize(static_cast<std::size_t>(count));
      return chunk;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (auto ready = wait_for(descriptor_, POLLIN, deadline); !ready.ok()) return ready.error();
    } else if (errno != EINTR) {
      return unavailable("the connection broke", errno);
    }
  }
}

}  // namespace state_engine::net
