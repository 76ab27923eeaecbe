// Three ways to chat: one question on the command line, lines of a terminal or a pipe, and messages
// on NATS. Answers go to stdout or to the bus, everything else to stderr.

#include "app/bot_command.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "app/bot_host.h"
#include "app/bot_side.h"
#include "app/bus_cli.h"
#include "app/bus_metrics.h"
#include "app/json_log.h"
#include "app/service.h"
#include "app/service_cli.h"
#include "bus/nats/nats_bus.h"
#include "cli/engine_link.h"
#include "integrations/llm/chat_event.h"

namespace state_engine {
namespace {

constexpr std::chrono::milliseconds kConnectPatience{3000};
constexpr std::chrono::seconds kGrace{5};
constexpr int kFailure = 1;
constexpr int kUsage = 2;
constexpr std::size_t kKeyFileBytesMax = 16 * 1024;

struct BotOptions {
  std::string config_file;
  cli::ConnectionOptions engine;
  std::string base_url;
  std::string model;
  std::string key_file;
  std::string question;
  std::string user;
  std::string log_level;
  std::string listen;
  bool terminal = false;
  NatsOptions nats;
};

int complain(const Error& error) {
  fmt::print(stderr, "state-engine bot: {}\n", error.message);
  return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailure;
}

// The configuration of the file, or every problem of it on stderr.
std::optional<BotConfig> load_config(const std::string& file) {
  if (file.empty()) return default_bot_config();
  const config::LoadedConfig loaded = config::load_config(file);
  config::ConfigProblems problems = loaded.problems;
  auto config = read_bot_config(loaded, problems);
  if (!section_is_good(file, "bot", config.has_value(), problems)) return std::nullopt;
  return config;
}

// A key in a file stays out of the environment and the list of processes.
Status read_key_file(const std::string& file, std::string& key) {
  if (file.empty()) return {};
  std::ifstream in(file);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad() || text.size() > kKeyFileBytesMax) {
    return invalid_argument("cannot read the key file " + file);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  key = std::move(text);
  return {};
}

mcp::ClientOptions engine_options(const cli::ConnectionOptions& given) {
  const cli::ConnectionOptions resolved = cli::resolve(given, cli::process_environment());
  mcp::ClientOptions out;
  out.url = resolved.url;
  while (out.url.ends_with('/')) out.url.pop_back();
  out.token = resolved.token;
  out.ca_file = resolved.ca_file;
  if (out.url.empty()) out.socket_path = cli::socket_path(resolved);
  out.hello_client = "mcp";
  out.client_name = "state-engine-bot";
  out.call_timeout = std::chrono::seconds(10);
  return out;
}

llm::ChatMessage terminal_message(const std::string& user, const std::string& text,
                                  Random& random) {
  llm::ChatMessage chat;
  chat.id = new_uuid(random);
  chat.correlation_id = chat.id;
  chat.platform = "terminal";
  chat.user_id = user;
  chat.user_name = user;
  chat.text = text;
  chat.from_operator = true;
  return chat;
}

// Reads lines until the input ends.
void chat_in_terminal(llm::Bot& bot, const std::string& user, Random& random) {
  const bool people = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
  if (people) fmt::print("Chat with {}. An empty line or Ctrl-D ends it.\n", bot.settings().name);
  std::string line;
  while (true) {
    if (people) fmt::print("> ");
    std::fflush(stdout);
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) {
      if (people) break;
      continue;
    }
    if (!json::is_utf8(line)) {
      fmt::print(stderr, "state-engine bot: a line that is no UTF-8 is not answered\n");
      continue;
    }
    fmt::print("{}\n", bot.answer(terminal_message(user, line, random)));
    std::fflush(stdout);
  }
}

int chat_here(const BotOptions& options, BotConfig config, LogLevel level) {
  SystemClock clock;
  SystemRandom random;
  JsonLog log("state-engine-bot", level, clock);
  llm::BotObserver observer;
  net::IoRuntime runtime(1);
  auto host = BotHost::create(std::move(config), engine_options(options.engine),
                              {clock, random, log, runtime, observer});
  if (!host.ok()) return complain(host.error());
  if (!options.question.empty()) {
    if (!json::is_utf8(options.question)) return complain(invalid_argument("--ask is no UTF-8"));
    fmt::print("{}\n",
               (*host)->bot().answer(terminal_message(options.user, options.question, random)));
  } else {
    chat_in_terminal((*host)->bot(), options.user, random);
  }
  return 0;
}

// Until a signal ends it.
int chat_on_bus(const BotOptions& options, BotConfig config, const ServiceOptions& service_opts) {
  Service service(service_opts);
  BusMetrics bus_metrics(service.metrics(), service.health());
  NatsBus bus(options.nats, service.runtime().make_strand(), service.log(), bus_metrics);
  if (Status started = bus.start(kConnectPatience); !started.ok()) {
    return complain(started.error());
  }
  auto side = BotSide::start(std::move(config), engine_options(options.engine), service, bus);
  Status opened;
  if (!side.ok()) opened = side.error();
  if (opened.ok() && !options.listen.empty()) opened = service.open();
  if (opened.ok()) {
    service.health().set_started(true);
    fmt::print("state-engine bot is ready: chat from {}{}{}\n", llm::kChatSubject,
               options.listen.empty() ? "" : ", health and metrics on ",
               options.listen.empty() ? "" : service.url());
    std::fflush(stdout);
    service.run([&] { service.log().info("nothing to reload: start the bot anew"); });
  }
  if (side.ok()) side.value().reset();
  service.close(kGrace);
  service.runtime().run_blocking(bus.close());
  return opened.ok() ? 0 : complain(opened.error());
}

int run_bot(const BotOptions& options) {
  auto config = load_config(options.config_file);
  if (!config) return kUsage;
  llm::EndpointSettings& endpoint = config->endpoint;
  apply_llm_environment(endpoint);
  if (!options.base_url.empty()) endpoint.base_url = options.base_url;
  if (!options.model.empty()) endpoint.model.model = options.model;
  if (Status read = read_key_file(options.key_file, endpoint.api_key); !read.ok()) {
    return complain(read.error());
  }
  if (!json::is_utf8(options.user)) return complain(invalid_argument("--user is no UTF-8"));
  const auto service = service_options_of("state-engine-bot", options.log_level, options.listen);
  if (!service.ok()) return complain(service.error());
  const bool here = options.terminal || !options.question.empty() || options.nats.servers.empty();
  if (here) return chat_here(options, std::move(*config), service->log_level);
  return chat_on_bus(options, std::move(*config), *service);
}

std::string current_user() {
  const char* const name = std::getenv("USER");
  return name != nullptr && *name != '\0' ? name : "you";
}

}  // namespace

void add_bot_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<BotOptions>();
  options->user = current_user();
  options->nats = default_nats_options();
  options->nats.client_name = "state-engine-bot";
  const char* const level = std::getenv("LOG_LEVEL");
  options->log_level = level != nullptr && *level != '\0' ? level : "warn";
  const char* const file = std::getenv("STATE_ENGINE_CONFIG_PATH");
  options->config_file = file != nullptr ? file : "";
  CLI::App* command =
      app.add_subcommand("bot", "Chat with a language model that reads and changes the state");
  command->footer(
      "Chats on standard input and output, or with --nats-url on the subject internal.llmbot.v1, "
      "answering on internal.egress.v1.\n"
      "The model is any OpenAI-compatible server: LLM_BASE_URL, LLM_MODEL and LLM_API_KEY, or the "
      "flags.\n"
      "What it may read and do stands in the section bot: of the configuration; docs/bot.md.\n"
      "\nExamples:\n"
      "  LLM_BASE_URL=http://127.0.0.1:11434/v1 LLM_MODEL=qwen3 state-engine bot --config "
      "examples/bot.yaml\n"
      "  state-engine bot --config examples/bot.yaml --ask 'Start a giveaway for a mug'\n"
      "  state-engine bot --config examples/bot.yaml --nats-url nats://127.0.0.1:4222 --bus-prefix "
      "local.\n"
      "  state-engine bot --url http://127.0.0.1:4270/mcp --token \"$STATE_ENGINE_TOKEN\"");
  command->add_option("--config", options->config_file,
                      "YAML file with a section bot: (STATE_ENGINE_CONFIG_PATH)");
  auto* dir = command->add_option("--data-dir", options->engine.data_dir,
                                  "The engine's data directory; its socket is used "
                                  "(STATE_ENGINE_DATA_DIR)");
  command->add_option("--url", options->engine.url, "The engine's MCP URL (STATE_ENGINE_URL)")
      ->excludes(dir);
  command->add_option("--ca", options->engine.ca_file,
                      "PEM file of the certificates to trust for an https URL (STATE_ENGINE_CA)");
  command->add_option("--token", options->engine.token,
                      "The engine's bearer token (STATE_ENGINE_TOKEN)");
  command->add_option("--llm-base-url", options->base_url,
                      "The model's server, up to /v1 (LLM_BASE_URL)");
  command->add_option("--llm-model", options->model, "The model's name (LLM_MODEL)");
  command->add_option("--llm-api-key-file", options->key_file,
                      "A file with the server's key; else LLM_API_KEY");
  add_nats_options(*command, options->nats);
  command->add_flag("--terminal", options->terminal,
                    "Chat on stdin and stdout although a NATS server is named");
  command->add_option("--listen", options->listen,
                      "With NATS: HOST:PORT for /health and /metrics; default none");
  command->add_option("--ask", options->question, "Answer this one message and end");
  command->add_option("--user", options->user, "Who you are to the bot")->capture_default_str();
  command->add_option("--log-level", options->log_level, "debug, info, warn or error (LOG_LEVEL)")
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = run_bot(*options); });
}

}  // namespace state_engine
