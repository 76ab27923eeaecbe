// TwitchHost: the Twitch ingest with its health, metrics and settings, inside a Service.

#ifndef STATE_ENGINE_APP_TWITCH_HOST_H_
#define STATE_ENGINE_APP_TWITCH_HOST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "app/service.h"
#include "config/config.h"
#include "engine/engine.h"
#include "integrations/twitch/twitch_ingest.h"

namespace state_engine {

// What the ingest says, as metrics ("state_engine_twitch_...") and as the health part `twitch`.
// A Twitch that cannot be reached does not make a service unready: it still answers.
class TwitchMetrics final : public twitch::TwitchObserver {
 public:
  TwitchMetrics(prometheus::Registry& registry, Health& health);

  void on_link(twitch::LinkState state, const std::string& detail) override;
  void on_trouble(const std::string& detail) override;
  void on_event(std::string_view type) override;
  void on_dropped(std::string_view reason) override;
  void on_hand_over(twitch::HandOver outcome) override;
  void on_waiting(std::size_t proposals) override;
  void on_reconciled() override;
  void on_subscriptions(std::size_t enabled, std::size_t wanted) override;

 private:
  void report();

  Health& health_;
  prometheus::Family<prometheus::Counter>& events_;
  prometheus::Family<prometheus::Counter>& dropped_;
  prometheus::Family<prometheus::Counter>& proposals_;
  prometheus::Gauge& waiting_;
  prometheus::Gauge& link_up_;
  prometheus::Counter& reconciled_;
  prometheus::Gauge& subscriptions_;
  twitch::LinkState link_ = twitch::LinkState::kStarting;
  std::string link_detail_;
  std::string trouble_;
};

class TwitchHost {
 public:
  // `service` and `proposer` outlive the host. `reader` may be empty.
  TwitchHost(Service& service, Proposer& proposer, twitch::StateReader reader);

  // Errors: of TwitchIngest::open; the message says what to do.
  Status start(twitch::TwitchSettings settings);
  // Idempotent; does nothing if start() was not called.
  void stop(std::chrono::milliseconds grace);

 private:
  Service& service_;
  Proposer& proposer_;
  twitch::StateReader reader_;
  std::unique_ptr<TwitchMetrics> metrics_;
  std::unique_ptr<twitch::TwitchIngest> ingest_;
};

// The section `twitch` of `loaded` with its subscriptions file, or nothing if there is none. Faults
// are appended to `problems` with file and line, warnings to `warnings`. Paths in it are relative
// to the configuration file.
std::optional<twitch::TwitchSettings> read_twitch_settings(const config::LoadedConfig& loaded,
                                                           config::ConfigProblems& problems,
                                                           std::vector<std::string>& warnings);

// Reads the engine of this process, which outlives the reader.
twitch::StateReader engine_reader(Engine& engine);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_TWITCH_HOST_H_
