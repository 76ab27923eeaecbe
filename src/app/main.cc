// The program: one binary, its services and its commands as subcommands.

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/backtest.h"
#include "app/bot_command.h"
#include "app/bus_cli.h"
#include "app/environment.h"
#include "app/ingress_command.h"
#include "app/mock_command.h"
#include "app/obs_command.h"
#include "app/offline.h"
#include "app/platform_commands.h"
#include "app/provision_nats.h"
#include "app/serve.h"
#include "app/tokens.h"
#include "app/version.h"
#include "cli/cli.h"
#include "cli/engine_link.h"
#include "mcp/client/stdio_bridge.h"

namespace state_engine {
namespace {

constexpr int kUsage = 2;

// The same directory for the engine and for the verbs that look for it.
std::string default_data_dir() { return cli::default_data_dir(cli::process_environment()); }

// STATE_ENGINE_HOST and SERVICE_PORT, as the reference service reads them.
std::string default_listen() {
  const std::string host = environment("STATE_ENGINE_HOST");
  const std::string port = environment("SERVICE_PORT");
  return (host.empty() ? "127.0.0.1" : host) + ":" + (port.empty() ? "4270" : port);
}

ServeOptions default_serve_options() {
  ServeOptions options;
  options.data_dir = default_data_dir();
  options.listen = default_listen();
  options.config_file = environment("STATE_ENGINE_CONFIG_PATH");
  options.shared_token = environment("MCP_AUTH_TOKEN");
  options.firestore = firestore_settings_from_environment();
  options.tls_cert_file = environment("STATE_ENGINE_TLS_CERT");
  options.tls_key_file = environment("STATE_ENGINE_TLS_KEY");
  if (const std::string level = environment("LOG_LEVEL"); !level.empty()) options.log_level = level;
  return options;
}

void add_engine_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--config", options.config_file,
                     "YAML file with allowedKeys, policy and rules (STATE_ENGINE_CONFIG_PATH)");
  command
      .add_option("--data-dir", options.data_dir, "Where the state lives (STATE_ENGINE_DATA_DIR)")
      ->capture_default_str();
  command
      .add_option("--store", options.store,
                  "sqlite, firestore, or memory for a state that is not kept")
      ->check(CLI::IsMember({"sqlite", "memory", "firestore"}))
      ->capture_default_str();
  command.add_option("--firestore-project", options.firestore.project,
                     "Project of --store firestore (GOOGLE_CLOUD_PROJECT; an emulator by "
                     "FIRESTORE_EMULATOR_HOST)");
  command.add_option("--firestore-database", options.firestore.database, "Its database")
      ->capture_default_str();
  command.add_option("--log-level", options.log_level, "debug, info, warn or error (LOG_LEVEL)")
      ->capture_default_str();
  command.add_flag("--raw-egress", options.raw_egress,
                   "Publish rule payloads as they are, as the reference does, instead of events");
}

void add_authorization_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--jwks", options.jwks_file,
                     "Take signed tokens (JWT: RS256, ES256, EdDSA) by the keys in this JWKS file");
  command.add_option("--jwt-issuer", options.jwt_issuer, "The issuer that signed tokens must name");
  command.add_option("--jwt-audience", options.jwt_audience,
                     "The audience that signed tokens must name; default: --public-url and /mcp");
  command.add_option("--authorization-server", options.authorization_servers,
                     "Where clients get tokens; default: the issuer");
  command.add_option("--public-url", options.public_url,
                     "How clients reach this engine, e.g. https://state.example");
}

void add_serve(CLI::App& app, ServeOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("serve", "Run the engine on this machine");
  command->footer(
      "Examples:\n"
      "  state-engine serve --config stream.yaml\n"
      "  state-engine serve --listen 0.0.0.0:4270 --tokens tokens.json \\\n"
      "      --tls-cert state.crt --tls-key state.key\n"
      "\nPrints one line with the URL on stdout when it is ready; logs go to stderr as JSON.\n"
      "SIGHUP reloads configuration, tokens and certificate, SIGTERM and SIGINT stop cleanly.");
  add_engine_options(*command, options);
  command
      ->add_option("--listen", options.listen,
                   "HOST:PORT; port 0 takes a free one (STATE_ENGINE_HOST, SERVICE_PORT)")
      ->capture_default_str();
  add_bus_options(*command, options.bus);
  command->add_option("--tokens", options.tokens_file,
                      "Tokens file; needed to listen beyond this machine");
  command->add_option("--tls-cert", options.tls_cert_file,
                      "PEM certificate, then its issuers: serve https (STATE_ENGINE_TLS_CERT)");
  command->add_option("--tls-key", options.tls_key_file,
                      "PEM key of that certificate, without a passphrase (STATE_ENGINE_TLS_KEY)");
  add_authorization_options(*command, options);
  command->add_option("--allow-host", options.allowed_hosts,
                      "A Host header to accept on a loopback bind, for proxies");
  command->add_option("--allow-origin", options.allowed_origins,
                      "A browser Origin to accept, e.g. https://console.example");
  command->add_flag("--show-clients", options.show_clients, "Print client configurations to paste");
  command->callback([&options, &exit_code] { exit_code = serve(options); });
}

// True if a process accepts connections on the Unix socket at `path`.
bool engine_listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

// A bridge to the running engine; without one, the engine itself.
int run_mcp(const ServeOptions& options) {
  mcp::StdioBridgeOptions bridge;
  bridge.socket_path = (std::filesystem::path(options.data_dir) / "engine.sock").string();
  bridge.token = environment("STATE_ENGINE_TOKEN");
  if (!engine_listens(bridge.socket_path)) return serve_stdio(options);
  const Status bridged = mcp::run_stdio_bridge(bridge);
  if (bridged.ok()) return 0;
  fmt::print(stderr, "state-engine: {}\n", bridged.error().message);
  return 1;
}

void add_mcp(CLI::App& app, ServeOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("mcp", "Serve one MCP client on stdin and stdout");
  command->footer(
      "Bridges to the engine that runs on the same --data-dir. If none runs, opens the state "
      "itself\n"
      "for as long as the client stays, with --config.\n"
      "\nExamples:\n"
      "  claude mcp add state -- state-engine mcp\n"
      "  state-engine mcp --data-dir ./state --config stream.yaml");
  add_engine_options(*command, options);
  command->add_flag("--stdio", options.stdio,
                    "The default and only transport; accepted for clients that pass it");
  command->callback([&options, &exit_code] { exit_code = run_mcp(options); });
}

struct OfflineOptions {
  VerifyOptions verify;
  BackupOptions backup;
  ExportOptions exported;
  ReplayOptions replay;
};

void add_verify(CLI::App& app, VerifyOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("verify", "Check the whole log and state");
  command->footer(
      "Checks the hash chain, the versions, that the folded log equals the state, and the file.\n"
      "Exit code 7 if anything is not as it must be. May run beside the engine.\n"
      "\nExample:\n  state-engine verify --data-dir ./state");
  command->add_option("--data-dir", options.data_dir)->capture_default_str();
  command->add_option("--file", options.file, "A backup file instead of a directory");
  command->add_flag("--json", options.json, "Print the report as JSON");
  command->callback([&options, &exit_code] { exit_code = verify_command(options); });
}

void add_backup(CLI::App& app, BackupOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("backup", "Copy the state into one file, while it runs");
  command->footer("Example:\n  state-engine backup state-2026-11-22.db");
  command->add_option("target", options.target, "The file to make; must not exist")->required();
  command->add_option("--data-dir", options.data_dir)->capture_default_str();
  command->add_flag("--json", options.json, "Print the report as JSON");
  command->callback([&options, &exit_code] { exit_code = backup_command(options); });
}

void add_export(CLI::App& app, ExportOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("export", "Write the log or the state as JSON lines");
  command->footer(
      "Examples:\n"
      "  state-engine export > log.jsonl\n"
      "  state-engine export --what state --prefix stream.");
  command->add_option("--what", options.what, "log or state")
      ->check(CLI::IsMember({"log", "state"}))
      ->capture_default_str();
  command->add_option("--prefix", options.prefix, "Only keys that begin with this");
  command->add_option("--after", options.after_seq, "Only log entries after this seq");
  command->add_option("--data-dir", options.data_dir)->capture_default_str();
  command->callback([&options, &exit_code] { exit_code = export_command(options); });
}

void add_replay(CLI::App& app, ReplayOptions& options, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("replay", "Fold the log into the state as it was, and print it");
  command->footer(
      "Examples:\n"
      "  state-engine replay --until 120\n"
      "  state-engine replay --at 2026-11-22T18:30:00Z --prefix stream.");
  command->add_option("--until", options.until_seq, "The last seq to apply");
  command->add_option("--at", options.until_time, "Apply what was committed by then (RFC 3339)");
  command->add_option("--prefix", options.prefix, "Print only keys that begin with this");
  command->add_option("--data-dir", options.data_dir)->capture_default_str();
  command->add_flag("--json", options.json, "Print JSON");
  command->callback([&options, &exit_code] { exit_code = replay_command(options); });
}

struct TokenOptions {
  std::string file = "tokens.json";
  std::string actor;
  std::vector<std::string> scopes;
};

int new_token(const TokenOptions& options) {
  SystemRandom random;
  const auto token = add_token(options.file, options.actor, options.scopes, random);
  if (!token.ok()) {
    fmt::print(stderr, "state-engine: {}\n", token.error().message);
    return 1;
  }
  fmt::print("{}\n", *token);
  fmt::print(
      stderr,
      "This is the only time the token is shown; {} holds its digest. A running engine takes "
      "it over on SIGHUP.\n",
      options.file);
  return 0;
}

void add_tokens(CLI::App& app, TokenOptions& options, int& exit_code) {
  CLI::App* command = app.add_subcommand("token", "Manage bearer tokens");
  command->require_subcommand(1);
  CLI::App* make = command->add_subcommand("new", "Make a token and print it once");
  make->footer(
      "Example:\n  state-engine token new --actor llm-bot --scope state:read --scope state:write");
  make->add_option("--actor", options.actor, "Who proposals with this token come from")->required();
  make->add_option("--scope", options.scopes, "state:read, state:write, state:admin; default all");
  make->add_option("--tokens", options.file, "The tokens file")->capture_default_str();
  make->callback([&options, &exit_code] { exit_code = new_token(options); });
}

int run(int argc, char** argv) {
  CLI::App app("state-engine: the memory that an LLM agent can trust", "state-engine");
  app.set_version_flag("--version", std::string("state-engine ") + kVersion);
  app.require_subcommand(1);
  int exit_code = 0;
  cli::CliContext context;
  context.exit_code = &exit_code;
  context.backtest = backtest_command;
  ServeOptions serve_options = default_serve_options();
  ServeOptions mcp_options = default_serve_options();
  serve_options.bus.nats = default_nats_options();
  // A process that serves one client does not listen, and its logs share a terminal with it.
  mcp_options.listen = "127.0.0.1:0";
  if (environment("LOG_LEVEL").empty()) mcp_options.log_level = "warn";
  OfflineOptions offline;
  offline.verify.data_dir = offline.backup.data_dir = offline.exported.data_dir =
      offline.replay.data_dir = default_data_dir();
  TokenOptions token_options;
  ProvisionNatsOptions provision_options;
  MockTwitchCommandOptions mock_twitch;
  add_serve(app, serve_options, exit_code);
  add_mcp(app, mcp_options, exit_code);
  cli::add_cli_commands(app, context);
  add_verify(app, offline.verify, exit_code);
  add_backup(app, offline.backup, exit_code);
  add_export(app, offline.exported, exit_code);
  add_replay(app, offline.replay, exit_code);
  add_tokens(app, token_options, exit_code);
  add_platform_commands(app, exit_code);
  add_provision_nats(app, provision_options, exit_code);
  add_bot_command(app, exit_code);
  add_obs_command(app, exit_code);
  add_ingress_command(app, exit_code);
  add_mock(app, mock_twitch, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& fault) {
    return app.exit(fault) == 0 ? 0 : kUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace state_engine

int main(int argc, char** argv) {
  try {
    return state_engine::run(argc, argv);
  } catch (const std::exception& fault) {
    fmt::print(stderr, "state-engine: internal fault: {}\n", fault.what());
    return 1;
  }
}
