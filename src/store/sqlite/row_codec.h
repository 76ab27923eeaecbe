// Rows of state.db as core values, and back, without loss: what is read hashes as what was written.
//
// A reader turns the current row of a statement, selected with the matching column list, into a
// value. A writer binds a value to an INSERT over the same columns; the texts it makes live in a
// scratch object until the statement has run, so that nothing is copied twice.
// Errors: readers return kDataLoss for a row that this program cannot have written.

#ifndef STATE_ENGINE_STORE_SQLITE_ROW_CODEC_H_
#define STATE_ENGINE_STORE_SQLITE_ROW_CODEC_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/snapshot_page.h"
#include "core/types.h"
#include "ports/state_store.h"
#include "store/sqlite/database.h"

namespace state_engine::sqlite {

// Column lists for SELECT and INSERT, in the order that the codecs expect.
inline constexpr std::string_view kLogColumns =
    "seq, id, key, op, value, result, status, code, error, actor, principal, reason, "
    "expected_version, previous_version, version, ts, committed_at, ttl_ms, metadata, "
    "correlation_id, causation_id, transaction_id, traceparent, policy_revision, policy_rule, "
    "rule_revision, rules, payload_hash, salt, prev_hash, hash, engine_id, actor_verified";
inline constexpr int kLogColumnCount = 33;
// What a row of the log has beyond its entry: the deadline of the state that it made.
inline constexpr std::string_view kLogDeadlineColumns = "state_ttl_ms, state_expires_at";
inline constexpr int kLogDeadlineColumnCount = 2;
inline constexpr std::string_view kStateColumns =
    "key, value, version, updated_at, updated_by, ttl_ms, expires_at, seq, mutation_id, reason, "
    "metadata, deleted";
inline constexpr std::string_view kOutboxColumns =
    "position, id, rule_id, cause_id, cause_seq, type, payload, correlation_id, created_at, state, "
    "delivered_at";
inline constexpr std::string_view kRuleStateColumns =
    "rule_id, key, truth, since, deadline, cooldown_until";

// Texts made for one row; reused from row to row, so that their memory is.
using RowScratch = std::array<std::string, 7>;

// REQUIRES: `scratch` and the value stay as they are until the statement has run.
void bind_log_entry(Statement& statement, const LogEntry& entry, RowScratch& scratch);
// Binds kLogDeadlineColumns, behind those of the entry, of the snapshot that it made; null = none.
void bind_log_deadline(Statement& statement, const Snapshot* snapshot, std::string& scratch);
// Binds id to created_at of kOutboxColumns as ?1 to ?8; the store fills in the others.
void bind_effect(Statement& statement, const Effect& effect, RowScratch& scratch);
void bind_rule_state(Statement& statement, const RuleState& state, RowScratch& scratch);

Result<LogEntry> read_log_entry(const Statement& row);
Result<Snapshot> read_snapshot(const Statement& row);
// Adds the current row to `page`, packed if it is small, without making an object of it.
// Returns its key and deadline; the key lies in the row. REQUIRES: in key order (or the reverse).
struct PackedRow {
  std::string_view key;
  std::optional<Timestamp> expires_at;  // nothing for a tombstone
};
Result<PackedRow> pack_snapshot(const Statement& row, SnapshotPage& page);
Result<OutboxRow> read_outbox_row(const Statement& row);
Result<RuleState> read_rule_state(const Statement& row);

// RFC 3339; a time outside the years 0 to 9999, which that cannot say, as its milliseconds.
void write_time(std::string& out, Timestamp time);
Result<Timestamp> read_time(std::string_view text);

// "?1, ?2, ..., ?count".
std::string parameters(int count);

// Where `meta` keeps the publish cursor `name`.
std::string cursor_key(std::string_view name);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_ROW_CODEC_H_
