// Effects come from the bus, reports go to it; with --listen the OBS tools are served by MCP too.

#include "app/obs_command.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/bus_cli.h"
#include "app/bus_metrics.h"
#include "app/environment.h"
#include "app/obs_host.h"
#include "app/proposers.h"
#include "app/service.h"
#include "app/service_cli.h"
#include "bus/nats/nats_bus.h"
#include "net/url.h"

namespace state_engine {
namespace {

constexpr std::chrono::milliseconds kConnectPatience{3000};
constexpr std::chrono::seconds kGrace{5};
constexpr int kFailure = 1;
constexpr int kUsage = 2;

struct ObsOptions {
  std::string config_file;
  std::string obs_url;
  std::string listen;
  std::string tokens_file;
  std::string shared_token;
  std::string log_level;
  NatsOptions nats;
};

int complain(const Error& error) {
  fmt::print(stderr, "state-engine obs: {}\n", error.message);
  return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailure;
}

// The section of the file, the defaults without a file, or every problem on stderr.
std::optional<ObsConfig> load_config(const std::string& file) {
  if (file.empty()) return ObsConfig{};
  const config::LoadedConfig loaded = config::load_config(file);
  config::ConfigProblems problems = loaded.problems;
  auto config = read_obs_config(loaded, problems);
  if (!section_is_good(file, "obs", config.has_value(), problems)) return std::nullopt;
  return config;
}

// Until a signal ends it.
Status serve_obs(const ObsOptions& options, Service& service, Bus& bus, ObsConfig config) {
  BusProposer proposer(bus, config.bridge.actor);
  const std::string url = config.bridge.url;
  auto host = ObsHost::create(service, bus, proposer, std::move(config));
  if (!host.ok()) return host.error();
  if (!options.listen.empty()) {
    if (Status opened = service.open(); !opened.ok()) return opened;
  }
  (*host)->start();
  service.health().set_started(true);
  fmt::print("state-engine obs is ready: OBS at {}{}{}\n", url,
             options.listen.empty() ? "" : ", MCP, health and metrics at ",
             options.listen.empty() ? "" : service.url());
  std::fflush(stdout);
  service.run([&] { service.log().info("nothing to reload: start the bridge anew"); });
  service.close(kGrace);
  (*host)->stop();
  return {};
}

int run_obs(const ObsOptions& options) {
  auto config = load_config(options.config_file);
  if (!config) return kUsage;
  if (!options.obs_url.empty()) {
    const auto url = net::parse_url(options.obs_url);
    if (!url.ok()) return complain(invalid_argument("--obs-url: " + url.error().message));
    config->bridge.url = options.obs_url;
    config->url_is_final = true;
  }
  if (options.nats.servers.empty()) {
    return complain(invalid_argument(
        "name a NATS server with --nats-url or NATS_URL. Without NATS the bridge runs inside the "
        "engine: put a section obs into the configuration of `state-engine serve`"));
  }
  auto options_of_service =
      service_options_of("state-engine-obs", options.log_level, options.listen);
  if (!options_of_service.ok()) return complain(options_of_service.error());
  options_of_service->tokens_file = options.tokens_file;
  options_of_service->shared_token = options.shared_token;
  Service service(*options_of_service);
  if (Status status = service.load_access(); !status.ok()) return complain(status.error());
  BusMetrics bus_metrics(service.metrics(), service.health());
  NatsBus bus(options.nats, service.runtime().make_strand(), service.log(), bus_metrics);
  if (Status started = bus.start(kConnectPatience); !started.ok()) {
    return complain(started.error());
  }
  const Status served = serve_obs(options, service, bus, std::move(*config));
  service.runtime().run_blocking(bus.close());
  return served.ok() ? 0 : complain(served.error());
}

}  // namespace

void add_obs_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ObsOptions>();
  options->nats = default_nats_options();
  options->nats.client_name = "state-engine-obs";
  options->config_file = environment("STATE_ENGINE_CONFIG_PATH");
  options->shared_token = environment("MCP_AUTH_TOKEN");
  options->log_level = environment("LOG_LEVEL");
  if (options->log_level.empty()) options->log_level = "info";
  CLI::App* command = app.add_subcommand("obs", "Connect OBS Studio with the state, over NATS");
  command->footer(
      "Carries out what rules ask of OBS (internal.egress.v1) and proposes what OBS really did: "
      "obs.connected,\n"
      "obs.scene, obs.stream, obs.recording. In one process with the engine: a section obs in the "
      "configuration\n"
      "of `state-engine serve`. The password: OBS_WEBSOCKET_PASSWORD, or passwordFile in the "
      "section; docs/obs.md.\n"
      "\nExamples:\n"
      "  state-engine obs --config stream.yaml --nats-url nats://127.0.0.1:4222\n"
      "  OBS_WEBSOCKET_PASSWORD=... state-engine obs --obs-url ws://192.168.1.5:4455 --nats-url "
      "nats://127.0.0.1:4222 \\\n    --bus-prefix local. --listen 127.0.0.1:4272");
  command->add_option("--config", options->config_file,
                      "YAML file with a section obs: (STATE_ENGINE_CONFIG_PATH)");
  command->add_option("--obs-url", options->obs_url,
                      "Address of obs-websocket, e.g. ws://127.0.0.1:4455 (OBS_WEBSOCKET_URL)");
  add_nats_options(*command, options->nats);
  command->add_option("--listen", options->listen,
                      "HOST:PORT for the OBS tools by MCP, /health and /metrics; default none");
  command->add_option("--tokens", options->tokens_file,
                      "Tokens file; needed to listen beyond this machine");
  command->add_option("--log-level", options->log_level, "debug, info, warn or error (LOG_LEVEL)")
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = run_obs(*options); });
}

}  // namespace state_engine
