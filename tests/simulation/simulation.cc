// One thread, virtual time, one seed: clients, faults and crashes all come from the same
// generator.

#include "tests/simulation/simulation.h"

#include <algorithm>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/hex.h"
#include "core/chain.h"
#include "tests/support/engine_world.h"

namespace state_engine::simulation {
namespace {

using std::chrono::milliseconds;
using testing::CommitFault;
using testing::EngineWorld;
using testing::FaultyStore;
using testing::proposal_of;

constexpr int kKeys = 6;

// "k5" waits (check_waits() in invariants.cc knows the rule by heart) and "k4" cools down;
// "k0" publishes; "k1" counts and may run away; expiries and rises publish as well.
constexpr const char* kRules = R"([
  {"id":"publish","when":{"==":[{"var":"key"},"k0"]},
   "actions":[{"type":"publishEgress","payload":{"type":"t","v":{"$logic":{"var":"value"}}}}]},
  {"id":"count","when":{"==":[{"var":"key"},"k1"]},
   "actions":[{"type":"proposeMutation","key":"count","op":"increment","value":1}]},
  {"id":"denied","when":{"==":[{"var":"key"},"k2"]},
   "actions":[{"type":"proposeMutation","key":"forbidden","value":1}]},
  {"id":"expired","when":{"==":[{"var":"op"},"expire"]},
   "actions":[{"type":"publishEgress","payload":{"type":"gone","key":{"$logic":{"var":"key"}}}}]},
  {"id":"high","on":"rise","when":{"and":[{"==":[{"var":"key"},"k3"]},{">":[{"var":"value"},50]}]},
   "actions":[{"type":"publishEgress","payload":{"type":"high"}}]},
  {"id":"idle","on":"rise","for":"800ms",
   "when":{"and":[{"==":[{"var":"key"},"k5"]},{">":[{"var":"value"},50]}]},
   "actions":[{"type":"publishEgress","payload":{"type":"idle"}},
              {"type":"proposeMutation","key":"count","op":"increment","value":1}]},
  {"id":"calm","cooldown":"2s","when":{"==":[{"var":"key"},"k4"]},
   "actions":[{"type":"publishEgress","payload":{"type":"calm"}}]},
  {"id":"away","when":{"and":[{"in":["run",{"var":"key"}]},{"<":[{"var":"value"},1000]}]},
   "actions":[{"type":"proposeMutation","key":{"$logic":{"cat":["run",{"var":"value"}]}},
               "value":{"$logic":{"+":[{"var":"value"},1]}}}]}])";

testing::WorldConfig world_config() {
  testing::WorldConfig config;
  config.policy.allowed_keys = {"k*", "count", "run*"};
  config.policy.rules.resize(1);
  config.policy.rules[0].keys = {"k4"};
  config.policy.rules[0].rate = RateLimit{2, 3};
  config.rules = kRules;
  return config;
}

// Which kinds of trouble this seed has.
struct Swarm {
  bool commits_fail, outcomes_unknown, fatal_faults, reads_fail, crashes, sink_away, clock_jumps,
      slow_store;
};

// What a client asked and was told.
struct Asked {
  Proposal proposal;
  std::shared_ptr<std::optional<MutationResult>> answer;
  bool checked = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : random_(seed), world_(world_config(), seed), swarm_(draw_swarm()) {
    install_faults();
  }

  Outcome run(int steps) {
    start();
    for (int i = 0; i < steps && outcome_.faults.empty(); ++i) step();
    calm_down();
    outcome_.digest = sha256_hex(world_.store_dump());
    return std::move(outcome_);
  }

 private:
  bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
  void sometimes(const std::string& path) { ++outcome_.paths[path]; }
  void fault(const std::string& invariant, std::string what) {
    outcome_.faults.emplace(invariant, std::move(what));
  }

  Swarm draw_swarm() {
    return {chance(50), chance(50), chance(30), chance(40),
            chance(50), chance(50), chance(40), chance(60)};
  }

  void install_faults();
  void start();
  void step();
  void propose_something();
  void transact();
  void repeat_something();
  void crash();
  void restart();
  void forget_unanswered();
  void calm_down();
  void check_answers();
  void check_answer(Asked& asked, const std::map<std::string, const LogEntry*>& records);
  void check_deliveries(bool at_end);
  void check_reads();
  void check();
  RawDump raw_dump();

  SeededRandom random_;
  EngineWorld world_;
  Swarm swarm_;
  bool calm_ = false;
  Outcome outcome_;
  std::vector<Asked> asked_;
  std::map<std::string, std::string> told_;   // id -> what was answered first
  std::map<std::string, std::string> bytes_;  // effect id -> payload, at its first attempt
  std::size_t attempts_seen_ = 0;
  RawDump dump_;
  int next_id_ = 0;
};

void Simulation::install_faults() {
  world_.sink.answers = [this](const Effect&) {
    if (calm_ || !swarm_.sink_away || !chance(40)) return Delivery::kDelivered;
    if (chance(10)) {
      sometimes("effect without subscriber");
      return Delivery::kNoSubscriber;
    }
    sometimes("sink away");
    return Delivery::kRetry;
  };
}

void Simulation::start() {
  for (int attempt = 0; !world_.try_start().ok(); ++attempt) {
    sometimes("start refused by the store");
    SE_ASSERT(attempt < 1000);
  }
  world_.store->hops = [this] {
    return swarm_.slow_store ? static_cast<int>(random_.below(4)) : 0;
  };
  world_.store->read_fault = [this](FaultyStore::Read what) {
    if (calm_ || !swarm_.reads_fail || !chance(4)) return false;
    sometimes(what == FaultyStore::Read::kMark ? "mark failed" : "read failed");
    return true;
  };
  world_.store->commit_fault = [this](const CommitBatch& batch) {
    if (batch.entries.size() > 3) sometimes("group commit");
    if (calm_) return CommitFault::kNone;
    if (swarm_.commits_fail && chance(8)) {
      sometimes("commit refused");
      return CommitFault::kNotCommitted;
    }
    if (swarm_.outcomes_unknown && chance(8)) {
      const bool applied = chance(50);
      sometimes(applied ? "unknown, was applied" : "unknown, was not applied");
      return applied ? CommitFault::kUnknownApplied : CommitFault::kUnknownNotApplied;
    }
    if (swarm_.fatal_faults && chance(2)) {
      const bool applied = chance(50);
      sometimes(applied ? "fatal, was applied" : "fatal, was not applied");
      return applied ? CommitFault::kFatalApplied : CommitFault::kFatalNotApplied;
    }
    return CommitFault::kNone;
  };
}

void Simulation::propose_something() {
  Proposal proposal =
      proposal_of(fmt::format("m{}", next_id_++), fmt::format("k{}", random_.below(kKeys)),
                  static_cast<std::int64_t>(random_.below(100)));
  proposal.actor = fmt::format("client-{}", random_.below(3));
  const std::uint64_t kind = random_.below(20);
  if (kind < 3) {
    proposal.op = Op::kIncrement;
  } else if (kind < 5) {
    proposal.op = Op::kDelete;
    proposal.value.reset();
  } else if (kind == 5) {
    proposal.op = Op::kPush;  // a type_mismatch on a number
  } else if (kind == 6) {
    proposal.key = "forbidden";
  } else if (kind == 7 && chance(30)) {
    proposal.key = "run";
    proposal.value = chance(50) ? 995 : 0;
  }
  if (proposal.op != Op::kDelete && chance(20)) {
    proposal.ttl = milliseconds{1 + static_cast<std::int64_t>(random_.below(3000))};
  }
  if (chance(40)) {
    const SnapshotPtr seen = world_.read(proposal.key);
    const std::int64_t version = seen ? seen->version : 0;
    proposal.expected_version = std::max<std::int64_t>(
        0, version - (chance(20) ? 1 : 0) + static_cast<std::int64_t>(random_.below(2)));
  }
  asked_.push_back({proposal, world_.post(proposal)});
}

void Simulation::repeat_something() {
  if (asked_.empty()) return;
  Proposal again = asked_[random_.below(asked_.size())].proposal;
  if (chance(20)) {
    again.value = "another payload";
    again.op = Op::kSet;
  } else {
    again.reason = "again";
  }
  asked_.push_back({again, world_.post(again)});
}

void Simulation::transact() {
  TransactionProposal transaction;
  transaction.id = fmt::format("t{}", next_id_++);
  for (std::uint64_t i = 0; i <= random_.below(4); ++i) {
    Proposal member = proposal_of("", fmt::format("k{}", random_.below(kKeys)),
                                  static_cast<std::int64_t>(random_.below(100)));
    if (chance(15)) member.expected_version = 1;
    transaction.members.push_back(std::move(member));
  }
  const auto result =
      world_.run(world_.engine().propose_transaction(std::move(transaction), {"sim", true}));
  if (!result) return;
  if (result->accepted) sometimes("transaction accepted");
  if (result->failed_index) sometimes("transaction aborted");
}

// Their clients are gone, or will never hear: nothing was promised.
void Simulation::forget_unanswered() {
  for (Asked& asked : asked_) {
    if (!asked.answer->has_value()) asked.checked = true;
  }
}

void Simulation::crash() {
  sometimes("crash");
  const auto open = [](const Asked& asked) { return !asked.checked && !asked.answer->has_value(); };
  if (std::any_of(asked_.begin(), asked_.end(), open)) sometimes("crash with a proposal open");
  forget_unanswered();
  world_.crash();
  start();
}

void Simulation::restart() {
  sometimes("restart");
  world_.stop();
  forget_unanswered();  // a fatal fault during the last commits
  world_.fatal.clear();
  start();
}

void Simulation::step() {
  const std::uint64_t kind = random_.below(100);
  if (kind < 45) {
    for (std::uint64_t i = 0; i <= random_.below(6); ++i) propose_something();
  } else if (kind < 60) {
    repeat_something();
  } else if (kind < 70) {
    transact();
  } else if (kind < 90) {
    world_.advance(milliseconds{1 + static_cast<std::int64_t>(random_.below(1500))});
  } else if (kind < 93 && swarm_.clock_jumps) {
    const auto jump = static_cast<std::int64_t>(random_.below(200'000)) - 100'000;
    world_.clock.jump_wall(milliseconds{jump});
    sometimes(jump < 0 ? "clock set back" : "clock set forward");
  } else if (kind < 96 && swarm_.crashes) {
    // Somewhere in the middle of the work.
    if (chance(50)) world_.store->hold_commits();
    for (int i = 0; i < 4; ++i) propose_something();
    world_.poll(static_cast<int>(random_.below(60)));
    if (world_.store->waiting_commits() > 0) sometimes("crash in the middle of a commit");
    crash();
  } else if (kind < 98) {
    world_.settle();
    if (world_.fatal.empty()) {
      restart();
    }
  }
  if (!world_.fatal.empty()) crash();
  check();
}

void Simulation::check_answer(Asked& asked, const std::map<std::string, const LogEntry*>& records) {
  const MutationResult& answer = **asked.answer;
  asked.checked = true;
  if (answer.code == RejectionCode::kRateLimited) sometimes("rate limited");
  if (answer.code == RejectionCode::kIdReused) sometimes("id reused");
  if (answer.duplicate) sometimes("repetition answered");
  if (answer.code == RejectionCode::kVersionConflict) sometimes("version conflict");
  if (answer.code == RejectionCode::kRuleBudgetExceeded) sometimes("rule budget exceeded");
  if (answer.code == RejectionCode::kUnavailable) {
    sometimes("unavailable");
    // Told that nothing happened; only another attempt with the same id may have made a record.
    const auto same_id = [&](const Asked& other) {
      return other.proposal.id == answer.mutation_id;
    };
    if (std::count_if(asked_.begin(), asked_.end(), same_id) == 1 &&
        records.contains(answer.mutation_id)) {
      fault("I15", answer.mutation_id + " was answered `unavailable`, but is in the log");
    }
  }
  if (!answer.accepted && !info(answer.code).logged) return;
  const auto record = records.find(answer.mutation_id);
  if (record == records.end()) {
    fault("I5", answer.mutation_id + " was answered, but has no record");
    return;
  }
  const LogEntry& entry = *record->second;
  if (entry.accepted != answer.accepted || entry.code != answer.code || entry.seq != answer.seq ||
      entry.resulting_version != answer.version) {
    fault("I5", answer.mutation_id + " has another record than its answer");
  }
  const std::string text =
      fmt::format("{} {} {}", answer.accepted, to_string(answer.code), answer.seq.value_or(0));
  const auto [told, fresh] = told_.emplace(answer.mutation_id, text);
  if (!fresh && told->second != text) {
    fault("I3", answer.mutation_id + " got two different answers");
  }
}

void Simulation::check_answers() {
  dump_ = raw_dump();
  std::map<std::string, const LogEntry*> records;
  for (const LogEntry& entry : dump_.log) records[entry.proposal.id] = &entry;
  for (Asked& asked : asked_) {
    if (!asked.checked && asked.answer->has_value()) check_answer(asked, records);
  }
  for (const auto& [id, text] : told_) {
    if (!records.contains(id)) fault("I5", id + " was acknowledged and is lost");
  }
}

void Simulation::check_deliveries(bool at_end) {
  std::map<std::string, const OutboxRow*> rows;
  for (const OutboxRow& row : dump_.effects) rows[row.effect.id] = &row;
  for (; attempts_seen_ < world_.sink.attempts.size(); ++attempts_seen_) {
    const Effect& effect = world_.sink.attempts[attempts_seen_];
    if (!rows.contains(effect.id)) fault("I4", effect.id + " went out before its commit");
    const auto [first, fresh] = bytes_.emplace(effect.id, effect.payload);
    if (!fresh) sometimes("effect tried again");
    if (first->second != effect.payload) fault("I9", effect.id + " changed its bytes");
  }
  if (!at_end) return;
  std::set<std::string> delivered;
  for (const Effect& effect : world_.sink.delivered) delivered.insert(effect.id);
  for (const auto& [id, row] : rows) {
    if (!delivered.contains(id)) fault("I9", id + " was never delivered");
    if (row->state == EffectState::kPending) fault("I9", id + " is still pending");
  }
}

void Simulation::check_reads() {
  if (!world_.running()) return;
  const SnapshotView view = world_.engine().view();
  const Timestamp now = world_.engine().now();
  view.scan("", [&](SnapshotRef there) {
    const SnapshotPtr snapshot = there.share();
    if (snapshot->seq > view.seq()) fault("I4", snapshot->key + " is visible before its commit");
    const SnapshotPtr read = world_.read(snapshot->key);
    if (read && read->expires_at && *read->expires_at <= now) {
      fault("I12", snapshot->key + " was read after its deadline");
    }
    return true;
  });
}

void Simulation::check() {
  check_answers();
  check_dump(dump_, outcome_.faults);
  check_deliveries(false);
  check_reads();
}

Timestamp parse_since(const LogEntry& entry) {
  const auto text = json::find_string(entry.proposal.value->get_object(), "since");
  return parse_rfc3339(text.value_or("")).value();
}

// All trouble ends; what is promised must now come true.
void Simulation::calm_down() {
  if (!outcome_.faults.empty()) return;
  calm_ = true;
  world_.store->release_commits();
  world_.settle();
  if (!world_.fatal.empty()) crash();  // the last step's work ended fatally
  world_.advance(milliseconds{60'000});
  check();
  check_deliveries(true);
  for (const Asked& asked : asked_) {
    if (!asked.answer->has_value() && !asked.checked) {
      fault("I5", asked.proposal.id + " was never answered");
    }
  }
  for (const LogEntry& entry : dump_.log) {
    if (entry.proposal.op == Op::kExpire) sometimes("expiry");
    if (entry.proposal.key == firing_key("idle")) {
      sometimes("wait ended");
      const auto held = entry.committed_at - parse_since(entry);
      if (held > milliseconds{1800}) sometimes("wait ended late");
    }
    for (const RuleRecord& record : entry.rules) {
      if (record.rule_id == "calm" && !record.held.empty()) sometimes("cooling down");
    }
    if (entry.proposal.actor == "rule:denied") sometimes("derived mutation refused");
    if (entry.proposal.actor == "rule:count") sometimes("derived mutation");
  }
  for (const SnapshotPtr& snapshot : dump_.snapshots) {
    if (!snapshot->deleted && !snapshot->visible_at(world_.engine().now())) {
      fault("I12", snapshot->key + " is past its deadline and its expiry is not logged");
    }
  }
  world_.stop();
}

RawDump Simulation::raw_dump() {
  world_.settle();  // else the engine goes on between the reads below
  RawDump out;
  out.log = world_.log();
  out.effects = world_.outbox();
  out.snapshots = **testing::run_now(
      world_.context(), world_.memory.scan_snapshots("", static_cast<std::size_t>(-1)));
  return out;
}

}  // namespace

Outcome simulate(std::uint64_t seed, int steps) { return Simulation(seed).run(steps); }

}  // namespace state_engine::simulation
