// OpenSSL on two memory buffers: no signal, descriptor or clock of its own.

#include "net/tls_client.h"

#include <algorithm>
#include <arpa/inet.h>
#include <climits>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace state_engine::net {
namespace {

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SessionDeleter {
  void operator()(SSL* session) const { SSL_free(session); }
};

bool is_address(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return reason != nullptr ? reason : "the peer broke off";
}

Error internal_fault(const std::string& what) {
  return {ErrorCode::kInternal, "cannot " + what + ": " + openssl_reason()};
}

}  // namespace

struct TlsClient::Impl {
  std::unique_ptr<SSL_CTX, ContextDeleter> context;
  std::unique_ptr<SSL, SessionDeleter> session;
  std::string host;
  BIO* input = nullptr;   // owned by the session
  BIO* output = nullptr;  // owned by the session

  Error broken() const {
    const long verdict = SSL_get_verify_result(session.get());
    if (verdict == X509_V_OK) {
      return {ErrorCode::kUnavailable,
              "the TLS connection to " + host + " failed: " + openssl_reason()};
    }
    ERR_clear_error();
    return {ErrorCode::kUnavailable,
            "the certificate of " + host +
                " is not trusted: " + X509_verify_cert_error_string(verdict) +
                ". If it is your own, name the file of its issuer with --ca FILE"};
  }
};

TlsClient::TlsClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TlsClient::~TlsClient() = default;

Result<std::unique_ptr<TlsClient>> TlsClient::create(const std::string& host,
                                                     const std::string& ca_file) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->host = host;
  impl->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = impl->context.get();
  if (context == nullptr) return internal_fault("set up TLS");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) {
      return internal_fault("load the certificates that this machine trusts");
    }
  } else if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1) {
    return invalid_argument("cannot take certificates from " + ca_file + " (" + openssl_reason() +
                            "); --ca takes a readable PEM file");
  }
  impl->session.reset(SSL_new(context));
  SSL* session = impl->session.get();
  impl->input = BIO_new(BIO_s_mem());
  impl->output = BIO_new(BIO_s_mem());
  if (session == nullptr || impl->input == nullptr || impl->output == nullptr) {
    BIO_free(impl->input);
    BIO_free(impl->output);
    return internal_fault("set up TLS");
  }
  // An empty buffer means "later", not the end.
  BIO_set_mem_eof_return(impl->input, -1);
  SSL_set_bio(session, impl->input, impl->output);
  SSL_set_connect_state(session);
  const bool named = is_address(host)
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1
                         : SSL_set1_host(session, host.c_str()) == 1 &&
                               SSL_set_tlsext_host_name(session, host.c_str()) == 1;
  if (!named) return invalid_argument("'" + host + "' is no host name for TLS");
  return std::make_unique<TlsClient>(std::move(impl));
}

Result<bool> TlsClient::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(impl_->session.get());
  if (result == 1) return true;
  if (SSL_get_error(impl_->session.get(), result) == SSL_ERROR_WANT_READ) return false;
  return impl_->broken();
}

Status TlsClient::write(std::string_view text) {
  while (!text.empty()) {
    ERR_clear_error();
    const auto size = static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX));
    const int result = SSL_write(impl_->session.get(), text.data(), size);
    if (result <= 0) return impl_->broken();
    text.remove_prefix(static_cast<std::size_t>(result));
  }
  return {};
}

Result<std::optional<std::string>> TlsClient::read() {
  ERR_clear_error();
  std::string text(16 * 1024, '\0');
  const int result = SSL_read(impl_->session.get(), text.data(), static_cast<int>(text.size()));
  if (result > 0) {
    text.resize(static_cast<std::size_t>(result));
    return std::optional<std::string>(std::move(text));
  }
  switch (SSL_get_error(impl_->session.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return std::optional<std::string>();
    case SSL_ERROR_ZERO_RETURN:
      return std::optional<std::string>(std::string{});
    default:
      return impl_->broken();
  }
}

void TlsClient::feed(std::string_view bytes) {
  if (bytes.empty()) {
    BIO_set_mem_eof_return(impl_->input, 0);
    return;
  }
  // A memory buffer takes everything.
  const int size = static_cast<int>(bytes.size());
  SE_ASSERT(BIO_write(impl_->input, bytes.data(), size) == size);
}

std::string TlsClient::take_output() {
  std::string out;
  char chunk[4096];
  for (int count = 0; (count = BIO_read(impl_->output, chunk, sizeof chunk)) > 0;) {
    out.append(chunk, static_cast<std::size_t>(count));
  }
  return out;
}

}  // namespace state_engine::net
