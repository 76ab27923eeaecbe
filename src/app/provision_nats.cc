// The engine makes what it needs by itself when it may. This command is for deployments where it
// may not, and to see beforehand what it would do.

#include "app/provision_nats.h"

#include <set>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "app/bus_cli.h"
#include "app/platform_commands.h"
#include "bus/nats/consumer.h"
#include "bus/nats/jet_stream.h"
#include "bus/nats/nats_core.h"
#include "net/io_runtime.h"

namespace state_engine {
namespace {

using boost::asio::awaitable;

constexpr std::chrono::milliseconds kPatience{5000};

// What the connection says, for the one line that reports a failure.
class LastState final : public NatsObserver {
 public:
  void on_state(bool /*up*/, std::string_view detail) override {
    const std::lock_guard lock(mutex_);
    detail_ = detail;
  }
  std::string detail() {
    const std::lock_guard lock(mutex_);
    return detail_;
  }

 private:
  std::mutex mutex_;
  std::string detail_;
};

class Plan {
 public:
  Plan(nats::JetStream jet_stream, const ProvisionNatsOptions& options)
      : jet_stream_(std::move(jet_stream)), options_(options) {}

  awaitable<void> run();
  int exit_code() const { return in_the_way_ > 0 ? 1 : 0; }
  int missing() const { return missing_; }

 private:
  awaitable<void> stream(nats::StreamSpec spec);
  awaitable<void> durable();
  awaitable<void> requests();
  void good(const std::string& text) { fmt::print("ok       {}\n", text); }
  void wrong(const std::string& text) {
    ++in_the_way_;
    fmt::print("problem  {}\n", text);
  }
  void lacking(const std::string& text) {
    ++missing_;
    fmt::print("{} {}\n", options_.apply ? "made    " : "missing ", text);
  }

  nats::JetStream jet_stream_;
  const ProvisionNatsOptions& options_;
  std::set<std::string> planned_;  // streams that are missing and said so
  int in_the_way_ = 0;
  int missing_ = 0;
};

awaitable<void> Plan::run() {
  for (const nats::StreamSpec& spec : nats::stream_plan(options_.bus.nats.prefix)) {
    nats::StreamSpec copy = spec;
    co_await stream(std::move(copy));
  }
  co_await durable();
  co_await requests();
}

awaitable<void> Plan::stream(nats::StreamSpec spec) {
  auto found = co_await jet_stream_.stream_of(spec.needed);
  if (!found.ok()) {
    wrong(found.error().message);
    co_return;
  }
  if (*found) {
    good(fmt::format("{} is taken by stream {}", spec.needed, **found));
    co_return;
  }
  if (!planned_.insert(spec.name).second) co_return;
  if (options_.apply) {
    const Status made = co_await jet_stream_.create_stream(spec);
    if (!made.ok()) {
      wrong(made.error().message);
      co_return;
    }
  }
  lacking(fmt::format("stream {} of {} (file, limits{})", spec.name, spec.subject,
                      spec.age_max.count() > 0 ? fmt::format(", {} h", spec.age_max.count()) : ""));
}

awaitable<void> Plan::durable() {
  ConsumeOptions wanted = intake_consume_options({options_.bus.queue, options_.bus.actors, ""});
  const std::string subject = options_.bus.nats.prefix + wanted.subject;
  const std::string name = nats::durable_name(subject, wanted.queue);
  auto stream = co_await jet_stream_.stream_of(subject);
  if (!stream.ok()) co_return wrong(stream.error().message);
  if (!*stream) {
    lacking(fmt::format("durable {} of {}", name, subject));
    co_return;
  }
  const std::string stream_name = **stream;
  auto found = co_await jet_stream_.durable(stream_name, name);
  if (found.ok()) {
    const Status fits = nats::check_durable(*found, name, subject, wanted.queue);
    if (!fits.ok()) co_return wrong(fits.error().message);
    good(fmt::format("durable {} of stream {}: {} waiting, {} unsettled", name, stream_name,
                     found->pending, found->ack_pending));
    co_return;
  }
  if (found.error().code != ErrorCode::kNotFound) co_return wrong(found.error().message);
  if (options_.apply) {
    json::Object config = nats::durable_config(options_.bus.nats, name, subject, wanted.queue);
    config["deliver_subject"] = options_.bus.nats.inbox_prefix + ".provisioned." + name;
    const Status made = co_await jet_stream_.create_durable(stream_name, std::move(config));
    if (!made.ok()) co_return wrong(made.error().message);
  }
  lacking(fmt::format("durable {} of stream {}", name, stream_name));
}

awaitable<void> Plan::requests() {
  if (!options_.bus.rpc) co_return;
  const std::string subject = nats::rpc_subject(options_.bus.nats.prefix, "propose");
  auto stream = co_await jet_stream_.stream_of(subject);
  if (!stream.ok()) co_return wrong(stream.error().message);
  if (*stream) {
    wrong(fmt::format("stream {} takes {}: its confirmation would answer before the engine does",
                      **stream, subject));
  } else {
    good(fmt::format("{} is in no stream", subject));
  }
}

}  // namespace

int provision_nats(const ProvisionNatsOptions& options) {
  NullLog log;
  LastState state;
  net::IoRuntime runtime(2);
  const auto core = std::make_shared<nats::NatsCore>(options.bus.nats, log, state);
  if (Status started = core->start(); !started.ok()) {
    fmt::print(stderr, "state-engine: {}; give --nats-url\n", started.error().message);
    return 2;
  }
  if (!core->wait_until_up(kPatience)) {
    fmt::print(stderr, "state-engine: {}\n", state.detail());
    core->stop();
    return 1;
  }
  nats::JetStream jet_stream([core](std::string subject, std::string body) {
    return core->request(std::move(subject), std::move(body));
  });
  Plan plan(std::move(jet_stream), options);
  auto task = [](net::IoRuntime& io, Plan& work) -> awaitable<void> {
    auto run = [&work]() -> awaitable<void> { return work.run(); };
    co_await boost::asio::co_spawn(io.make_strand(), run, boost::asio::use_awaitable);
  };
  runtime.run_blocking(task(runtime, plan));
  core->stop();
  if (!options.apply && plan.missing() > 0) {
    fmt::print("\nNothing was changed. `--apply` makes what is missing.\n");
  }
  return plan.exit_code();
}

void add_provision_nats(CLI::App& app, ProvisionNatsOptions& options, int& exit_code) {
  CLI::App* command =
      provision_command(app)->add_subcommand("nats", "Streams, durable and subjects on NATS");
  command->footer(
      "Prints what is there and what is missing; changes nothing without --apply.\n"
      "Exit code 1 if something is in the way: a durable of another kind, a stream over rpc.>\n"
      "\nExamples:\n"
      "  state-engine provision nats --nats-url nats://127.0.0.1:4222 --bus-prefix local.\n"
      "  state-engine provision nats --nats-url nats://127.0.0.1:4222 --apply");
  options.bus.nats = default_nats_options();
  add_bus_options(*command, options.bus);
  command->add_flag("--apply", options.apply, "Make what is missing");
  command->callback([&options, &exit_code] { exit_code = provision_nats(options); });
}

}  // namespace state_engine
