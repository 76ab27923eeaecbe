// A throw-away certificate and a TLS server on it, for tests of the clients.

#ifndef STATE_ENGINE_NET_TLS_SERVER_TEST_H_
#define STATE_ENGINE_NET_TLS_SERVER_TEST_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace state_engine::net {

struct TestCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

inline std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// A self-signed certificate for `host`, valid for an hour.
inline TestCertificate make_certificate(const std::string& host) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(host.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const std::string san = "DNS:" + host;
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, san.c_str());
  X509_add_ext(certificate.get(), extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const std::unique_ptr<BIO, decltype(&BIO_free)> key_bio(BIO_new(BIO_s_mem()), BIO_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> certificate_bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_bio.get(), certificate.get());
  return {bio_text(key_bio.get()), bio_text(certificate_bio.get())};
}

// Serves one connection on a thread of its own with blocking calls.
class OneConnectionServer {
 public:
  using Tls = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

  explicit OneConnectionServer(std::function<void(boost::asio::ip::tcp::socket)> serve)
      : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}),
        serve_(std::move(serve)) {
    thread_ = std::thread([this] {
      boost::system::error_code error;
      boost::asio::ip::tcp::socket socket(context_);
      acceptor_.accept(socket, error);
      if (!error && !stopping_) serve_(std::move(socket));
    });
  }
  ~OneConnectionServer() {
    stopping_ = true;
    // Wakes an accept that nobody came to.
    boost::asio::ip::tcp::socket waker(context_);
    boost::system::error_code ignored;
    waker.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::function<void(boost::asio::ip::tcp::socket)> serve_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Makes the server's handshake on `socket` with `certificate`, then calls `serve`.
inline void serve_tls(boost::asio::ip::tcp::socket socket, const TestCertificate& certificate,
                      const std::function<void(OneConnectionServer::Tls&)>& serve) {
  boost::asio::ssl::context tls(boost::asio::ssl::context::tls_server);
  tls.use_certificate_chain(boost::asio::buffer(certificate.certificate_pem));
  tls.use_private_key(boost::asio::buffer(certificate.key_pem), boost::asio::ssl::context::pem);
  OneConnectionServer::Tls stream(std::move(socket), tls);
  boost::system::error_code error;
  stream.handshake(boost::asio::ssl::stream_base::server, error);
  if (!error) serve(stream);
}

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_TLS_SERVER_TEST_H_
