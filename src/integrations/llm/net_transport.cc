// The HTTP client is a coroutine, the bot a thread that waits: the runtime carries one for the
// other.

#include "integrations/llm/net_transport.h"

#include <chrono>
#include <utility>

namespace state_engine::llm {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// A stream of small chunks is larger than what is kept of it; CompletionStream has its own bounds.
constexpr std::size_t kBodyBytesMax = 32 * 1024 * 1024;

struct Exchange {
  net::HttpClient client;
  net::HttpClientRequest request;
  const HttpTransport::BodySink& sink;
  Result<HttpHead> result = Error{ErrorCode::kCancelled, "not begun"};
};

boost::asio::awaitable<void> run(Exchange& exchange) {
  const auto deadline = Clock::now() + exchange.request.timeout;
  auto stream = co_await exchange.client.open(exchange.request);
  if (!stream.ok()) {
    exchange.result = stream.error();
    co_return;
  }
  const HttpHead head{(*stream)->status(), (*stream)->headers()};
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    auto piece = co_await (*stream)->read(std::max(left, milliseconds{1}));
    if (!piece.ok()) {
      exchange.result = piece.error();
      co_return;
    }
    if (piece->empty() || !exchange.sink(head, *piece)) break;
  }
  exchange.result = head;
}

}  // namespace

Result<HttpHead> NetTransport::post(const HttpPost& request, const BodySink& sink) {
  net::HttpClientRequest out;
  out.method = "POST";
  out.url = request.url;
  out.headers = request.headers;
  out.body = request.body;
  out.timeout = request.timeout;
  out.body_bytes_max = kBodyBytesMax;
  out.cancel = stop_;
  Exchange exchange{client_, std::move(out), sink};
  runtime_.run_blocking(run(exchange));
  return std::move(exchange.result);
}

}  // namespace state_engine::llm
