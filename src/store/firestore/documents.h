// What each collection's documents hold, written from and read into the engine's values.
//
//   state/{key}          the snapshot of a key, tombstones included
//   mutation_log/{id}    one decided mutation
//   outbox/{effect id}   one effect; `queue` and `pendingSinceMs` are there while it is pending
//   rule_state/{hash}    what a rule remembers about a key
//   sources/{kind}-{revision}[-{part}]  policy and rule sources, in parts
//
// The fields of `state` and `mutation_log` that the reference writes have its names and forms; the
// others are ours. docs/firestore.md lists them all.

#ifndef STATE_ENGINE_STORE_FIRESTORE_DOCUMENTS_H_
#define STATE_ENGINE_STORE_FIRESTORE_DOCUMENTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "core/types.h"
#include "ports/state_store.h"
#include "store/firestore/field_codec.h"

namespace state_engine::firestore {

namespace collections {
inline constexpr std::string_view kState = "state";
inline constexpr std::string_view kLog = "mutation_log";
inline constexpr std::string_view kOutbox = "outbox";
inline constexpr std::string_view kRuleState = "rule_state";
inline constexpr std::string_view kSources = "sources";
inline constexpr std::string_view kCursors = "cursors";
}  // namespace collections

// Firestore refuses documents over 1 MiB; the encoded size is never less than what it counts.
inline constexpr std::size_t kDocumentBytesMax = 1024 * 1024 - 8 * 1024;

// Each fills the fields of `out`. Errors: kInvalidArgument for what Firestore cannot hold.
Status write_snapshot(const Snapshot& snapshot, std::string_view engine_id, Document& out);
Status write_entry(const LogEntry& entry, Document& out);
Status write_effect(const Effect& effect, std::string_view engine_id, std::int64_t position,
                    Document& out);
Status write_rule_state(const RuleState& state, Document& out);

// A document of the reference lacks our fields: its key is the document id, its reason
// `metadata.source`, its deadline follows from its ttl. Errors: kDataLoss.
Result<SnapshotPtr> read_snapshot(const Document& document);

// A record of the reference has no seq and no hashes; its payload hash is computed.
Result<LogEntry> read_entry(const Document& document);

Result<OutboxRow> read_effect(const Document& document);
Result<RuleState> read_rule_state(const Document& document);

// The document id of what `rule_id` remembers about `key`.
std::string rule_state_id(std::string_view rule_id, std::string_view key);

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_DOCUMENTS_H_
