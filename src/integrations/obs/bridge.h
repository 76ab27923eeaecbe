// Bridge: keeps a connection to one OBS, carries out what egress events and tools ask, and proposes
// what OBS really did.
//
// Effects that are repeated (redelivered) or older than a bound are not carried out. Reconnects for
// ever, with a growing wait; a password that OBS refuses is tried again rarely.
//
// Ownership: what BridgeParts refers to outlives the bridge. Threads: every method from any thread;
//            the work is done on the strand. Secrets: neither the password nor anything of OBS's
//            stream settings is ever logged, told or asked for.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_BRIDGE_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_BRIDGE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "integrations/obs/command.h"
#include "integrations/obs/effect_map.h"
#include "net/backoff.h"
#include "net/tls.h"
#include "ports/bus.h"
#include "ports/proposer.h"

namespace state_engine::obs {

struct BridgeSettings {
  std::string url = "ws://127.0.0.1:4455";
  std::string password;
  std::string actor = "obs-bridge";
  std::chrono::milliseconds effect_age_max{30'000};
  bool restore_scene = true;
  EffectMap effects;
  net::BackoffOptions reconnect{std::chrono::milliseconds{250}, std::chrono::milliseconds{5'000}, 2,
                                0.5};
  // When OBS refuses the password, or was told to refuse us.
  std::chrono::milliseconds refused_wait{60'000};
};

// What became of an egress event.
enum class EffectFate { kTaken, kNotForObs, kRepeated, kTooOld, kFaulty, kTooMany };

std::string_view to_string(EffectFate fate);

// Told of everything, for metrics and health. Threads: the bridge's strand.
struct BridgeObserver {
  virtual ~BridgeObserver() = default;
  virtual void on_link(bool /*connected*/, const std::string& /*detail*/) {}
  virtual void on_request(std::string_view /*type*/, std::chrono::nanoseconds /*took*/,
                          bool /*ok*/) {}
  virtual void on_command(CommandKind /*kind*/, OutcomeKind /*outcome*/) {}
  virtual void on_effect(EffectFate /*fate*/) {}
  virtual void on_report(std::string_view /*key*/, const json::Value& /*value*/) {}
};

struct BridgeParts {
  boost::asio::any_io_executor strand;
  net::TlsContext tls;
  const Clock& clock;
  Random& random;
  Log& log;
  Proposer& proposer;
  BridgeObserver& observer;
};

struct BridgeStatus {
  bool connected = false;
  std::string detail;  // why not
  std::string obs_version;
  std::string scene;
  std::vector<std::string> scenes;  // top first
  std::string stream;               // "live", "off", "starting", "stopping", "failed", "unknown"
  bool stream_reconnecting = false;
  std::string recording;  // "on", "paused", "off", ...
};

class Bridge {
 public:
  Bridge(BridgeSettings settings, BridgeParts parts);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  // Begins to connect.
  void start();
  // Says goodbye to OBS and the engine. Idempotent.
  boost::asio::awaitable<void> stop();

  // Takes an egress event. `done` is called once nothing is left to do for it.
  void take_effect(BusMessage message, std::function<void()> done = {});

  // Carries out `command` and returns what came of it, at the latest after `timeout`.
  boost::asio::awaitable<Outcome> execute(Command command, std::chrono::milliseconds timeout);

  boost::asio::awaitable<BridgeStatus> status();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_BRIDGE_H_
