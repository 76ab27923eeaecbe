// BlockingSocket: a stream socket, as it is or by TLS, for programs that wait, such as the CLI.
// Every call has a deadline.
//
// Threads: one at a time.
// Errors:  kUnavailable when the peer cannot be reached or went away, kDeadlineExceeded.

#ifndef STATE_ENGINE_NET_BLOCKING_SOCKET_H_
#define STATE_ENGINE_NET_BLOCKING_SOCKET_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine::net {

class TlsClient;

class BlockingSocket {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  static Result<BlockingSocket> connect_tcp(const std::string& host, const std::string& port,
                                            Deadline deadline);
  static Result<BlockingSocket> connect_unix(const std::string& path);

  BlockingSocket(BlockingSocket&& other) noexcept;
  BlockingSocket& operator=(BlockingSocket&& other) noexcept;
  ~BlockingSocket();

  // Speaks TLS from here on. `ca_file` as TlsClient::create; its errors, too.
  Status start_tls(const std::string& host, const std::string& ca_file, Deadline deadline);

  Status write_all(std::string_view text, Deadline deadline);
  // At least one byte, or empty at the end of the stream.
  Result<std::string> read_some(Deadline deadline);
  int descriptor() const { return descriptor_; }

 private:
  explicit BlockingSocket(int descriptor);

  Status write_raw(std::string_view bytes, Deadline deadline);
  Result<std::string> read_raw(Deadline deadline);
  // Sends what TLS has to say, then waits for what the peer says.
  Status exchange_tls(Deadline deadline);

  int descriptor_ = -1;
  std::unique_ptr<TlsClient> tls_;  // null: none
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_BLOCKING_SOCKET_H_
