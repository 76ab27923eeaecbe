// Two pumps in one poll() loop: input to socket, socket to output. Any kind of descriptor works,
// regular files included, since poll() calls those always ready.

#include "mcp/client/stdio_bridge.h"

#include <array>
#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/json.h"
#include "net/blocking_socket.h"

namespace state_engine::mcp {
namespace {

constexpr std::size_t kBufferMax = 256 * 1024;

struct Pump {
  int from = -1;
  int to = -1;
  bool to_socket = false;
  std::string buffer;
  bool ended = false;  // `from` is at its end

  bool wants_read() const { return !ended && buffer.size() < kBufferMax; }
  bool finished() const { return ended && buffer.empty(); }
};

Error broken(const std::string& what) {
  return {ErrorCode::kUnavailable, what + ": " + std::generic_category().message(errno)};
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

Status read_into(Pump& pump) {
  std::array<char, 64 * 1024> chunk;
  const ssize_t count = ::read(pump.from, chunk.data(), chunk.size());
  if (count > 0) {
    pump.buffer.append(chunk.data(), static_cast<std::size_t>(count));
  } else if (count == 0 || errno == ECONNRESET || errno == EIO) {
    pump.ended = true;  // At its end, or the socket's peer or a terminal is gone.
  } else if (!would_block()) {
    return broken("reading failed");
  }
  return {};
}

Status write_from(Pump& pump) {
  const ssize_t count = pump.to_socket
                            ? ::send(pump.to, pump.buffer.data(), pump.buffer.size(), MSG_NOSIGNAL)
                            : ::write(pump.to, pump.buffer.data(), pump.buffer.size());
  if (count >= 0) {
    pump.buffer.erase(0, static_cast<std::size_t>(count));
  } else if (!would_block()) {
    return broken(pump.to_socket ? "the engine went away" : "writing the output failed");
  }
  return {};
}

Status run_pumps(Pump& up, Pump& down) {
  bool half_closed = false;
  while (!down.finished()) {
    if (up.finished() && !half_closed) {
      half_closed = true;
      ::shutdown(up.to, SHUT_WR);  // The engine answers what is in flight, then closes.
    }
    const auto socket_events =
        static_cast<short>((down.wants_read() ? POLLIN : 0) | (up.buffer.empty() ? 0 : POLLOUT));
    std::array<pollfd, 3> items{
        pollfd{up.wants_read() ? up.from : -1, POLLIN, 0},
        pollfd{socket_events == 0 ? -1 : up.to, socket_events, 0},
        pollfd{down.buffer.empty() ? -1 : down.to, POLLOUT, 0},
    };
    if (::poll(items.data(), items.size(), -1) < 0 && errno != EINTR) return broken("poll failed");
    if (items[0].revents != 0) SE_RETURN_IF_ERROR(read_into(up));
    if ((items[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && down.wants_read()) {
      SE_RETURN_IF_ERROR(read_into(down));
    }
    if ((items[1].revents & POLLOUT) != 0 && !up.buffer.empty()) SE_RETURN_IF_ERROR(write_from(up));
    if (items[2].revents != 0) SE_RETURN_IF_ERROR(write_from(down));
  }
  if (up.ended) return {};
  return Error{ErrorCode::kUnavailable, "the engine closed the connection"};
}

}  // namespace

Status run_stdio_bridge(const StdioBridgeOptions& options) {
  auto socket = net::BlockingSocket::connect_unix(options.socket_path);
  if (!socket.ok()) {
    return Error{socket.error().code, socket.error().message +
                                          ". Is the engine running? Start it with 'state-engine "
                                          "serve'"};
  }
  json::Object hello;
  hello["client"] = "mcp";
  if (!options.token.empty()) hello["token"] = options.token;
  json::Object line;
  line["stateEngineHello"] = std::move(hello);
  Pump up{options.input, socket->descriptor(), true, json::write(json::Value(line)) + "\n", false};
  Pump down{socket->descriptor(), options.output, false, {}, false};
  return run_pumps(up, down);
}

}  // namespace state_engine::mcp
