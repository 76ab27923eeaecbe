// Order of start: configuration, access, store, engine, and only then the doors. Stop is the
// reverse.

#include "app/serve.h"

#include <cstdio>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "app/address.h"
#include "app/bot_side.h"
#include "app/client_configs.h"
#include "app/engine_host.h"
#include "app/obs_host.h"
#include "app/proposers.h"
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

// The certificate; false after a complaint.
bool read_tls(const ServeOptions& options, ServiceOptions& out) {
  if (options.tls_cert_file.empty() == options.tls_key_file.empty()) {
    out.tls = {options.tls_cert_file, options.tls_key_file};
    return true;
  }
  fmt::print(stderr, "state-engine: --tls-cert and --tls-key belong together; {} is missing\n",
             options.tls_cert_file.empty() ? "--tls-cert FILE" : "--tls-key FILE");
  return false;
}

// On SIGHUP: what cannot be read again stays as it was.
void reload(Service& service, EngineHost& host) {
  if (Status status = service.load_access(); !status.ok()) {
    service.log().error("tokens not reloaded; the old ones stay in force",
                        {{"error", status.error().message}});
  }
  if (Status status = service.load_certificate(); !status.ok()) {
    service.log().error("certificate not reloaded; the old one stays in force",
                        {{"error", status.error().message}});
  }
  host.reload();
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
  if (!read_authorization(options, out) || !read_tls(options, out)) return std::nullopt;
  out.allowed_hosts = options.allowed_hosts;
  out.allowed_origins = options.allowed_origins;
  return out;
}

int complain(const Error& error) {
  fmt::print(stderr, "state-engine: {}\n", error.message);
  return 1;
}

// Other machines know the service by the platform's name for it.
std::string gateway_url(const Service& service) {
  std::string url = service.url();
  for (const std::string_view any : {"://0.0.0.0:", "://[::]:"}) {
    const std::size_t at = url.find(any);
    if (at == std::string::npos) continue;
    return url.substr(0, at) + "://state-engine.bitbrat.local:" + url.substr(at + any.size());
  }
  return url;
}

// The integrations that the configuration names, in this process.
class Integrations {
 public:
  // Errors: what is wrong with a section, one fault a line.
  Status add(const std::string& config_file, Service& service, EngineHost& host) {
    if (config_file.empty()) return {};
    const config::LoadedConfig loaded = config::load_config(config_file);
    config::ConfigProblems problems;
    auto obs_config = read_obs_config(loaded, problems);
    std::vector<std::string> warnings;
    twitch_settings_ = read_twitch_settings(loaded, problems, warnings);
    if (!problems.empty()) return invalid_argument(config::to_text(problems));
    if (obs_config) {
      obs_proposer_ =
          std::make_unique<EngineProposer>(host.engine(), "obs-bridge", "in-process:obs");
      auto obs = ObsHost::create(service, host.bus(), *obs_proposer_, std::move(*obs_config));
      if (!obs.ok()) return std::move(obs).error();
      obs_ = std::move(*obs);
    }
    for (const std::string& warning : warnings) {
      service.log().warn("configuration", {{"warning", warning}});
    }
    if (twitch_settings_) {
      twitch_proposer_ = std::make_unique<EngineProposer>(
          host.engine(), std::string(twitch::kTwitchActor), "in-process:twitch");
      twitch_ =
          std::make_unique<TwitchHost>(service, *twitch_proposer_, engine_reader(host.engine()));
    }
    return {};
  }

  // Errors: what a section names and is not there, for example a tokens file.
  Status start() {
    if (obs_) obs_->start();
    return twitch_ ? twitch_->start(*twitch_settings_) : Status();
  }
  void stop() {
    if (twitch_) twitch_->stop(kGrace);
    if (obs_) obs_->stop();
  }

 private:
  std::unique_ptr<EngineProposer> obs_proposer_;
  std::unique_ptr<ObsHost> obs_;
  std::optional<twitch::TwitchSettings> twitch_settings_;
  std::unique_ptr<EngineProposer> twitch_proposer_;
  std::unique_ptr<TwitchHost> twitch_;
};

void announce(const ServeOptions& options, const Service& service) {
  if (options.show_clients) {
    fmt::print("\nConnect a client (paste one):\n\n{}\n",
               client_configs(service.url(), own_program(), absolute_path(options.data_dir),
                              !options.tokens_file.empty() || !options.shared_token.empty() ||
                                  !options.jwks_file.empty()));
  }
  const std::string place = options.store == "firestore"
                                ? options.firestore.describe()
                                : fmt::format("data in {}", options.data_dir);
  fmt::print("state-engine {} is ready: {}/mcp (store {}, {})\n", kVersion, service.url(),
             options.store, place);
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
  if (Status status = service.load_certificate(); !status.ok()) return complain(status.error());
  auto store = open_store(options, service);
  if (!store.ok()) return complain(store.error());

  EngineHost host(service, std::move(*store), options);
  Integrations integrations;
  if (Status status = integrations.add(options.config_file, service, host); !status.ok()) {
    complain(status.error());
    return kUsage;
  }
  if (Status status = host.start(*config); !status.ok()) return complain(status.error());
  Status opened = service.open();
  if (opened.ok()) opened = integrations.start();
  std::unique_ptr<BotSide> bot;
  if (opened.ok()) opened = start_bot(options, service, host.bus(), bot);
  if (opened.ok()) {
    announce(options, service);
    host.announce(options.public_url.empty() ? gateway_url(service) : options.public_url);
    service.run([&] { reload(service, host); });
  }
  bot.reset();
  service.close(kGrace);
  integrations.stop();
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
