// EngineHost: an engine with its store, bus and MCP tools, wired into a Service.

#ifndef STATE_ENGINE_APP_ENGINE_HOST_H_
#define STATE_ENGINE_APP_ENGINE_HOST_H_

#include <memory>
#include <string>

#include "app/asio_timer.h"
#include "app/bus_effect_sink.h"
#include "app/bus_side.h"
#include "app/metrics.h"
#include "app/serve.h"
#include "app/service.h"
#include "config/config.h"
#include "engine/engine.h"
#include "mcp/state/state_service.h"

namespace state_engine {

class EngineHost {
 public:
  // `service` and `store` outlive the host.
  EngineHost(Service& service, std::unique_ptr<StateStore> store, const ServeOptions& options);

  Status start(const config::CompiledConfig& config);
  // Reads the configuration file again; a faulty one is logged and changes nothing.
  void reload();
  void stop();

  // Tells the tool gateway, if there is one. REQUIRES: the service listens.
  void announce(const std::string& url) { bus_side_.register_at(url + "/sse"); }

  Bus& bus() { return bus_side_.bus(); }
  Engine& engine() { return engine_; }

 private:
  Service& service_;
  std::string config_file_;
  std::unique_ptr<StateStore> store_;
  BusSide bus_side_;
  BusEffectSink sink_;
  EngineMetrics metrics_;
  boost::asio::any_io_executor strand_;
  AsioTimer expiry_timer_;
  AsioTimer outbox_timer_;
  Engine engine_;
  mcp::StateService tools_;
};

// Opens the store that the options name. Errors: say what to do.
Result<std::unique_ptr<StateStore>> open_store(const ServeOptions& options, Service& service);

// Loads and compiles the configuration, printing every problem to stderr.
std::optional<config::CompiledConfig> load_or_complain(const std::string& file, Log& log);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ENGINE_HOST_H_
