// A bot beside the engine in one process is no insider: it has a connection and an actor like any
// other client, so that moving it out changes nothing.

#include "app/bot_side.h"

#include <filesystem>

namespace state_engine {

Result<std::unique_ptr<BotSide>> BotSide::start(BotConfig config, mcp::ClientOptions engine,
                                                Service& service, Bus& bus) {
  std::unique_ptr<BotSide> side(new BotSide(service));
  auto host = BotHost::create(
      std::move(config), std::move(engine),
      {service.clock(), service.random(), service.log(), service.runtime(), side->metrics_});
  if (!host.ok()) return host.error();
  side->host_ = std::move(host).value();
  side->host_->attach(bus);
  return side;
}

Status start_bot(const ServeOptions& options, Service& service, Bus& bus,
                 std::unique_ptr<BotSide>& out) {
  if (options.config_file.empty()) return {};
  const config::LoadedConfig loaded = config::load_config(options.config_file);
  config::ConfigProblems problems;
  auto config = read_bot_config(loaded, problems);
  if (!problems.empty()) return invalid_argument(config::to_text(problems));
  if (!config || !config->in_process) return {};
  apply_llm_environment(config->endpoint);
  mcp::ClientOptions engine;
  const auto socket = std::filesystem::path(options.data_dir) / "engine.sock";
  std::error_code fault;
  if (std::filesystem::exists(socket, fault)) {
    engine.socket_path = socket.string();
  } else {
    engine.url = service.url() + "/mcp";
  }
  engine.token = options.shared_token;
  engine.hello_client = "mcp";
  engine.client_name = "state-engine-bot";
  engine.call_timeout = std::chrono::seconds(10);
  auto started = BotSide::start(std::move(*config), std::move(engine), service, bus);
  if (!started.ok()) return started.error();
  out = std::move(started).value();
  return {};
}

}  // namespace state_engine
