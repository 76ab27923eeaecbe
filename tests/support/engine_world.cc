// An engine with every port replaced, on one thread and virtual time.

#include "tests/support/engine_world.h"

#include <boost/asio/strand.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/answers.h"

namespace state_engine::testing {
namespace {

namespace asio = boost::asio;

template <typename T>
T finish(asio::io_context& context, asio::awaitable<T> task) {
  auto out = run_now(context, std::move(task));
  SE_ASSERT(out.has_value());
  return *std::move(out);
}

std::string text_of(const std::optional<json::Value>& value) {
  return value ? json::write_canonical(*value) : "-";
}

std::string text_of(const std::optional<Timestamp>& time) {
  return time ? std::to_string(to_ms(*time)) : "-";
}

}  // namespace

Proposal proposal_of(std::string id, std::string key, json::Value value) {
  Proposal out;
  out.id = std::move(id);
  out.key = std::move(key);
  out.value = std::move(value);
  out.actor = "tester";
  out.reason = "a test";
  return out;
}

std::string dump(StateStore& store, asio::io_context& context) {
  std::string out;
  const auto head = finish(context, store.head());
  out += fmt::format("head {} {}\n", head->seq, head->hash);
  LogQuery all;
  all.limit = static_cast<std::size_t>(-1);
  const auto log = finish(context, store.read_log(all));
  for (const LogEntry& e : *log) {
    out += fmt::format("log {} {} {} {} {} {}\n", e.seq, e.proposal.id, e.hash, e.accepted,
                       to_string(e.code), text_of(e.resulting_value));
  }
  const auto snapshots = finish(context, store.scan_snapshots("", static_cast<std::size_t>(-1)));
  for (const SnapshotPtr& s : *snapshots) {
    out += fmt::format("snapshot {} {} {} {} {} {} {}\n", s->key, s->version, s->seq, s->deleted,
                       s->mutation_id, text_of(s->value), text_of(s->expires_at));
  }
  const auto effects = finish(context, store.pending_effects(0, static_cast<std::size_t>(-1)));
  for (const OutboxRow& row : *effects) {
    out += fmt::format("effect {} {} {} {}\n", row.position, row.effect.id, row.effect.cause_id,
                       row.effect.payload);
  }
  const auto states = finish(context, store.rule_states());
  for (const RuleState& s : *states) {
    out += fmt::format("memory {} {} {} {} {} {}\n", s.rule_id, s.key, s.truth, text_of(s.since),
                       text_of(s.deadline), text_of(s.cooldown_until));
  }
  return out;
}

struct EngineWorld::Timers {
  Timers(asio::io_context& context, const Clock& clock)
      : expiry(context.get_executor(), clock), outbox(context.get_executor(), clock) {}
  VirtualTimer expiry;
  VirtualTimer outbox;
};

EngineWorld::EngineWorld(WorldConfig config, std::uint64_t seed)
    : context_(std::make_unique<asio::io_context>(1)), random(seed), config_(compile(config)) {}

EngineWorld::~EngineWorld() {
  if (engine_ != nullptr) stop();
}

EngineConfig EngineWorld::compile(const WorldConfig& config) {
  auto policy = Policy::compile(config.policy);
  auto* compiled = std::get_if<std::shared_ptr<const Policy>>(&policy);
  SE_ASSERT(compiled != nullptr);
  RuleSetLoad load = RuleSet::load(json_of(config.rules));
  for (const RuleProblem& problem : load.problems) {
    ADD_FAILURE() << problem.path << ": " << problem.message;
  }
  SE_ASSERT(load.ok());
  return {*compiled, load.rules, config.rules};
}

Status EngineWorld::try_start() {
  SE_ASSERT(engine_ == nullptr);
  auto hooks = std::move(store);  // faults that a test has set outlive a restart
  store = std::make_unique<FaultyStore>(memory, context_->get_executor());
  if (hooks) {
    store->commit_fault = std::move(hooks->commit_fault);
    store->read_fault = std::move(hooks->read_fault);
    store->hops = std::move(hooks->hops);
  }
  timers_ = std::make_unique<Timers>(*context_, clock);
  engine_ = std::make_unique<Engine>(EngineDependencies{
      asio::make_strand(*context_), *store, sink, clock, random, log_, observer_, timers_->expiry,
      timers_->outbox, [this](std::string message) { fatal.push_back(std::move(message)); }});
  engine_->add_change_listener([this](std::span<const CommittedChange> events) {
    for (const CommittedChange& event : events) {
      changes.push_back(
          change_event(event.entry, event.before != nullptr ? event.before->value : json::Value()));
    }
  });
  auto status = run(engine_->start(config_));
  SE_ASSERT(status.has_value());
  if (!status->ok()) engine_.reset();
  return *status;
}

void EngineWorld::start() {
  const Status status = try_start();
  ASSERT_TRUE(status.ok()) << status.error().message;
}

void EngineWorld::stop() {
  SE_ASSERT(engine_ != nullptr);
  bool stopped = false;
  asio::co_spawn(*context_, engine_->stop(), [&](std::exception_ptr) { stopped = true; });
  settle();
  SE_ASSERT(stopped);
  engine_.reset();
}

void EngineWorld::crash() {
  // From here on the old engine reaches neither store nor sink: what it still does, nobody sees.
  store->die();
  sink.dead = true;
  stop();
  sink.dead = false;
  fatal.clear();
}

void EngineWorld::poll(int handlers) {
  context_->restart();
  for (int i = 0; i < handlers; ++i) context_->poll_one();
}

bool EngineWorld::run_until(const std::function<bool()>& condition,
                            std::chrono::milliseconds most) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!condition() && std::chrono::steady_clock::now() < end) {
    context_->restart();
    context_->run_for(std::chrono::milliseconds{5});
  }
  return condition();
}

void EngineWorld::settle() {
  context_->restart();
  context_->poll();
}

void EngineWorld::advance(std::chrono::milliseconds by) {
  using std::chrono::milliseconds;
  const auto end = clock.monotonic_now() + by;
  settle();
  while (clock.monotonic_now() < end) {
    auto next = end;
    for (const VirtualTimer* timer : {&timers_->expiry, &timers_->outbox}) {
      if (timer->deadline()) next = std::min(next, *timer->deadline());
    }
    const auto step = std::chrono::ceil<milliseconds>(next - clock.monotonic_now());
    clock.advance(std::max(step, milliseconds{1}));
    timers_->expiry.wake_if_due();
    timers_->outbox.wake_if_due();
    settle();
  }
}

MutationResult EngineWorld::propose(Proposal proposal, ProposeOptions options) {
  auto result = run(engine_->propose(std::move(proposal), {"test", true}, options));
  SE_ASSERT(result.has_value());
  return *result;
}

TransactionResult EngineWorld::transact(TransactionProposal transaction, ProposeOptions options) {
  auto result = run(engine_->propose_transaction(std::move(transaction), {"test", true}, options));
  SE_ASSERT(result.has_value());
  return *result;
}

std::shared_ptr<std::optional<MutationResult>> EngineWorld::send(Proposal proposal) {
  auto out = post(std::move(proposal));
  settle();
  return out;
}

std::shared_ptr<std::optional<MutationResult>> EngineWorld::post(Proposal proposal) {
  auto out = std::make_shared<std::optional<MutationResult>>();
  asio::co_spawn(*context_, engine_->propose(std::move(proposal), {"test", true}),
                 [out](std::exception_ptr fault, MutationResult result) {
                   if (!fault) *out = std::move(result);
                 });
  return out;
}

MutationResult EngineWorld::set(std::string key, json::Value value) {
  return propose(proposal_of(fmt::format("auto-{}", ++next_id_), std::move(key), std::move(value)));
}

SnapshotPtr EngineWorld::read(const std::string& key) {
  SnapshotPtr snapshot = engine_->view().find(key);
  return snapshot != nullptr && snapshot->visible_at(engine_->now()) ? snapshot : nullptr;
}

std::vector<LogEntry> EngineWorld::log() {
  LogQuery all;
  all.limit = static_cast<std::size_t>(-1);
  return *finish(*context_, memory.read_log(all));
}

std::vector<OutboxRow> EngineWorld::outbox() {
  std::vector<std::string> ids;
  for (const LogEntry& entry : log()) ids.push_back(entry.proposal.id);
  return *finish(*context_, memory.effects_of(std::move(ids)));
}

Status EngineWorld::reload(const WorldConfig& config) {
  config_ = compile(config);
  return *run(engine_->reload(config_));
}

}  // namespace state_engine::testing
