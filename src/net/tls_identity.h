// TlsIdentity: the certificate chain and key that a server shows, replaced while it serves.
//
// TLS 1.2 and later, HTTP/1.1 only (ALPN). A reload takes effect for new connections; open ones
// keep what they were opened with.
//
// Threads: every method from any thread.
// Errors:  kNotFound for a file that cannot be read, kInvalidArgument for one that holds no
//          certificate or key, is protected by a passphrase, or does not fit the other; the message
//          names the file and what to do.

#ifndef STATE_ENGINE_NET_TLS_IDENTITY_H_
#define STATE_ENGINE_NET_TLS_IDENTITY_H_

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace boost::asio::ssl {
class context;
}

namespace state_engine::net {

struct TlsFiles {
  std::string certificate;  // PEM: the server's certificate first, then its issuers
  std::string key;          // PEM, without a passphrase
};

class TlsIdentity {
 public:
  using Context = std::shared_ptr<boost::asio::ssl::context>;

  static Result<std::shared_ptr<TlsIdentity>> open(TlsFiles files);

  // Reads the files again. On an error the old certificate stays in force.
  Status reload();

  // What a new connection uses; never null.
  Context context() const;
  // When the certificate ends to be valid.
  Timestamp valid_until() const;

 private:
  explicit TlsIdentity(TlsFiles files) : files_(std::move(files)) {}

  const TlsFiles files_;
  mutable std::mutex mutex_;  // guards the two below; held for a copy
  Context context_;
  Timestamp valid_until_{};
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_TLS_IDENTITY_H_
