// The values that the engine works on: proposal, snapshot, log entry, result, change.
//
// Plain data. Nothing here knows JSON text, protobuf, SQL or a clock: codecs live in src/wire and
// in the stores. Words as in ARCHITECTURE.md, glossary.

#ifndef STATE_ENGINE_CORE_TYPES_H_
#define STATE_ENGINE_CORE_TYPES_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "core/codes.h"

namespace state_engine {

enum class Op {
  kSet,        // creates or replaces
  kDelete,     // leaves a tombstone; the version still grows
  kIncrement,  // number + number
  kPush,       // array append
  kMerge,      // JSON merge patch (RFC 7396)
  kExpire,     // a ttl ran out; only the engine itself proposes it
};

// "set", "delete", "increment", "push", "merge", "expire".
std::string_view to_string(Op op);
std::optional<Op> parse_op(std::string_view text);

// A requested change, as a proposer sent it. `actor` is already the authenticated one.
struct Proposal {
  std::string id;
  Op op = Op::kSet;
  std::string key;
  std::optional<json::Value> value;  // absent for delete and expire
  std::string actor;
  std::string reason;
  std::optional<std::int64_t> expected_version;  // 0 = the key must be absent
  Timestamp ts{};                                // when the proposer made it; information only
  std::optional<std::chrono::milliseconds> ttl;  // from commit time
  json::Object metadata;
  std::string correlation_id;  // empty = absent, as for the next two
  std::string causation_id;
  std::string traceparent;
};

// The current truth of one key. A tombstone has `deleted` set and a null value: readers see
// nothing, but its version goes on.
struct Snapshot {
  std::string key;
  json::Value value;
  std::int64_t version = 0;
  Timestamp updated_at{};
  std::string updated_by;
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<Timestamp> expires_at;
  std::int64_t seq = 0;
  std::string mutation_id;
  std::string reason;
  json::Object metadata;
  bool deleted = false;

  // False for a tombstone and for a value whose deadline has come (I12).
  bool visible_at(Timestamp now) const {
    return !deleted && !(expires_at.has_value() && *expires_at <= now);
  }
};

// Snapshots never change once made; readers and the writer share them.
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// What one rule did on one committed change, as the log keeps it. Trees are recomputed, not stored.
struct RuleRecord {
  std::string rule_id;
  std::string rule_hash;
  bool matched = false;
  int effects = 0;                                          // effects that it emitted
  int derived = 0;                                          // mutations that it proposed
  std::vector<std::pair<std::string, std::int64_t>> reads;  // other keys read, with version
  std::string error;                                        // the condition's run-time error
  // Why it did not fire although its condition was as it waits for: "it waits until ..."; empty
  // = it fired, or the condition was not.
  std::string held = {};
};

// One record of the append-only mutation log: a proposal, decided.
//
// Invariants: (I1) seq strictly increases in one log; an accepted entry has resulting_version ==
// previous_version + 1. (I2) hash chains to the entry before. (I14) policy_revision names the
// policy that decided.
struct LogEntry {
  Proposal proposal;
  std::int64_t seq = 0;
  std::string engine_id;
  std::string principal;  // who authenticated; `proposal.actor` is who that speaks for
  bool actor_verified = true;
  bool accepted = false;
  RejectionCode code = RejectionCode::kNone;
  std::string error;  // empty if accepted
  std::int64_t previous_version = 0;
  std::optional<std::int64_t> resulting_version;
  Timestamp committed_at{};
  std::string policy_revision;
  std::string policy_rule;  // the pattern that decided, e.g. "stream.*"; empty = none matched
  std::string rule_revision;
  std::string transaction_id;  // empty = not a member of a transaction
  std::vector<RuleRecord> rules;
  std::string payload_hash;  // what makes "the same proposal" (wire-independent, hex)
  // The value after this entry, for fold and history. Absent if rejected or without a value.
  std::optional<json::Value> resulting_value;
  std::string salt;       // hex; blinds the value's digest in the chain
  std::string prev_hash;  // hex, 64 characters; of genesis: 64 zeros
  std::string hash;
};

// What a rule asked to publish. Identical bytes at each delivery (I9).
struct Effect {
  std::string id;  // "fx-" + 32 hex of SHA-256(cause id, rule id, action index)
  std::string rule_id;
  std::string cause_id;  // the mutation that fired the rule
  std::int64_t cause_seq = 0;
  std::string type;     // the payload's own type, e.g. "system.stream.online"
  std::string payload;  // canonical JSON text, final
  std::string correlation_id;
  Timestamp created_at{};
};

// The answer to a proposer: exactly one terminal one per mutation id (I3).
struct MutationResult {
  std::string mutation_id;
  bool accepted = false;
  RejectionCode code = RejectionCode::kNone;
  std::string error;
  std::string key;
  Op op = Op::kSet;
  std::optional<std::int64_t> version;
  std::optional<std::int64_t> previous_version;
  std::optional<std::int64_t> seq;  // absent for answers that are not decisions and for dry runs
  std::optional<Timestamp> committed_at;
  bool duplicate = false;      // answered from the record of an earlier delivery
  bool unconditional = false;  // accepted without expectedVersion: the last writer won
  SnapshotPtr current;         // on version_conflict: the whole current snapshot (null = absent)
  std::optional<std::chrono::milliseconds> retry_after;  // rate_limited, unavailable
  bool dry_run = false;
  // Dry runs, and the answer to an accepted proposal that fired rules.
  std::vector<MutationResult> derived;
  std::vector<Effect> effects;
};

// The answer to a transaction: members in order; all accepted or none.
struct TransactionResult {
  std::string transaction_id;
  bool accepted = false;
  RejectionCode code = RejectionCode::kNone;  // the failing member's
  std::string error;
  std::optional<int> failed_index;
  std::vector<MutationResult> members;
  bool duplicate = false;
  bool dry_run = false;
  std::optional<std::chrono::milliseconds> retry_after;
  std::vector<MutationResult> derived;
  std::vector<Effect> effects;
};

// A committed change, for watchers and for the bus.
struct ChangeEvent {
  std::int64_t seq = 0;
  std::string engine_id;
  std::string key;
  Op op = Op::kSet;
  std::int64_t version = 0;
  json::Value value;  // null after delete and expire
  json::Value prev;   // null if the key was absent
  std::string actor;
  std::string reason;
  std::string mutation_id;
  std::string causation_id;
  std::string correlation_id;
  Timestamp committed_at{};
};

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_TYPES_H_
