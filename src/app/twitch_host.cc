// Label values are bounded: event types of our table, reasons and outcomes.

#include "app/twitch_host.h"

#include <filesystem>

#include "integrations/twitch/event_types.h"

namespace state_engine {
namespace {

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry,
                                                  const std::string& name,
                                                  const std::string& help) {
  return prometheus::BuildCounter()
      .Name("state_engine_twitch_" + name)
      .Help(help)
      .Register(registry);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const std::string& name,
                         const std::string& help) {
  return prometheus::BuildGauge()
      .Name("state_engine_twitch_" + name)
      .Help(help)
      .Register(registry)
      .Add({});
}

std::string outcome_label(twitch::HandOver outcome) {
  switch (outcome) {
    case twitch::HandOver::kAccepted:
      return "accepted";
    case twitch::HandOver::kStored:
      return "stored";
    case twitch::HandOver::kDuplicate:
      return "duplicate";
    case twitch::HandOver::kRejected:
      return "rejected";
    case twitch::HandOver::kUnchanged:
      return "unchanged";
    case twitch::HandOver::kRetried:
      return "retried";
    case twitch::HandOver::kRefused:
      return "refused";
  }
  SE_UNREACHABLE();
}

std::string link_label(twitch::LinkState state) {
  switch (state) {
    case twitch::LinkState::kStarting:
      return "starting";
    case twitch::LinkState::kLive:
      return "up";
    case twitch::LinkState::kDown:
      return "down";
  }
  SE_UNREACHABLE();
}

std::string beside(const std::string& config_file, const std::string& path) {
  const std::filesystem::path given(path);
  if (path.empty() || given.is_absolute()) return path;
  return (std::filesystem::path(config_file).parent_path() / given).lexically_normal().string();
}

void add_faults(const config::LoadedConfig& loaded, const config::Path& section,
                std::vector<twitch::SettingsFault>& faults, config::ConfigProblems& problems) {
  for (twitch::SettingsFault& fault : faults) {
    config::Path path = section;
    path.insert(path.end(), fault.path.begin(), fault.path.end());
    problems.push_back({loaded.file, loaded.document.locate(path), loaded.document.display(path),
                        std::move(fault.message)});
  }
  faults.clear();
}

}  // namespace

// ---- Metrics ----------------------------------------------------------------------------------

TwitchMetrics::TwitchMetrics(prometheus::Registry& registry, Health& health)
    : health_(health),
      events_(counters(registry, "events_total", "Events that arrived, by type")),
      dropped_(counters(registry, "dropped_total", "Messages that were not passed on, by reason")),
      proposals_(counters(registry, "proposals_total", "Proposals by what became of them")),
      waiting_(gauge(registry, "waiting", "Proposals that wait to be handed over")),
      link_up_(gauge(registry, "up", "1 while Twitch can reach us")),
      reconciled_(counters(registry, "reconciled_total",
                           "How often the state was compared with Twitch's API")
                      .Add({})),
      subscriptions_(gauge(registry, "subscriptions", "Subscriptions in place")) {}

void TwitchMetrics::report() {
  health_.set("twitch", true, trouble_.empty() ? link_label(link_) : "trouble",
              trouble_.empty() ? link_detail_ : trouble_);
}

void TwitchMetrics::on_link(twitch::LinkState state, const std::string& detail) {
  link_ = state;
  link_detail_ = detail;
  link_up_.Set(state == twitch::LinkState::kLive ? 1 : 0);
  report();
}

void TwitchMetrics::on_trouble(const std::string& detail) {
  trouble_ = detail;
  report();
}

void TwitchMetrics::on_event(std::string_view type) {
  const bool known = twitch::find_event_type(type) != nullptr;
  events_.Add({{"type", known ? std::string(type) : "other"}}).Increment();
}

void TwitchMetrics::on_dropped(std::string_view reason) {
  dropped_.Add({{"reason", std::string(reason)}}).Increment();
}

void TwitchMetrics::on_hand_over(twitch::HandOver outcome) {
  proposals_.Add({{"outcome", outcome_label(outcome)}}).Increment();
}

void TwitchMetrics::on_waiting(std::size_t proposals) {
  waiting_.Set(static_cast<double>(proposals));
}

void TwitchMetrics::on_reconciled() { reconciled_.Increment(); }

void TwitchMetrics::on_subscriptions(std::size_t enabled, std::size_t) {
  subscriptions_.Set(static_cast<double>(enabled));
}

// ---- Host -------------------------------------------------------------------------------------

TwitchHost::TwitchHost(Service& service, Proposer& proposer, twitch::StateReader reader)
    : service_(service), proposer_(proposer), reader_(std::move(reader)) {}

Status TwitchHost::start(twitch::TwitchSettings settings) {
  metrics_ = std::make_unique<TwitchMetrics>(service_.metrics(), service_.health());
  auto opened = twitch::TwitchIngest::open(
      std::move(settings), {service_.runtime(), proposer_, reader_, service_.clock(),
                            service_.random(), service_.log(), *metrics_});
  if (!opened.ok()) {
    return Error{opened.error().code, "twitch: " + opened.error().message};
  }
  ingest_ = std::move(*opened);
  ingest_->start();
  return {};
}

void TwitchHost::stop(std::chrono::milliseconds grace) {
  if (!ingest_) return;
  service_.runtime().run_blocking(ingest_->stop(grace));
  ingest_.reset();
}

// ---- Settings ---------------------------------------------------------------------------------

std::optional<twitch::TwitchSettings> read_twitch_settings(const config::LoadedConfig& loaded,
                                                           config::ConfigProblems& problems,
                                                           std::vector<std::string>& warnings) {
  const json::Object* root = loaded.document.value().if_object();
  const json::Value* section = root == nullptr ? nullptr : json::find(*root, "twitch");
  if (section == nullptr) return std::nullopt;
  twitch::SettingsReading reading = twitch::read_settings(*section);
  const std::string subscriptions_file = beside(loaded.file, reading.settings.subscriptions_file);
  add_faults(loaded, {"twitch"}, reading.faults, problems);
  if (!subscriptions_file.empty()) {
    const config::LoadedYaml file = config::load_yaml(subscriptions_file);
    problems.insert(problems.end(), file.problems.begin(), file.problems.end());
    if (file.problems.empty()) {
      twitch::read_subscriptions_file(file.document.value(), reading);
      config::LoadedConfig place;
      place.file = subscriptions_file;
      place.document = file.document;
      add_faults(place, {}, reading.faults, problems);
    }
  }
  twitch::check_settings(reading);
  add_faults(loaded, {"twitch"}, reading.faults, problems);
  for (const std::string& warning : reading.warnings) warnings.push_back("twitch: " + warning);
  reading.settings.tokens_file = beside(loaded.file, reading.settings.tokens_file);
  reading.settings.webhook.secret_file = beside(loaded.file, reading.settings.webhook.secret_file);
  return std::move(reading.settings);
}

twitch::StateReader engine_reader(Engine& engine) {
  return [&engine](std::string key) -> boost::asio::awaitable<Result<SnapshotPtr>> {
    co_return engine.view().find(key);
  };
}

}  // namespace state_engine
