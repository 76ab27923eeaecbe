// Digests: the payload hash that makes "the same proposal", and the hash chain of the log.
//
// chain: hash = SHA-256(prev hash + canonical JSON of the entry), where the proposal's value and
// the resulting value are replaced by SHA-256(salt + canonical value). A value can therefore be
// erased later and the chain still verifies.

#ifndef STATE_ENGINE_CORE_CHAIN_H_
#define STATE_ENGINE_CORE_CHAIN_H_

#include <span>
#include <string>

#include "core/types.h"

namespace state_engine {

// The `prev_hash` of the first entry.
std::string genesis_hash();

// Covers actor, op, key, value, expectedVersion and ttl; not ts, reason, metadata or trace fields.
// 64 hex characters.
std::string payload_hash(const Proposal& proposal);

// For a member of a transaction: covers all members and its own index.
std::string payload_hash(std::span<const Proposal> members, std::size_t index);

// The digest that stands for a value in the chain.
std::string value_digest(const std::string& salt, const json::Value& value);

// What a record keeps of values that were erased from it; empty = not erased, or never there.
struct ErasedDigests {
  std::string proposed;
  std::string resulting;
};

// The hash of `entry`, computed from all its other fields, `prev_hash` and `salt` included. A
// value that is no longer there is stood for by its digest. Cost: O(entry).
std::string entry_hash(const LogEntry& entry, const ErasedDigests& erased = {});

// Ids that follow from their cause, so that a repetition makes the same id again.
std::string derived_mutation_id(std::string_view cause_id, std::string_view rule_id, int action);
std::string effect_id(std::string_view cause_id, std::string_view rule_id, int action);
std::string expiry_id(std::string_view key, std::int64_t version);
std::string firing_id(std::string_view rule_id, std::string_view key, Timestamp deadline);

// The engine's own key that records when the `for` of a rule ran out and it fired:
// "state-engine/fired/<rule id>", or a digest of an id that no key can hold.
inline constexpr std::string_view kFiringPrefix = "state-engine/fired/";
std::string firing_key(std::string_view rule_id);

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_CHAIN_H_
