// BusSide: the engine's bus with all that runs over it: the intake of proposals, results and
// changes from the log, requests with answers, the registration with the tool gateway.
//
// Without a NATS server it is the in-process bus with the intake.
//
// Order of use: construct before the engine (effects go to bus()), attach() once the engine exists,
// start() after the engine started, stop_intake() before the engine stops, close() afterwards.
//
// Threads: the main thread.

#ifndef STATE_ENGINE_APP_BUS_SIDE_H_
#define STATE_ENGINE_APP_BUS_SIDE_H_

#include <memory>

#include "app/bus_metrics.h"
#include "app/log_publisher.h"
#include "app/mutation_intake.h"
#include "app/rpc_service.h"
#include "app/serve.h"
#include "app/service.h"
#include "bus/nats/nats_bus.h"
#include "engine/engine.h"

namespace state_engine {

class BusSide {
 public:
  BusSide(Service& service, const ServeOptions& options);
  ~BusSide();

  Bus& bus() { return *bus_; }

  // REQUIRES: before engine.start().
  void attach(Engine& engine, StateStore& store);

  // Connects. A server that is away is no error: it is tried again for ever.
  Status connect();
  void start();
  // Tells the tool gateway where the MCP server is. REQUIRES: it listens there.
  void register_at(const std::string& url);
  boost::asio::awaitable<void> stop_intake();
  boost::asio::awaitable<void> close();

 private:
  boost::asio::awaitable<Status> prepare();
  boost::asio::awaitable<void> check_rpc();
  boost::asio::awaitable<void> publish_registration(std::string url);

  Service& service_;
  const BusOptions options_;
  const bool has_token_;
  std::unique_ptr<BusMetrics> metrics_;
  std::unique_ptr<Bus> bus_;
  NatsBus* nats_ = nullptr;  // bus_, if it is one
  std::unique_ptr<MutationIntake> intake_;
  std::unique_ptr<LogPublisher> publisher_;
  std::unique_ptr<RpcService> rpc_;
  net::TaskGroup tasks_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_BUS_SIDE_H_
