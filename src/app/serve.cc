// Order of start: configuration, access, store, engine, and only then the doors. Stop is the
// reverse.

#include "app/serve.h"

#include <cstdio>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "app/address.h"
#include "app/client_configs.h"
#include "app/engine_host.h"
#include "app/engine_proposer.h"
#include "app/twitch_host.h"
#include "app/version.h"

namespace state_engine {
namespace {

constexpr std::chrono::seconds kGrace{5};
constexpr int kUsage = 2;

std::string own_program() {
  std::error_code fault;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", fault);
  return fault ? "state-engine" : path.string();
}

// Clients start their servers in a directory of their own.
std::string absolute_path(const std::string& path) {
  std::error_code fault;
  const auto absolute = std::filesystem::absolute(path, fault);
  return fault ? path : absolute.lexically_normal().string();
}

std::string socket_path(const ServeOptions& options) {
  return (std::filesystem::path(options.data_dir) / "engine.sock").string();
}

// Signed tokens; false after a complaint.
bool read_authorization(const ServeOptions& options, ServiceOptions& out) {
  out.resource.scopes = {"state:read", "state:write"};
  out.resource.public_url = options.public_url;
  if (options.jwks_file.empty()) return true;
  out.jwks_file = options.jwks_file;
  out.jwt.issuer = options.jwt_issuer;
  out.jwt.audience = options.jwt_audience;
  if (out.jwt.audience.empty() && !options.public_url.empty()) {
    out.jwt.audience = options.public_url + "/mcp";
  }
  if (out.jwt.issuer.empty() || out.jwt.audience.empty()) {
    fmt::print(stderr,
               "state-engine: --jwks needs --jwt-issuer, and --jwt-audience or --public-url: a "
               "token must be from somebody you trust and meant for this engine\n");
    return false;
  }
  out.resource.authorization_servers = options.authorization_servers;
  if (out.resource.authorization_servers.empty()) {
    out.resource.authorization_servers = {options.jwt_issuer};
  }
  return true;
}

std::optional<ServiceOptions> service_options(const ServeOptions& options) {
  ServiceOptions out;
  out.instructions = mcp::StateService::instructions();
  const auto level = parse_log_level(options.log_level);
  if (!level) {
    fmt::print(stderr, "state-engine: log level '{}' is none of debug, info, warn, error\n",
               options.log_level);
    return std::nullopt;
  }
  out.log_level = *level;
  const auto address = parse_address(options.listen);
  if (!address) {
    fmt::print(stderr, "state-engine: --listen '{}' is no HOST:PORT, for example 127.0.0.1:4270\n",
               options.listen);
    return std::nullopt;
  }
  out.host = address->host;
  out.port = address->port;
  out.socket_path = options.store == "memory" && !std::filesystem::exists(options.data_dir)
                        ? ""
                        : socket_path(options);
  out.tokens_file = options.tokens_file;
  out.shared_token = options.shared_token;
  if (!read_authorization(options, out)) return std::nullopt;
  out.allowed_hosts = options.allowed_hosts;
  out.allowed_origins = options.allowed_origins;
  return out;
}

int complain(const Error& error) {
  fmt::print(stderr, "state-engine: {}\n", error.message);
  return 1;
}

void announce(const ServeOptions& options, const Service& service) {
  if (options.show_clients) {
    fmt::print("\nConnect a client (paste one):\n\n{}\n",
               client_configs(service.url(), own_program(), absolute_path(options.data_dir),
                              !options.tokens_file.empty() || !options.shared_token.empty() ||
                                  !options.jwks_file.empty()));
  }
  fmt::print("state-engine {} is ready: {}/mcp (store {}, data in {})\n", kVersion, service.url(),
             options.store, options.data_dir);
  std::fflush(stdout);
}

}  // namespace

int serve(const ServeOptions& options) {
  const auto service_opts = service_options(options);
  if (!service_opts) return kUsage;
  Service service(*service_opts);
  const auto config = load_or_complain(options.config_file, service.log());
  if (!config) return kUsage;
  if (Status status = service.load_access(); !status.ok()) return complain(status.error());
  std::optional<twitch::TwitchSettings> twitch_settings;
  if (!load_twitch_or_complain(options.config_file, service.log(), twitch_settings)) return kUsage;
  auto store = open_store(options, service);
  if (!store.ok()) return complain(store.error());

  EngineHost host(service, std::move(*store), options);
  if (Status status = host.start(*config); !status.ok()) return complain(status.error());
  EngineProposer proposer(host.engine());
  TwitchHost twitch(service, proposer, engine_reader(host.engine()));
  Status opened = service.open();
  if (opened.ok() && twitch_settings) opened = twitch.start(std::move(*twitch_settings));
  if (opened.ok()) {
    announce(options, service);
    service.run([&] {
      if (Status status = service.load_access(); !status.ok()) {
        service.log().error("tokens not reloaded; the old ones stay in force",
                            {{"error", status.error().message}});
      }
      host.reload();
    });
  }
  service.close(kGrace);
  twitch.stop(kGrace);
  host.stop();
  service.log().info("stopped");
  return opened.ok() ? 0 : complain(opened.error());
}

int serve_stdio(const ServeOptions& options) {
  auto service_opts = service_options(options);
  if (!service_opts) return kUsage;
  service_opts->socket_path.clear();
  Service service(*service_opts);
  const auto config = load_or_complain(options.config_file, service.log());
  if (!config) return kUsage;
  auto store = open_store(options, service);
  if (!store.ok()) return complain(store.error());
  EngineHost host(service, std::move(*store), options);
  if (Status status = host.start(*config); !status.ok()) return complain(status.error());
  const Status served = service.serve_stdio();
  host.stop();
  return served.ok() ? 0 : complain(served.error());
}

}  // namespace state_engine
