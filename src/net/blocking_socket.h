// BlockingSocket: a stream socket for programs that wait, such as the CLI. Every call has a
// deadline.
//
// Threads: one at a time.
// Errors:  kUnavailable when the peer cannot be reached or went away, kDeadlineExceeded.

#ifndef STATE_ENGINE_NET_BLOCKING_SOCKET_H_
#define STATE_ENGINE_NET_BLOCKING_SOCKET_H_

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine::net {

class BlockingSocket {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  static Result<BlockingSocket> connect_tcp(const std::string& host, const std::string& port,
                                            Deadline deadline);
  static Result<BlockingSocket> connect_unix(const std::string& path);

  BlockingSocket(BlockingSocket&& other) noexcept;
  BlockingSocket& operator=(BlockingSocket&& other) noexcept;
  ~BlockingSocket();

  Status write_all(std::string_view text, Deadline deadline);
  // At least one byte, or empty at the end of the stream.
  Result<std::string> read_some(Deadline deadline);
  int descriptor() const { return descriptor_; }

 private:
  explicit BlockingSocket(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_BLOCKING_SOCKET_H_
