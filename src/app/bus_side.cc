// Wiring only: what is published and decided is the business of the parts.

#include "app/bus_side.h"

#include "bus/memory/memory_bus.h"

namespace state_engine {
namespace {

constexpr std::chrono::milliseconds kConnectPatience{3000};
// A proposer that publishes again wants its answer; a replay of an old stream does not.
constexpr std::chrono::minutes kRepeatedFresh{2};

}  // namespace

BusSide::BusSide(Service& service, const ServeOptions& options)
    : service_(service), options_(options.bus) {
  if (options_.nats.servers.empty()) {
    bus_ = std::make_unique<MemoryBus>();
    return;
  }
  metrics_ = std::make_unique<BusMetrics>(service.metrics(), service.health());
  auto nats = std::make_unique<NatsBus>(options_.nats, service.runtime().executor(), service.log(),
                                        *metrics_);
  nats_ = nats.get();
  bus_ = std::move(nats);
}

BusSide::~BusSide() = default;

void BusSide::attach(Engine& engine, StateStore& store) {
  if (nats_ != nullptr) {
    publisher_ = std::make_unique<LogPublisher>(store, engine, *bus_,
                                                service_.runtime().make_strand(), service_.log());
    engine.add_change_listener(
        [this](std::span<const ChangeEvent> changes) { publisher_->on_changes(changes); });
  }
  IntakeEvents events;
  if (nats_ != nullptr) {
    events.on_dead_letter = [this] { metrics_->count_dead_letter(); };
    events.on_held = [this](std::size_t messages) {
      metrics_->set_held(messages);
      publisher_->wake();
    };
    events.on_repeated = [this](const MutationResult& result, Timestamp stored_at) {
      if (service_.clock().wall_now() - stored_at < kRepeatedFresh) publisher_->repeat(result);
    };
  }
  intake_ = std::make_unique<MutationIntake>(
      engine, *bus_, service_.runtime().make_strand(), service_.log(),
      IntakeOptions{options_.queue, options_.actors, nats_ != nullptr ? "nats" : "in-process"},
      std::move(events));
}

Status BusSide::connect() {
  if (nats_ == nullptr) return {};
  return nats_->start(kConnectPatience);
}

void BusSide::start() {
  if (publisher_ != nullptr) publisher_->start();
  intake_->start();
}

boost::asio::awaitable<void> BusSide::stop_intake() { co_await intake_->stop(); }

boost::asio::awaitable<void> BusSide::close() {
  if (publisher_ != nullptr) co_await publisher_->stop();
  if (nats_ != nullptr) co_await nats_->close();
}

}  // namespace state_engine
