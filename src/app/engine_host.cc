// Wiring, and what to do when the store fails for good: end the process, answering nobody.

#include "app/engine_host.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/firestore_store.h"
#include "store/memory/memory_state_store.h"
#include "store/sqlite/sqlite_state_store.h"

namespace state_engine {
namespace {

EngineConfig engine_config(const config::CompiledConfig& config) {
  return {config.policy, config.rules, config.rules_source};
}

// After a fault of the store nothing may be written or answered any more: the next start recovers.
void end_process(const std::string& message) {
  std::fprintf(stderr,
               "state-engine: fatal: %s\n"
               "state-engine: stopped without answering open proposals; start it again to recover, "
               "then send them again with the same ids\n",
               message.c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

// The state is elsewhere then, but the socket of the command line is here.
Status make_socket_home(const std::string& directory) {
  std::error_code fault;
  if (std::filesystem::create_directories(directory, fault)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, fault);
  }
  if (!fault) return {};
  return Error{ErrorCode::kFailedPrecondition,
               "cannot make " + directory + ": " + fault.message() + "; choose another --data-dir"};
}

}  // namespace

EngineHost::EngineHost(Service& service, std::unique_ptr<StateStore> store,
                       const ServeOptions& options)
    : service_(service),
      config_file_(options.config_file),
      store_(std::move(store)),
      bus_side_(service, options),
      sink_(bus_side_.bus(),
            options.raw_egress ? wire::EgressShape::kRaw : wire::EgressShape::kInternalEventV2),
      metrics_(service.metrics(), service.health()),
      strand_(service.runtime().make_engine_strand()),
      expiry_timer_(strand_),
      outbox_timer_(strand_),
      engine_({strand_, *store_, sink_, service.clock(), service.random(), service.log(), metrics_,
               expiry_timer_, outbox_timer_, end_process}),
      tools_(engine_, service.random()) {
  tools_.install(service.mcp());
  bus_side_.attach(engine_, *store_);
}

Status EngineHost::start(const config::CompiledConfig& config) {
  SE_RETURN_IF_ERROR(bus_side_.connect());
  Status status;
  service_.runtime().run_blocking(
      [](Engine& engine, EngineConfig loaded, Status& out) -> boost::asio::awaitable<void> {
        out = co_await engine.start(std::move(loaded));
      }(engine_, engine_config(config), status));
  if (status.ok()) {
    tools_.use_policy_source(config.policy->source());
    bus_side_.start();
    service_.health().set("store", true, "up");
    service_.health().set_started(true);
  }
  return status;
}

void EngineHost::reload() {
  if (config_file_.empty()) {
    service_.log().info("nothing to reload: started without --config");
    return;
  }
  const config::ConfigCompilation compiled =
      config::compile_config(config::load_config(config_file_));
  for (const config::ConfigProblem& problem : compiled.problems) {
    service_.log().error("configuration refused; the old one stays in force",
                         {{"problem", problem.str()}});
  }
  Status status;
  if (compiled.ok()) {
    service_.runtime().run_blocking(
        [](Engine& engine, EngineConfig loaded, Status& out) -> boost::asio::awaitable<void> {
          out = co_await engine.reload(std::move(loaded));
        }(engine_, engine_config(*compiled.config), status));
  }
  const bool done = compiled.ok() && status.ok();
  metrics_.count_reload(done);
  if (done) {
    tools_.use_policy_source(compiled.config->policy->source());
    for (const std::string& warning : compiled.config->warnings) {
      service_.log().warn("configuration", {{"warning", warning}});
    }
    service_.log().info("configuration reloaded",
                        {{"policyRevision", compiled.config->policy->revision()},
                         {"ruleRevision", compiled.config->rules->revision()}});
  } else if (!status.ok()) {
    service_.log().error("configuration not stored; the old one stays in force",
                         {{"error", status.error().message}});
  }
}

void EngineHost::stop() {
  service_.runtime().run_blocking([](BusSide& bus, Engine& engine, StateStore& store,
                                     Log& log) -> boost::asio::awaitable<void> {
    co_await bus.stop_intake();
    co_await engine.stop();
    co_await bus.close();
    const Status closed = co_await store.close();
    if (!closed.ok()) log.error("the store did not close", {{"error", closed.error().message}});
  }(bus_side_, engine_, *store_, service_.log()));
}

Result<std::unique_ptr<StateStore>> open_store(const ServeOptions& options, Service& service) {
  if (options.store == "memory") {
    return std::unique_ptr<StateStore>(
        std::make_unique<MemoryStateStore>(new_uuid(service.random())));
  }
  if (options.store == "firestore") {
    SE_RETURN_IF_ERROR(make_socket_home(options.data_dir));
    auto store =
        open_firestore(options.firestore, "", service.clock(), service.random(), service.log());
    if (!store.ok()) return store.error();
    return std::unique_ptr<StateStore>(std::move(*store));
  }
  SqliteStoreOptions sqlite;
  sqlite.directory = options.data_dir;
  sqlite.clock = &service.clock();
  sqlite.random = &service.random();
  sqlite.log = &service.log();
  auto store = SqliteStateStore::open(sqlite);
  if (!store.ok()) return store.error();
  return std::unique_ptr<StateStore>(std::move(*store));
}

std::optional<config::CompiledConfig> load_or_complain(const std::string& file, Log& log) {
  const config::LoadedConfig loaded =
      file.empty() ? config::default_config() : config::load_config(file);
  config::ConfigCompilation compiled = config::compile_config(loaded);
  if (!compiled.ok()) {
    std::fprintf(stderr, "%s\n", config::to_text(compiled.problems).c_str());
    return std::nullopt;
  }
  for (const std::string& warning : compiled.config->warnings) {
    log.warn("configuration", {{"warning", warning}});
  }
  return std::move(compiled.config);
}

}  // namespace state_engine
