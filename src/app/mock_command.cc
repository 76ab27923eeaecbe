// The mock needs no engine, so it has no Service: a server, a clock, and two signals to wait for.

#include "app/mock_command.h"

#include <cctype>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <signal.h>

#include "app/address.h"
#include "app/json_log.h"
#include "base/secret_file.h"
#include "integrations/twitch/mock_twitch.h"

namespace state_engine {
namespace {

constexpr int kUsage = 2;
constexpr std::chrono::seconds kGrace{2};

int complain(std::string_view what) {
  fmt::print(stderr, "state-engine: {}\n", what);
  return 1;
}

bool is_login(std::string_view text) {
  if (text.empty() || text.size() > 25) return false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isdigit(u) == 0 && std::islower(u) == 0 && c != '_') return false;
  }
  return true;
}

// "streamer:1001", or "streamer" with an id by its place.
std::optional<twitch::MockUser> parse_channel(const std::string& text, std::size_t index) {
  const std::size_t colon = text.find(':');
  twitch::MockUser user{std::to_string(1001 + index), text.substr(0, colon)};
  if (colon != std::string::npos) user.id = text.substr(colon + 1);
  const bool digits =
      !user.id.empty() && user.id.find_first_not_of("0123456789") == std::string::npos;
  if (!is_login(user.login) || !digits) return std::nullopt;
  return user;
}

// Reads the tokens of an earlier run, or makes new ones.
Status prepare_tokens(twitch::MockTwitch& mock, const std::string& file,
                      const std::string& user_id) {
  if (file.empty()) return {};
  if (std::ifstream in(file, std::ios::binary); in) {
    const std::string text(std::istreambuf_iterator<char>(in), {});
    const Status adopted = mock.adopt_tokens(text);
    if (adopted.ok()) return {};
    return Error{adopted.error().code, fmt::format("{} is no tokens file of this mock ({}); remove "
                                                   "it or name another one",
                                                   file, adopted.error().message)};
  }
  return write_secret_file(file, mock.tokens_json(user_id));
}

void announce(const net::HttpServer& server, const MockTwitchCommandOptions& options,
              const std::string& host, const std::string& login) {
  const std::string base = fmt::format("http://{}:{}", host, server.port());
  fmt::print("mock twitch is ready: {} (WebSocket at /ws)\n", base);
  if (!options.tokens_file.empty()) {
    fmt::print("  tokens for the ingest: {}\n", options.tokens_file);
  }
  fmt::print("  go live: curl -d '{{\"channel\":\"{}\",\"state\":\"on\"}}' {}/control/stream\n",
             login, base);
  std::fflush(stdout);
}

}  // namespace

int mock_twitch_command(const MockTwitchCommandOptions& options) {
  const auto level = parse_log_level(options.log_level);
  const auto address = parse_address(options.listen);
  if (!level || !address) {
    complain(!level ? "--log-level is none of debug, info, warn, error"
                    : fmt::format("--listen '{}' is no HOST:PORT", options.listen));
    return kUsage;
  }
  twitch::MockTwitchOptions mock_options;
  std::vector<std::string> names = options.channels;
  if (names.empty()) names = {"mystreamer"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto user = parse_channel(names[i], i);
    if (!user) {
      complain(fmt::format("--channel '{}' is no LOGIN or LOGIN:ID, for example mystreamer:1001",
                           names[i]));
      return kUsage;
    }
    mock_options.world.users.push_back(*user);
  }
  mock_options.keepalive_default = std::chrono::seconds{options.keepalive_seconds};
  mock_options.keepalive_min = std::chrono::seconds{options.keepalive_min_seconds};
  mock_options.subscribe_window = std::chrono::seconds{options.subscribe_window_seconds};
  mock_options.plain_webhooks = options.plain_webhooks;
  mock_options.reconnect_grace = std::chrono::seconds{options.reconnect_grace_seconds};

  // Blocked before the first thread starts, so that sigwait below gets them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const SystemClock clock;
  SystemRandom random;
  JsonLog log("mock-twitch", *level, clock);
  net::IoRuntime runtime(2);
  twitch::MockTwitch mock(runtime, mock_options, clock, random, log);
  net::HttpServer server(runtime, {}, log);
  mock.mount(server);
  const twitch::MockUser& first = mock_options.world.users.front();
  if (Status status = prepare_tokens(mock, options.tokens_file, first.id); !status.ok()) {
    return complain(status.error().message);
  }
  if (Status status = server.listen(address->host, address->port); !status.ok()) {
    return complain(status.error().message);
  }
  mock.start();
  announce(server, options, address->host, first.login);
  int number = 0;
  sigwait(&signals, &number);
  runtime.run_blocking(server.shutdown(kGrace));
  runtime.run_blocking(mock.stop());
  runtime.stop();
  return 0;
}

void add_mock(CLI::App& app, MockTwitchCommandOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("mock", "Stand-ins for services, for work without them");
  command->require_subcommand(1);
  CLI::App* twitch =
      command->add_subcommand("twitch", "Twitch's EventSub, Helix and tokens on this machine");
  twitch->footer(
      "The addresses are those of twitch-cli's mock: /ws, /eventsub/subscriptions, /mock/...,\n"
      "/auth/...; /control/... makes things happen (docs/twitch.md has the table).\n"
      "\nExamples:\n"
      "  state-engine mock twitch --channel mystreamer:1001 --tokens-file twitch-tokens.json\n"
      "  curl -d '{\"channel\":\"mystreamer\",\"state\":\"on\"}' "
      "http://127.0.0.1:8080/control/stream\n"
      "  curl -d '{\"channel\":\"mystreamer\",\"title\":\"Hello\"}' "
      "http://127.0.0.1:8080/control/channel\n"
      "  curl -d '{}' http://127.0.0.1:8080/control/reconnect");
  twitch->add_option("--listen", options.listen, "HOST:PORT; port 0 takes a free one")
      ->capture_default_str();
  twitch->add_option("--channel", options.channels,
                     "A channel that exists: LOGIN or LOGIN:ID; repeat for more");
  twitch->add_option("--tokens-file", options.tokens_file,
                     "Write tokens for the first channel here; if it exists, accept them again");
  twitch
      ->add_option("--keepalive", options.keepalive_seconds,
                   "The keepalive of clients that do not ask for one, in seconds")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  twitch
      ->add_option("--keepalive-min", options.keepalive_min_seconds,
                   "The shortest keepalive that a client may ask for, in seconds")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  twitch
      ->add_option("--subscribe-window", options.subscribe_window_seconds,
                   "Close sessions that have no subscription after so many seconds")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  twitch
      ->add_option("--reconnect-grace", options.reconnect_grace_seconds,
                   "Close the old socket so many seconds after a reconnect message")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  twitch->add_flag("--plain-webhooks", options.plain_webhooks,
                   "Call https webhooks by http, for a receiver without a proxy in front of it");
  twitch->add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->capture_default_str();
  twitch->callback([&options, &exit_code] { exit_code = mock_twitch_command(options); });
}

}  // namespace state_engine
