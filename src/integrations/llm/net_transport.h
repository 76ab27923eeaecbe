// NetTransport: HttpTransport over the project's HTTP client, for code that waits.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_NET_TRANSPORT_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_NET_TRANSPORT_H_

#include "integrations/llm/llm_client.h"
#include "net/cancel.h"
#include "net/http_client.h"
#include "net/io_runtime.h"

namespace state_engine::llm {

class NetTransport final : public HttpTransport {
 public:
  // The runtime outlives the transport. `stop` ends an exchange under way.
  NetTransport(net::IoRuntime& runtime, net::TlsContext tls, net::CancelToken stop)
      : runtime_(runtime), client_(std::move(tls)), stop_(std::move(stop)) {}

  // REQUIRES: the caller is not a thread of the runtime.
  Result<HttpHead> post(const HttpPost& request, const BodySink& sink) override;

 private:
  net::IoRuntime& runtime_;
  net::HttpClient client_;
  net::CancelToken stop_;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_NET_TRANSPORT_H_
