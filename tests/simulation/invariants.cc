// Checks the invariants on a raw dump of the store, with code of its own where that is possible.

#include "tests/simulation/invariants.h"

#include <set>

#include <fmt/format.h>

#include "core/apply.h"
#include "core/chain.h"

namespace state_engine::simulation {
namespace {

// The state of one key, folded from the log.
struct Folded {
  std::int64_t version = 0;
  bool deleted = true;
  json::Value value;
  std::int64_t seq = 0;
  std::string mutation_id;
  std::optional<Timestamp> expires_at;
};

using State = std::map<std::string, Folded>;

std::string at(const LogEntry& entry) {
  return fmt::format("entry {} ({} {} {})", entry.seq, entry.proposal.id,
                     to_string(entry.proposal.op), entry.proposal.key);
}

void check_accepted(const LogEntry& entry, State& state, Faults& faults) {
  Folded& now = state[entry.proposal.key];
  if (entry.resulting_version != now.version + 1) {
    faults.emplace("I1", at(entry) + " does not follow version " + std::to_string(now.version));
  }
  const bool due = now.expires_at && *now.expires_at <= entry.committed_at;
  if (!now.deleted && due && entry.proposal.op != Op::kExpire) {
    faults.emplace("I12", at(entry) + " was decided on an expired value");
  }
  if (entry.proposal.op == Op::kExpire && (now.deleted || !due)) {
    faults.emplace("I12", at(entry) + " expires what is not due");
  }
  if (const auto expected = entry.proposal.expected_version) {
    const bool ok =
        now.deleted ? *expected == 0 || *expected == now.version : *expected == now.version;
    if (!ok) faults.emplace("I7", at(entry) + " saw another version than it expected");
  }
  const auto outcome =
      apply_op(entry.proposal.op, now.deleted ? nullptr : &now.value, entry.proposal.value);
  const auto* applied = std::get_if<Applied>(&outcome);
  if (applied == nullptr) {
    faults.emplace("I2", at(entry) + " does not apply to the folded state");
    return;
  }
  if (!applied->deleted &&
      (!entry.resulting_value || !json::equal(*entry.resulting_value, applied->value))) {
    faults.emplace("I2", at(entry) + " records another value than the fold gives");
  }
  now = {*entry.resulting_version, applied->deleted, applied->value, entry.seq,
         entry.proposal.id,        std::nullopt};
  if (!applied->deleted && entry.proposal.ttl) {
    now.expires_at = entry.committed_at + *entry.proposal.ttl;
  }
}

void check_log(const RawDump& dump, State& state, Faults& faults) {
  std::string previous = genesis_hash();
  std::int64_t seq = 0;
  Timestamp time{};
  std::set<std::string> ids;
  for (const LogEntry& entry : dump.log) {
    if (entry.seq != ++seq) faults.emplace("I1", at(entry) + " breaks the order of seq");
    if (entry.prev_hash != previous) faults.emplace("I2", at(entry) + " breaks the chain");
    if (entry_hash(entry) != entry.hash) faults.emplace("I2", at(entry) + " has a wrong hash");
    previous = entry.hash;
    if (!ids.insert(entry.proposal.id).second) faults.emplace("I3", at(entry) + " has a used id");
    if (entry.policy_revision.empty()) faults.emplace("I14", at(entry) + " names no policy");
    if (entry.committed_at < time) faults.emplace("I1", at(entry) + " lies before its predecessor");
    time = entry.committed_at;
    if (entry.accepted) {
      check_accepted(entry, state, faults);
    } else if (entry.resulting_version || entry.resulting_value ||
               entry.code == RejectionCode::kNone) {
      faults.emplace("I6", at(entry) + " was rejected and has a result");
    }
  }
}

// What `value > 50` says in JsonLogic: an array of one number compares as that number.
bool is_high(const json::Value& value) {
  if (value.is_array() && value.get_array().size() == 1) return is_high(value.get_array().front());
  return value.is_number() && value.to_number<double>() > 50;
}

// The waits of the rule "idle" (simulation.cc), worked out from the changes of "k5" alone: each
// time that its value rises above 50 and stays there for 800 ms there is one firing, else none.
class WaitModel {
 public:
  void take(const LogEntry& entry, Faults& faults) {
    if (entry.proposal.key == firing_key("idle")) {
      if (!expected_ || entry.proposal.id != firing_id("idle", "k5", *expected_)) {
        faults.emplace("I16", at(entry) + " is a firing that nothing called for");
      } else if (entry.committed_at < *expected_) {
        faults.emplace("I16", at(entry) + " fires too early");
      }
      expected_.reset();
      return;
    }
    if (!entry.accepted || entry.proposal.key != "k5") return;
    const bool high = entry.resulting_value && is_high(*entry.resulting_value);
    // A value whose ttl ran out first had gone when the wait would have ended.
    const bool expiry = entry.proposal.op == Op::kExpire;
    const bool too_late =
        expected_ && (expiry ? *expected_ < *expires_ : *expected_ <= entry.committed_at);
    if (too_late) {
      faults.emplace("I16", at(entry) + " comes after a wait that ended without a firing");
    }
    if (!high) expected_.reset();
    if (high && !high_) expected_ = entry.committed_at + std::chrono::milliseconds{800};
    high_ = high;
    expires_.reset();
    if (entry.proposal.ttl) expires_ = entry.committed_at + *entry.proposal.ttl;
  }

  // Nothing may still be open so long before `end`.
  void finish(Timestamp end, Faults& faults) const {
    constexpr std::chrono::seconds kLong{30};
    if (expected_ && *expected_ + kLong < end) faults.emplace("I16", "a wait never ended");
  }

 private:
  bool high_ = false;
  std::optional<Timestamp> expected_;  // when the firing is due
  std::optional<Timestamp> expires_;   // the value of k5
};

}  // namespace

void check_dump(const RawDump& dump, Faults& faults) {
  State state;
  check_log(dump, state, faults);
  WaitModel waits;
  for (const LogEntry& entry : dump.log) waits.take(entry, faults);
  if (!dump.log.empty()) waits.finish(dump.log.back().committed_at, faults);
  if (dump.snapshots.size() != state.size()) {
    faults.emplace("I6", fmt::format("{} snapshots, but {} keys have accepted entries",
                                     dump.snapshots.size(), state.size()));
  }
  for (const SnapshotPtr& snapshot : dump.snapshots) {
    const Folded& folded = state[snapshot->key];
    const bool same = snapshot->version == folded.version && snapshot->deleted == folded.deleted &&
                      json::equal(snapshot->value, folded.value) && snapshot->seq == folded.seq &&
                      snapshot->mutation_id == folded.mutation_id &&
                      snapshot->expires_at == folded.expires_at;
    if (!same) faults.emplace("I2", "snapshot of " + snapshot->key + " is not the fold of the log");
  }
  // Effects: each has an accepted cause (I10), and each that the log promises is there (I8).
  std::map<std::string, const LogEntry*> accepted;
  std::map<std::string, int> promised;
  for (const LogEntry& entry : dump.log) {
    if (!entry.accepted) continue;
    accepted[entry.proposal.id] = &entry;
    for (const RuleRecord& rule : entry.rules) promised[entry.proposal.id] += rule.effects;
  }
  std::set<std::string> ids;
  for (const OutboxRow& row : dump.effects) {
    const auto cause = accepted.find(row.effect.cause_id);
    if (cause == accepted.end() || cause->second->seq != row.effect.cause_seq) {
      faults.emplace("I10", "effect " + row.effect.id + " has no committed cause");
    }
    if (!ids.insert(row.effect.id).second) faults.emplace("I9", row.effect.id + " is there twice");
    --promised[row.effect.cause_id];
  }
  for (const auto& [id, missing] : promised) {
    if (missing != 0)
      faults.emplace("I8", fmt::format("{} effects of {} are missing", missing, id));
  }
}

}  // namespace state_engine::simulation
