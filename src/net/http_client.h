// HttpClient: HTTP/1.1 requests over TCP or TLS, whole or as a stream of chunks.
//
// One connection per request, closed after it; redirects are not followed; answers are not
// compressed. Nothing is retried: callers know what may be sent twice (net/backoff.h).
//
// Ownership: the client may be copied freely; what it returns does not refer to it.
// Threads:   await on a strand.
// Errors:    kInvalidArgument for a request that cannot be sent; kUnavailable; kDeadlineExceeded;
//            kCancelled; kResourceExhausted for an answer over the limit; kFailedPrecondition for a
//            certificate that is not trusted. An answer of any status is no error.
//            Messages name the URL without its query and hold no header.

#ifndef STATE_ENGINE_NET_HTTP_CLIENT_H_
#define STATE_ENGINE_NET_HTTP_CLIENT_H_

#include <chrono>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "net/cancel.h"
#include "net/http_types.h"
#include "net/tls.h"

namespace state_engine::net {

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;  // http or https
  Headers headers;  // Host, Content-Length and Connection are added; User-Agent if absent
  std::string body;
  // For the whole exchange; for open() until the answer's header is there.
  std::chrono::milliseconds timeout{30'000};
  std::size_t body_bytes_max = 4 * 1024 * 1024;  // of the answer
  CancelToken cancel;                            // ends the exchange, also an open stream
};

struct HttpClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

// An answer whose body is still coming. Destroying it closes the connection.
class HttpResponseStream {
 public:
  virtual ~HttpResponseStream() = default;

  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;

  // The next piece of the body, or empty at its end. Pieces are cut where the network cut them.
  // Errors: also kUnavailable for a body that ends too early.
  virtual boost::asio::awaitable<Result<std::string>> read(std::chrono::milliseconds timeout) = 0;
};

class HttpClient {
 public:
  explicit HttpClient(TlsContext tls) : tls_(std::move(tls)) {}

  // Sends the request and reads the whole answer.
  boost::asio::awaitable<Result<HttpClientResponse>> request(HttpClientRequest request) const;

  // Sends the request and returns once the answer's header is there.
  boost::asio::awaitable<Result<std::unique_ptr<HttpResponseStream>>> open(
      HttpClientRequest request) const;

 private:
  TlsContext tls_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_CLIENT_H_
