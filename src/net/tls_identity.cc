// OpenSSL's own error texts name functions, not files: each step here says which file is at fault.

#include "net/tls_identity.h"

#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <system_error>

#include <boost/asio/ssl/context.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace state_engine::net {
namespace {

namespace ssl = boost::asio::ssl;

constexpr std::string_view kProtocol = "\x08http/1.1";

// The reason of the oldest OpenSSL error of this thread, all of which are dropped.
std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown fault";
}

Status check_readable(const std::string& what, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  // A directory opens; reading from it fails.
  if (file.is_open() && file.peek() != std::ifstream::traits_type::eof()) return {};
  const std::string why = errno != 0 ? std::generic_category().message(errno) : "it is empty";
  return Error{ErrorCode::kNotFound, "cannot read the " + what + " " + path + ": " + why};
}

int no_passphrase(char*, int, int, void*) { return 0; }

// Picks HTTP/1.1 when the client names it; a client that offers only other protocols is refused.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  const auto* ours = reinterpret_cast<const unsigned char*>(kProtocol.data());
  if (SSL_select_next_proto(&chosen, out_size, ours, static_cast<unsigned int>(kProtocol.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Status use_files(SSL_CTX* context, const TlsFiles& files) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return invalid_argument(files.certificate + " holds no usable certificate in PEM form (" +
                            openssl_reason() +
                            "); give the server's certificate followed by its issuers");
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long code = ERR_peek_error();
    const std::string reason = openssl_reason();
    if (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH && ERR_GET_LIB(code) == ERR_LIB_X509) {
      return invalid_argument("the key " + files.key + " does not belong to the certificate " +
                              files.certificate + "; give the two that were made together");
    }
    return invalid_argument(files.key + " holds no usable key in PEM form (" + reason +
                            "); a key with a passphrase has to be stored without one");
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return invalid_argument("the key " + files.key + " does not belong to the certificate " +
                            files.certificate + " (" + openssl_reason() + ")");
  }
  return {};
}

Timestamp end_of_validity(SSL_CTX* context) {
  std::tm parts{};
  const X509* certificate = SSL_CTX_get0_certificate(context);
  SE_ASSERT(certificate != nullptr);
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
  return Timestamp{std::chrono::seconds{::timegm(&parts)}};
}

Result<TlsIdentity::Context> make_context(const TlsFiles& files) {
  SE_RETURN_IF_ERROR(check_readable("certificate", files.certificate));
  SE_RETURN_IF_ERROR(check_readable("key", files.key));
  TlsIdentity::Context context;
  try {
    context = std::make_shared<ssl::context>(ssl::context::tls_server);
  } catch (const std::exception& fault) {
    return Error{ErrorCode::kInternal, std::string{"cannot set up TLS: "} + fault.what()};
  }
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(
      native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(native, no_passphrase);
  SE_RETURN_IF_ERROR(use_files(native, files));
  return context;
}

}  // namespace

Result<std::shared_ptr<TlsIdentity>> TlsIdentity::open(TlsFiles files) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<TlsIdentity> identity(new TlsIdentity(std::move(files)));
  SE_RETURN_IF_ERROR(identity->reload());
  return identity;
}

Status TlsIdentity::reload() {
  auto fresh = make_context(files_);
  if (!fresh.ok()) return fresh.error();
  const Timestamp until = end_of_validity((*fresh)->native_handle());
  const std::lock_guard lock(mutex_);
  context_ = std::move(*fresh);
  valid_until_ = until;
  return {};
}

TlsIdentity::Context TlsIdentity::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

Timestamp TlsIdentity::valid_until() const {
  const std::lock_guard lock(mutex_);
  return valid_until_;
}

}  // namespace state_engine::net
