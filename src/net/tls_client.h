// TlsClient: the client's half of TLS as a machine without a socket: bytes in, bytes out.
//
// It trusts what this machine trusts, or only the certificates of one file, and checks that the
// server's certificate is for the host that was asked for. TLS 1.2 and later.
//
// Threads: one at a time.
// Errors:  kInvalidArgument for a CA file that cannot be used, kUnavailable for a certificate that
//          is not trusted or a broken connection; the message says what to do.

#ifndef STATE_ENGINE_NET_TLS_CLIENT_H_
#define STATE_ENGINE_NET_TLS_CLIENT_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine::net {

class TlsClient {
 public:
  // `ca_file`: PEM certificates to trust; empty = those of this machine.
  static Result<std::unique_ptr<TlsClient>> create(const std::string& host,
                                                   const std::string& ca_file);
  ~TlsClient();

  // Goes on with the handshake; false while it waits for input.
  Result<bool> handshake();
  // Encrypts `text`. REQUIRES: the handshake is done.
  Status write(std::string_view text);
  // Decrypted text, empty at the end of the stream, nothing while it waits for input.
  Result<std::optional<std::string>> read();

  // What came from the peer; empty: its end.
  void feed(std::string_view bytes);
  // What has to be sent to the peer.
  std::string take_output();

  struct Impl;
  explicit TlsClient(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_TLS_CLIENT_H_
