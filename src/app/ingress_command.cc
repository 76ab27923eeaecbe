// Without the engine in its process the ingest cannot read the state: what it proposes after a
// start, when it compares Twitch with what it knows, may repeat what the engine has already.

#include "app/ingress_command.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/bus_cli.h"
#include "app/bus_metrics.h"
#include "app/environment.h"
#include "app/proposers.h"
#include "app/service.h"
#include "app/service_cli.h"
#include "app/twitch_host.h"
#include "bus/nats/nats_bus.h"

namespace state_engine {
namespace {

constexpr std::chrono::milliseconds kConnectPatience{3000};
constexpr std::chrono::seconds kGrace{5};
constexpr int kFailure = 1;
constexpr int kUsage = 2;

struct IngressOptions {
  std::string config_file;
  std::string listen;
  std::string log_level = "info";
  std::string actors = "body";
  bool check = false;
  NatsOptions nats;
};

int complain(const Error& error) {
  fmt::print(stderr, "state-engine ingress: {}\n", error.message);
  return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailure;
}

// The section of the file, or every problem of it on stderr.
std::optional<twitch::TwitchSettings> load_settings(const IngressOptions& options,
                                                    std::vector<std::string>& warnings) {
  const config::LoadedConfig loaded = config::load_config(options.config_file);
  config::ConfigProblems problems = loaded.problems;
  auto settings = read_twitch_settings(loaded, problems, warnings);
  if (!section_is_good(options.config_file, "twitch", settings.has_value(), problems)) {
    return std::nullopt;
  }
  return settings;
}

// What would run, for people.
int describe(const twitch::TwitchSettings& settings) {
  for (const twitch::ChannelSettings& channel : settings.channels) {
    fmt::print("{}\n", channel.login);
    for (const twitch::SubscriptionSpec& spec : settings.subscriptions) {
      if (!settings.wants(channel, spec)) continue;
      fmt::print("  {} v{}{}\n", spec.type, spec.version,
                 spec.scope.empty() ? "" : ", needs the scope " + spec.scope);
      for (const twitch::MutationSpec& mutation : spec.mutations) {
        fmt::print("    {} {}{}\n", to_string(mutation.op), settings.prefix_of(channel),
                   mutation.key);
      }
    }
  }
  return 0;
}

// Until a signal ends it.
int run_on_bus(const IngressOptions& options, twitch::TwitchSettings settings,
               const ServiceOptions& service_opts, const std::vector<std::string>& warnings) {
  Service service(service_opts);
  for (const std::string& warning : warnings) {
    service.log().warn("configuration", {{"warning", warning}});
  }
  BusMetrics bus_metrics(service.metrics(), service.health());
  NatsBus bus(options.nats, service.runtime().make_strand(), service.log(), bus_metrics);
  if (Status started = bus.start(kConnectPatience); !started.ok()) {
    return complain(started.error());
  }
  BusProposer proposer(bus, std::string(twitch::kTwitchActor),
                       options.actors == "subject" ? BusActors::kSubject : BusActors::kBody);
  TwitchHost host(service, proposer, {});
  const std::size_t channels = settings.channels.size();
  Status opened = host.start(std::move(settings));
  if (opened.ok() && !options.listen.empty()) opened = service.open();
  if (opened.ok()) {
    service.health().set_started(true);
    fmt::print("ingress twitch is ready: {} channel{} to {}{}{}\n", channels,
               channels == 1 ? "" : "s", subjects::kMutation,
               options.listen.empty() ? "" : ", health and metrics on ",
               options.listen.empty() ? "" : service.url());
    std::fflush(stdout);
    service.run([&] { service.log().info("nothing to reload: start the ingress anew"); });
  }
  host.stop(kGrace);
  service.close(kGrace);
  service.runtime().run_blocking(bus.close());
  return opened.ok() ? 0 : complain(opened.error());
}

int run_ingress(const IngressOptions& options) {
  const auto service_opts = service_options_of("ingress-twitch", options.log_level, options.listen);
  if (!service_opts.ok()) return complain(service_opts.error());
  std::vector<std::string> warnings;
  auto settings = load_settings(options, warnings);
  if (!settings) return kUsage;
  if (options.check) {
    for (const std::string& warning : warnings) fmt::print(stderr, "warning: {}\n", warning);
    return describe(*settings);
  }
  if (options.nats.servers.empty()) {
    return complain(invalid_argument(
        "where is the engine? Give --nats-url (NATS_URL), or run the ingest inside the engine: "
        "`state-engine serve` does so when its configuration has the section twitch"));
  }
  return run_on_bus(options, std::move(*settings), *service_opts, warnings);
}

}  // namespace

void add_ingress_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<IngressOptions>();
  options->nats = default_nats_options();
  options->nats.client_name = "state-engine-ingress-twitch";
  options->config_file = environment("STATE_ENGINE_CONFIG_PATH");
  if (std::string level = environment("LOG_LEVEL"); !level.empty()) options->log_level = level;
  CLI::App* ingress = app.add_subcommand("ingress", "Bring events of a platform to the engine");
  ingress->require_subcommand(1);
  CLI::App* command = ingress->add_subcommand(
      "twitch", "Propose the state of Twitch channels: live or not, title, category, language");
  command->footer(
      "Reads the section twitch of the configuration (docs/twitch.md): channels, tokens, which\n"
      "event becomes which key. Proposals go to internal.state.mutation.v1. To run it inside the\n"
      "engine instead, give `state-engine serve` the same configuration.\n"
      "\nExamples:\n"
      "  state-engine ingress twitch --config stream.yaml --check\n"
      "  state-engine ingress twitch --config stream.yaml --nats-url nats://127.0.0.1:4222\n"
      "  state-engine ingress twitch --config stream.yaml --nats-url nats://nats:4222 \\\n"
      "    --bus-prefix local. --listen 127.0.0.1:4272\n"
      "\nWithout Twitch: state-engine mock twitch --help");
  command
      ->add_option("--config", options->config_file,
                   "YAML file with a section twitch: (STATE_ENGINE_CONFIG_PATH)")
      ->required(options->config_file.empty());
  command->add_flag("--check", options->check,
                    "Check the configuration, print what would be proposed, and end");
  add_nats_options(*command, options->nats);
  command
      ->add_option("--nats-actors", options->actors,
                   "As the engine's option of that name: body or subject")
      ->check(CLI::IsMember({"body", "subject"}))
      ->capture_default_str();
  command->add_option("--listen", options->listen,
                      "HOST:PORT for /health and /metrics; default none");
  command->add_option("--log-level", options->log_level, "debug, info, warn or error (LOG_LEVEL)")
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = run_ingress(*options); });
}

}  // namespace state_engine
