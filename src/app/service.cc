// Signals are blocked before the first thread starts and read from a descriptor: no handler code.

#include "app/service.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sys/signalfd.h>

#include <fmt/format.h>
#include <prometheus/text_serializer.h>
#include <signal.h>
#include <unistd.h>

#include "app/bit_tools.h"
#include "app/version.h"
#include "base/hex.h"
#include "net/origin.h"

namespace state_engine {
namespace {

// Blocks the signals of a service in this and all later threads; returns a descriptor to wait on.
int block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

// The host as it stands in a URL: an IPv6 address in brackets.
std::string url_host(const std::string& host) {
  return host.find(':') != std::string::npos ? "[" + host + "]" : host;
}

mcp::ServerOptions server_options(const ServiceOptions& options) {
  mcp::ServerOptions out;
  out.name = options.name;
  out.title = options.name;
  out.version = kVersion;
  out.instructions = options.instructions;
  return out;
}

mcp::HttpEndpointOptions endpoint_options(const ServiceOptions& options) {
  mcp::HttpEndpointOptions out;
  out.origins.check_host = net::is_loopback_authority(url_host(options.host));
  out.origins.allowed_hosts = options.allowed_hosts;
  out.origins.allowed_origins = options.allowed_origins;
  out.resource = options.resource;
  return out;
}

}  // namespace

Service::Service(ServiceOptions options)
    : options_(std::move(options)),
      signals_(block_signals()),
      log_(options_.name, options_.log_level, clock_),
      health_(options_.name),
      metrics_(std::make_shared<prometheus::Registry>()),
      mcp_(runtime_.make_strand(), server_options(options_), log_),
      http_(runtime_, {}, log_),
      http_endpoint_(mcp_, endpoint_options(options_), make_authenticator(access_, clock_), random_,
                     log_),
      stream_endpoint_(runtime_, mcp_, {}, make_authenticator(access_, clock_), log_) {
  SE_ASSERT(signals_ >= 0);
  add_bit_tools(mcp_, health_);
  add_gauges();
}

Service::~Service() {
  runtime_.stop();
  ::close(signals_);
}

Status Service::load_access() {
  SE_RETURN_IF_ERROR(read_access());
  http_endpoint_.recheck_access();
  stream_endpoint_.recheck_access();
  return {};
}

Status Service::load_certificate() {
  if (options_.tls.certificate.empty()) return {};
  if (tls_) {
    SE_RETURN_IF_ERROR(tls_->reload());
  } else {
    auto identity = net::TlsIdentity::open(options_.tls);
    if (!identity.ok()) return identity.error();
    tls_ = std::move(*identity);
    http_.use_tls(tls_);
  }
  const bool valid = clock_.wall_now() < tls_->valid_until();
  log_.write(
      valid ? LogLevel::kInfo : LogLevel::kWarn,
      valid ? "certificate loaded" : "the certificate has expired: clients will refuse it",
      {{"file", options_.tls.certificate}, {"validUntil", format_rfc3339(tls_->valid_until())}});
  return {};
}

Status Service::read_access() {
  if (!options_.shared_token.empty()) {
    access_.shared_token_sha256 = sha256_hex(options_.shared_token);
  }
  if (!options_.tokens_file.empty()) {
    auto tokens = load_tokens(options_.tokens_file);
    if (!tokens.ok()) return tokens.error();
    access_.tokens.replace(std::move(*tokens));
  }
  if (options_.jwks_file.empty()) return {};
  std::ifstream file(options_.jwks_file);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) {
    return Error{ErrorCode::kNotFound, "cannot read the key set " + options_.jwks_file};
  }
  auto verifier = net::JwtVerifier::from_jwks(text, options_.jwt);
  if (!verifier.ok()) {
    return invalid_argument(options_.jwks_file + ": " + verifier.error().message);
  }
  access_.signed_tokens.replace(std::move(*verifier));
  return {};
}

void Service::add_gauges() {
  const auto add = [this](const std::string& name, const std::string& help,
                          std::function<std::size_t()> count) {
    auto& gauge = prometheus::BuildGauge().Name(name).Help(help).Register(*metrics_).Add({});
    gauges_.emplace_back(&gauge, std::move(count));
  };
  add("state_engine_http_connections", "Open HTTP connections",
      [this] { return http_.open_connections(); });
  add("state_engine_mcp_sessions", "Sessions of the older MCP revisions",
      [this] { return http_endpoint_.sessions(); });
  add("state_engine_mcp_listeners", "Open HTTP streams of updates",
      [this] { return http_endpoint_.listeners(); });
  add("state_engine_mcp_local_connections", "Open connections of the Unix socket",
      [this] { return stream_endpoint_.connections(); });
}

std::string Service::metrics_text() const {
  for (const auto& [gauge, count] : gauges_) gauge->Set(static_cast<double>(count()));
  return prometheus::TextSerializer().Serialize(metrics_->Collect());
}

void Service::add_routes() {
  using net::HttpRequest;
  using net::HttpResponse;
  http_endpoint_.mount(http_);
  const auto add = [this](std::string path,
                          std::function<HttpResponse(const HttpRequest&)> answer) {
    http_.route(std::move(path), "GET, HEAD", net::sync_handler(std::move(answer)));
  };
  const auto alive = [this](const HttpRequest&) {
    return HttpResponse::json(
        200, json::write(json::Object{{"status", "ok"}, {"service", health_.service()}}));
  };
  add("/healthz", alive);
  add("/livez", alive);
  add("/readyz", [this](const HttpRequest&) {
    return HttpResponse::json(health_.ready() ? 200 : 503, json::write(health_.report()));
  });
  add("/health", [this](const HttpRequest&) {
    return HttpResponse::json(health_.ready() ? 200 : 503, json::write(health_.report()));
  });
  add("/metrics", [this](const HttpRequest&) {
    HttpResponse response = HttpResponse::text(200, metrics_text());
    response.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
    return response;
  });
}

Status Service::open() {
  if (!net::is_loopback_authority(url_host(options_.host)) && !access_.any()) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("refusing to listen on {} without tokens: anyone who reaches it could "
                             "write. Give --tokens FILE (make one with `state-engine token new "
                             "--actor NAME --tokens FILE`) or listen on 127.0.0.1",
                             options_.host)};
  }
  if (!net::is_loopback_authority(url_host(options_.host)) && !tls_ &&
      !options_.resource.public_url.starts_with("https://")) {
    log_.warn(
        "tokens and state travel unencrypted beyond this machine; give --tls-cert and "
        "--tls-key, or put a TLS proxy in front and name it with --public-url https://...");
  }
  add_routes();
  if (!options_.socket_path.empty()) {
    SE_RETURN_IF_ERROR(stream_endpoint_.listen_unix(options_.socket_path));
  }
  open_ = true;
  return http_.listen(options_.host, options_.port);
}

Status Service::serve_stdio() {
  Status status;
  runtime_.run_blocking(
      [](mcp::StreamEndpoint& endpoint, Status& out) -> boost::asio::awaitable<void> {
        out = co_await endpoint.serve_descriptors(STDIN_FILENO, STDOUT_FILENO);
      }(stream_endpoint_, status));
  return status;
}

std::string Service::url() const {
  return fmt::format("{}://{}:{}", tls_ ? "https" : "http", url_host(options_.host), http_.port());
}

void Service::run(const std::function<void()>& on_reload) {
  while (true) {
    signalfd_siginfo info{};
    const ssize_t size = ::read(signals_, &info, sizeof info);
    if (size < 0 && errno == EINTR) continue;
    SE_ASSERT(size == sizeof info);
    if (info.ssi_signo == SIGHUP) {
      on_reload();
      continue;
    }
    log_.info("stopping", {{"signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"}});
    return;
  }
}

void Service::close(std::chrono::milliseconds grace) {
  health_.set_started(false);
  if (!std::exchange(open_, false)) return;
  runtime_.run_blocking(
      [](Service& service, std::chrono::milliseconds most) -> boost::asio::awaitable<void> {
        co_await service.http_.shutdown(most);
        co_await service.stream_endpoint_.shutdown(most);
      }(*this, grace));
}

}  // namespace state_engine
