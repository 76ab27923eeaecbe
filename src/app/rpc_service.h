// RpcService: requests with answers over NATS, for callers without MCP.
//
//   rpc.[<prefix>]state.engine.v1.get      {"keys": [...]}
//   rpc.[<prefix>]state.engine.v1.prefix   {"prefix", "limit"?, "after"?}
//   rpc.[<prefix>]state.engine.v1.propose  a MutationProposal; with actors by subject, one token
//   more
//
// Core NATS, at most once: a caller that got no answer sends a proposal again with the same id.
// A stream that takes these subjects would answer first, with its PubAck: check() finds it.
//
// Ownership: engine, bus, random and log outlive the service.
// Threads:   requests come on threads of the bus.

#ifndef STATE_ENGINE_APP_RPC_SERVICE_H_
#define STATE_ENGINE_APP_RPC_SERVICE_H_

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "app/mutation_intake.h"
#include "base/log.h"
#include "base/random.h"
#include "bus/nats/nats_bus.h"
#include "engine/engine.h"
#include "net/task_group.h"

namespace state_engine {

class RpcService {
 public:
  RpcService(Engine& engine, NatsBus& bus, boost::asio::any_io_executor executor, Random& random,
             Log& log, IntakeOptions options);

  // Errors: kFailedPrecondition if a stream takes the subjects; others if that is not known.
  boost::asio::awaitable<Status> check();

  void start();
  boost::asio::awaitable<void> stop();

 private:
  std::string get(const BusMessage& request) const;
  std::string prefix(const BusMessage& request) const;
  boost::asio::awaitable<std::string> propose(BusMessage request);
  void serve(std::string subject, std::function<std::string(const BusMessage&)> answer);

  Engine& engine_;
  NatsBus& bus_;
  boost::asio::any_io_executor executor_;
  Random& random_;
  const IntakeOptions options_;
  net::TaskGroup tasks_;
  std::vector<std::unique_ptr<Bus::Subscription>> subscriptions_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_RPC_SERVICE_H_
