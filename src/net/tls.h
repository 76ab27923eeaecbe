// TlsContext: what a client trusts when it connects over TLS.
//
// TLS 1.2 and newer; the certificate must be valid, signed by a trusted authority and made for the
// host that was asked for. Copies share one context.
//
// Threads: any.

#ifndef STATE_ENGINE_NET_TLS_H_
#define STATE_ENGINE_NET_TLS_H_

#include <memory>
#include <string>

#include "base/result.h"

namespace state_engine::net {

struct TlsOptions {
  std::string ca_file;  // PEM; trusted besides the authorities of the system; empty = none
  bool verify = true;   // false takes any certificate: only for a peer on this machine
};

class TlsContext {
 public:
  // Errors: kInvalidArgument for a CA file that cannot be read.
  static Result<TlsContext> create(const TlsOptions& options);

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit TlsContext(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<const Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_TLS_H_
