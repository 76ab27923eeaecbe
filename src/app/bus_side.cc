// Wiring only: what is published and decided is the business of the parts.

#include "app/bus_side.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "app/registration.h"
#include "bus/memory/memory_bus.h"

namespace state_engine {
namespace {

constexpr std::chrono::milliseconds kConnectPatience{3000};
constexpr std::chrono::milliseconds kPause{500};
constexpr std::chrono::milliseconds kTasksMost{6000};
// A proposer that publishes again wants its answer; a replay of an old stream does not.
constexpr std::chrono::minutes kRepeatedFresh{2};

}  // namespace

BusSide::BusSide(Service& service, const ServeOptions& options)
    : service_(service),
      options_(options.bus),
      has_token_(!options.shared_token.empty()),
      tasks_("bus", service.log()) {
  if (options_.nats.servers.empty()) {
    bus_ = std::make_unique<MemoryBus>();
    return;
  }
  metrics_ = std::make_unique<BusMetrics>(service.metrics(), service.health());
  auto nats = std::make_unique<NatsBus>(options_.nats, service.runtime().make_strand(),
                                        service.log(), *metrics_);
  nats_ = nats.get();
  bus_ = std::move(nats);
}

BusSide::~BusSide() = default;

void BusSide::attach(Engine& engine, StateStore& store) {
  if (nats_ != nullptr) {
    publisher_ = std::make_unique<LogPublisher>(store, engine, *bus_,
                                                service_.runtime().make_strand(), service_.log());
    engine.add_change_listener(
        [this](std::span<const CommittedChange> changes) { publisher_->on_changes(changes); });
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
  const IntakeOptions intake{options_.queue, options_.actors,
                             nats_ != nullptr ? "nats" : "in-process"};
  intake_ = std::make_unique<MutationIntake>(engine, *bus_, service_.runtime().make_strand(),
                                             service_.log(), intake, std::move(events));
  if (publisher_ != nullptr) {
    publisher_->yield_to([this] { return intake_->has_backlog(); });
  }
  if (nats_ != nullptr && options_.rpc) {
    rpc_ = std::make_unique<RpcService>(engine, *nats_, service_.runtime().make_strand(),
                                        service_.random(), service_.log(), intake);
  }
}

Status BusSide::connect() {
  if (nats_ == nullptr) return {};
  SE_RETURN_IF_ERROR(nats_->start(kConnectPatience));
  if (!nats_->connected()) return {};
  Status status;
  auto task = [](BusSide& side, Status& out) -> boost::asio::awaitable<void> {
    auto prepared = [&side]() -> boost::asio::awaitable<Status> { return side.prepare(); };
    out = co_await boost::asio::co_spawn(side.service_.runtime().make_strand(), prepared,
                                         boost::asio::use_awaitable);
  };
  service_.runtime().run_blocking(task(*this, status));
  return status;
}

// Makes sure of streams and subjects before the engine says that it is ready.
boost::asio::awaitable<Status> BusSide::prepare() {
  co_await nats_->make_streams();
  if (rpc_ == nullptr) co_return Status();
  const Status checked = co_await rpc_->check();
  // Only a conflict is known to stay; the rest is looked at again.
  if (checked.ok() || checked.error().code == ErrorCode::kFailedPrecondition) co_return checked;
  co_return Status();
}

void BusSide::start() {
  if (publisher_ != nullptr) publisher_->start();
  if (rpc_ != nullptr) {
    rpc_->start();
    tasks_.spawn(service_.runtime().make_strand(), [this] { return check_rpc(); });
  }
  intake_->start();
}

// For a server that was away at the start: says so if requests cannot be answered.
boost::asio::awaitable<void> BusSide::check_rpc() {
  net::WakeSignal pause(co_await boost::asio::this_coro::executor);
  while (!tasks_.stopping().cancelled()) {
    const Status checked = co_await rpc_->check();
    if (checked.ok()) co_return;
    if (checked.error().code == ErrorCode::kFailedPrecondition) {
      service_.log().error("requests over NATS are not answered",
                           {{"error", checked.error().message}});
      co_await rpc_->stop();
      co_return;
    }
    co_await pause.wait(kPause);
  }
}

void BusSide::register_at(const std::string& url) {
  if (nats_ == nullptr || !options_.registers) return;
  tasks_.spawn(service_.runtime().make_strand(), [this, url] { return publish_registration(url); });
}

boost::asio::awaitable<void> BusSide::publish_registration(std::string url) {
  net::WakeSignal pause(co_await boost::asio::this_coro::executor);
  Registration registration;
  registration.url = options_.register_url.empty() ? url : options_.register_url;
  registration.with_token = has_token_;
  while (!tasks_.stopping().cancelled()) {
    auto message = registration_message(registration, service_.clock().wall_now());
    const PublishOutcome outcome = co_await nats_->publish(std::move(message));
    if (outcome != PublishOutcome::kRetry) {
      service_.log().info("registered with the tool gateway", {{"url", registration.url}});
      co_return;
    }
    co_await pause.wait(kPause);
  }
}

boost::asio::awaitable<void> BusSide::stop_intake() {
  tasks_.cancel();
  if (rpc_ != nullptr) co_await rpc_->stop();
  co_await intake_->stop();
}

boost::asio::awaitable<void> BusSide::close() {
  if (publisher_ != nullptr) co_await publisher_->stop();
  static_cast<void>(co_await tasks_.wait(kTasksMost));
  if (nats_ != nullptr) co_await nats_->close();
}

}  // namespace state_engine
