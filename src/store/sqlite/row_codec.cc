// Rules (RuleRecord) are a JSON array of objects with the wire's member names:
//   [{"ruleId":..,"ruleHash":..,"matched":..,"effects":..,"derived":..,"reads":[[key, version]],
//     "error":..,"held":..}], members with empty content left out.

#include "store/sqlite/row_codec.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/json_check.h"
#include "base/time.h"

namespace state_engine::sqlite {
namespace {

constexpr std::int64_t kYear0Ms = -62'167'219'200'000;        // 0000-01-01T00:00:00.000Z
constexpr std::int64_t kYear9999EndMs = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z

Error damaged(std::string_view table, std::string_view where, std::string_view what) {
  return {ErrorCode::kDataLoss,
          fmt::format("{} row {}: {}; run `state-engine verify`", table, where, what)};
}

bool carries_value(Op op) { return op != Op::kDelete && op != Op::kExpire; }

std::optional<std::int64_t> ms_of(const std::optional<std::chrono::milliseconds>& duration) {
  if (!duration.has_value()) return std::nullopt;
  return duration->count();
}

std::optional<std::chrono::milliseconds> duration_of(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return std::chrono::milliseconds{row.integer(column)};
}

std::optional<std::int64_t> integer_of(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.integer(column);
}

void bind_json(Statement& statement, int index, const json::Value& value, std::string& scratch) {
  scratch.clear();
  json::write_to(scratch, value);
  statement.bind_text(index, scratch);
}

void bind_object(Statement& statement, int index, const json::Object& object,
                 std::string& scratch) {
  if (object.empty()) {
    statement.bind_null(index);
    return;
  }
  scratch.clear();
  scratch.push_back('{');
  for (const auto& member : object) {
    if (scratch.size() > 1) scratch.push_back(',');
    json::write_string_to(scratch, {member.key().data(), member.key().size()});
    scratch.push_back(':');
    json::write_to(scratch, member.value());
  }
  scratch.push_back('}');
  statement.bind_text(index, scratch);
}

void bind_time(Statement& statement, int index, Timestamp time, std::string& scratch) {
  scratch.clear();
  write_time(scratch, time);
  statement.bind_text(index, scratch);
}

void bind_time_or_null(Statement& statement, int index, const std::optional<Timestamp>& time,
                       std::string& scratch) {
  if (time.has_value()) {
    bind_time(statement, index, *time, scratch);
  } else {
    statement.bind_null(index);
  }
}

json::Object rule_to_json(const RuleRecord& rule) {
  json::Object object;
  object["ruleId"] = rule.rule_id;
  object["ruleHash"] = rule.rule_hash;
  object["matched"] = rule.matched;
  if (rule.effects != 0) object["effects"] = rule.effects;
  if (rule.derived != 0) object["derived"] = rule.derived;
  if (!rule.reads.empty()) {
    json::Array reads;
    for (const auto& [key, version] : rule.reads) {
      reads.push_back(json::Array{json::Value(key), json::Value(version)});
    }
    object["reads"] = std::move(reads);
  }
  if (!rule.error.empty()) object["error"] = rule.error;
  if (!rule.held.empty()) object["held"] = rule.held;
  return object;
}

void bind_rules(Statement& statement, int index, const std::vector<RuleRecord>& rules,
                std::string& scratch) {
  if (rules.empty()) {
    statement.bind_null(index);
    return;
  }
  json::Array array;
  for (const RuleRecord& rule : rules) array.push_back(rule_to_json(rule));
  bind_json(statement, index, array, scratch);
}

// One [key, version] pair.
bool read_pair(const json::Value& pair, RuleRecord& rule) {
  if (!pair.is_array() || pair.get_array().size() != 2) return false;
  const json::Value& key = pair.get_array()[0];
  const auto version = json::as_int64(pair.get_array()[1]);
  if (!key.is_string() || !version.has_value()) return false;
  rule.reads.emplace_back(std::string(key.get_string()), *version);
  return true;
}

bool read_rule(const json::Value& value, RuleRecord& rule) {
  if (!value.is_object()) return false;
  const json::Object& object = value.get_object();
  auto id = json::find_string(object, "ruleId");
  auto hash = json::find_string(object, "ruleHash");
  const json::Value* matched = json::find(object, "matched");
  if (!id || !hash || matched == nullptr || !matched->is_bool()) return false;
  rule.rule_id = std::move(*id);
  rule.rule_hash = std::move(*hash);
  rule.matched = matched->get_bool();
  rule.effects = static_cast<int>(json::find_int(object, "effects").value_or(0));
  rule.derived = static_cast<int>(json::find_int(object, "derived").value_or(0));
  rule.error = json::find_string(object, "error").value_or("");
  rule.held = json::find_string(object, "held").value_or("");
  const json::Value* reads = json::find(object, "reads");
  if (reads == nullptr) return true;
  if (!reads->is_array()) return false;
  for (const json::Value& pair : reads->get_array()) {
    if (!read_pair(pair, rule)) return false;
  }
  return true;
}

Result<json::Value> parse_column(const Statement& row, int column, std::string_view table,
                                 std::string_view where, std::string_view name) {
  auto value = json::parse(row.text(column), json::trusted_limits());
  if (!value.ok()) {
    return damaged(table, where, fmt::format("{}: {}", name, value.error().message));
  }
  return value;
}

Status read_metadata(const Statement& row, int column, std::string_view table,
                     std::string_view where, json::Object& out) {
  if (row.is_null(column)) return {};
  auto value = parse_column(row, column, table, where, "metadata");
  if (!value.ok()) return std::move(value).error();
  if (!value->is_object()) return damaged(table, where, "metadata is not an object");
  out = std::move(value->get_object());
  return {};
}

Status read_time_column(const Statement& row, int column, std::string_view table,
                        std::string_view where, Timestamp& out) {
  auto time = read_time(row.text(column));
  if (!time.ok()) return damaged(table, where, time.error().message);
  out = *time;
  return {};
}

Status read_optional_time(const Statement& row, int column, std::string_view table,
                          std::string_view where, std::optional<Timestamp>& out) {
  if (row.is_null(column)) return {};
  return read_time_column(row, column, table, where, out.emplace());
}

// Columns of the log whose content is checked, by their place in kLogColumns.
Status read_log_verdict(const Statement& row, std::string_view where, LogEntry& entry) {
  const auto op = parse_op(row.text(3));
  if (!op.has_value()) {
    return damaged("mutation_log", where, fmt::format("unknown op '{}'", row.text(3)));
  }
  entry.proposal.op = *op;
  entry.accepted = row.text(6) == "accepted";
  if (!entry.accepted && row.text(6) != "rejected") {
    return damaged("mutation_log", where, fmt::format("unknown status '{}'", row.text(6)));
  }
  if (row.is_null(7)) return {};
  const auto code = parse_rejection_code(row.text(7));
  if (!code.has_value()) {
    return damaged("mutation_log", where, fmt::format("unknown code '{}'", row.text(7)));
  }
  entry.code = *code;
  return {};
}

Status read_log_values(const Statement& row, std::string_view where, LogEntry& entry) {
  if (!row.is_null(4)) {
    auto value = parse_column(row, 4, "mutation_log", where, "value");
    if (!value.ok()) return std::move(value).error();
    entry.proposal.value = std::move(*value);
  }
  if (!row.is_null(5)) {
    auto value = parse_column(row, 5, "mutation_log", where, "result");
    if (!value.ok()) return std::move(value).error();
    entry.resulting_value = std::move(*value);
  } else if (entry.accepted && carries_value(entry.proposal.op)) {
    entry.resulting_value = entry.proposal.value;
  }
  return {};
}

Status read_log_rules(const Statement& row, std::string_view where, LogEntry& entry) {
  if (row.is_null(26)) return {};
  auto rules = parse_column(row, 26, "mutation_log", where, "rules");
  if (!rules.ok()) return std::move(rules).error();
  if (!rules->is_array()) return damaged("mutation_log", where, "rules is not an array");
  for (const json::Value& value : rules->get_array()) {
    if (!read_rule(value, entry.rules.emplace_back())) {
      return damaged("mutation_log", where, "a member of rules has an unknown shape");
    }
  }
  return {};
}

void read_log_texts(const Statement& row, LogEntry& entry) {
  Proposal& proposal = entry.proposal;
  entry.seq = row.integer(0);
  proposal.id = row.text(1);
  proposal.key = row.text(2);
  entry.error = row.text(8);
  proposal.actor = row.text(9);
  entry.principal = row.text(10);
  proposal.reason = row.text(11);
  proposal.expected_version = integer_of(row, 12);
  entry.previous_version = row.integer(13);
  entry.resulting_version = integer_of(row, 14);
  proposal.ttl = duration_of(row, 17);
  proposal.correlation_id = row.text(19);
  proposal.causation_id = row.text(20);
  entry.transaction_id = row.text(21);
  proposal.traceparent = row.text(22);
  entry.policy_revision = row.text(23);
  entry.policy_rule = row.text(24);
  entry.rule_revision = row.text(25);
  entry.payload_hash = row.text(27);
  entry.salt = row.text(28);
  entry.prev_hash = row.text(29);
  entry.hash = row.text(30);
  entry.engine_id = row.text(31);
  entry.actor_verified = row.integer(32) != 0;
}

void bind_result(Statement& statement, const LogEntry& entry, std::string& scratch) {
  const bool same = entry.resulting_value.has_value() && entry.proposal.value.has_value() &&
                    json::equal(*entry.resulting_value, *entry.proposal.value);
  if (!entry.resulting_value.has_value() || same) {
    statement.bind_null(6);
  } else {
    bind_json(statement, 6, *entry.resulting_value, scratch);
  }
}

std::optional<EffectState> parse_effect_state(std::string_view text) {
  for (const EffectState state :
       {EffectState::kPending, EffectState::kSent, EffectState::kNoSubscriber}) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

// The current row of the state; its texts lie in the row, unchecked.
Status read_state_columns(const Statement& row, PackedSnapshot& out) {
  out.key = row.text(0);
  out.value = row.text(1);
  out.version = row.integer(2);
  SE_RETURN_IF_ERROR(read_time_column(row, 3, "state", out.key, out.updated_at));
  out.updated_by = row.text(4);
  out.ttl = duration_of(row, 5);
  SE_RETURN_IF_ERROR(read_optional_time(row, 6, "state", out.key, out.expires_at));
  out.seq = row.integer(7);
  out.mutation_id = row.text(8);
  out.reason = row.text(9);
  out.metadata = row.text(10);
  out.deleted = row.integer(11) != 0;
  return {};
}

// True for text that this program wrote: JSON in one line. What is not becomes an object, if it
// can.
bool is_own_text(std::string_view text) {
  const bool in_line = std::none_of(text.begin(), text.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return in_line && json::check(text, json::trusted_limits()).ok();
}

bool is_packable(const PackedSnapshot& snapshot) {
  return is_own_text(snapshot.value) &&
         (snapshot.metadata.empty() ||
          (snapshot.metadata.front() == '{' && is_own_text(snapshot.metadata)));
}

}  // namespace

void write_time(std::string& out, Timestamp time) {
  const std::int64_t ms = to_ms(time);
  if (ms < kYear0Ms || ms > kYear9999EndMs) {
    out += std::to_string(ms);
  } else {
    out += format_rfc3339(time);
  }
}

Result<Timestamp> read_time(std::string_view text) {
  if (text.find('T') != std::string_view::npos) return parse_rfc3339(text);
  std::int64_t ms = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (failure != std::errc{} || end != text.data() + text.size()) return parse_rfc3339(text);
  return timestamp_from_ms(ms);
}

std::string parameters(int count) {
  std::string out;
  for (int i = 1; i <= count; ++i) out += fmt::format("{}?{}", i == 1 ? "" : ", ", i);
  return out;
}

std::string cursor_key(std::string_view name) { return fmt::format("cursor.{}", name); }

void bind_log_entry(Statement& statement, const LogEntry& entry, RowScratch& scratch) {
  const Proposal& proposal = entry.proposal;
  statement.bind_integer(1, entry.seq);
  statement.bind_text(2, proposal.id);
  statement.bind_text(3, proposal.key);
  statement.bind_text(4, to_string(proposal.op));
  if (proposal.value.has_value()) {
    bind_json(statement, 5, *proposal.value, scratch[0]);
  } else {
    statement.bind_null(5);
  }
  bind_result(statement, entry, scratch[1]);
  statement.bind_text(7, entry.accepted ? "accepted" : "rejected");
  statement.bind_text_or_null(8, to_string(entry.code));
  statement.bind_text_or_null(9, entry.error);
  statement.bind_text(10, proposal.actor);
  statement.bind_text_or_null(11, entry.principal);
  statement.bind_text(12, proposal.reason);
  statement.bind_integer_or_null(13, proposal.expected_version);
  statement.bind_integer(14, entry.previous_version);
  statement.bind_integer_or_null(15, entry.resulting_version);
  bind_time(statement, 16, proposal.ts, scratch[2]);
  bind_time(statement, 17, entry.committed_at, scratch[3]);
  statement.bind_integer_or_null(18, ms_of(proposal.ttl));
  bind_object(statement, 19, proposal.metadata, scratch[4]);
  statement.bind_text_or_null(20, proposal.correlation_id);
  statement.bind_text_or_null(21, proposal.causation_id);
  statement.bind_text_or_null(22, entry.transaction_id);
  statement.bind_text_or_null(23, proposal.traceparent);
  statement.bind_text_or_null(24, entry.policy_revision);
  statement.bind_text_or_null(25, entry.policy_rule);
  statement.bind_text_or_null(26, entry.rule_revision);
  bind_rules(statement, 27, entry.rules, scratch[5]);
  statement.bind_text_or_null(28, entry.payload_hash);
  statement.bind_text(29, entry.salt);
  statement.bind_text(30, entry.prev_hash);
  statement.bind_text(31, entry.hash);
  statement.bind_text(32, entry.engine_id);
  statement.bind_integer(33, entry.actor_verified ? 1 : 0);
}

void bind_log_deadline(Statement& statement, const Snapshot* snapshot, std::string& scratch) {
  if (snapshot == nullptr) {
    statement.bind_null(kLogColumnCount + 1);
    statement.bind_null(kLogColumnCount + 2);
    return;
  }
  statement.bind_integer_or_null(kLogColumnCount + 1, ms_of(snapshot->ttl));
  bind_time_or_null(statement, kLogColumnCount + 2, snapshot->expires_at, scratch);
}

void bind_effect(Statement& statement, const Effect& effect, RowScratch& scratch) {
  statement.bind_text(1, effect.id);
  statement.bind_text(2, effect.rule_id);
  statement.bind_text(3, effect.cause_id);
  statement.bind_integer(4, effect.cause_seq);
  statement.bind_text(5, effect.type);
  statement.bind_text(6, effect.payload);
  statement.bind_text_or_null(7, effect.correlation_id);
  bind_time(statement, 8, effect.created_at, scratch[0]);
}

void bind_rule_state(Statement& statement, const RuleState& state, RowScratch& scratch) {
  statement.bind_text(1, state.rule_id);
  statement.bind_text(2, state.key);
  statement.bind_integer(3, state.truth ? 1 : 0);
  bind_time_or_null(statement, 4, state.since, scratch[0]);
  bind_time_or_null(statement, 5, state.deadline, scratch[1]);
  bind_time_or_null(statement, 6, state.cooldown_until, scratch[2]);
}

Result<LogEntry> read_log_entry(const Statement& row) {
  LogEntry entry;
  read_log_texts(row, entry);
  const std::string where = fmt::format("{} ({})", entry.seq, entry.proposal.id);
  SE_RETURN_IF_ERROR(read_log_verdict(row, where, entry));
  SE_RETURN_IF_ERROR(read_log_values(row, where, entry));
  SE_RETURN_IF_ERROR(read_time_column(row, 15, "mutation_log", where, entry.proposal.ts));
  SE_RETURN_IF_ERROR(read_time_column(row, 16, "mutation_log", where, entry.committed_at));
  SE_RETURN_IF_ERROR(read_metadata(row, 18, "mutation_log", where, entry.proposal.metadata));
  SE_RETURN_IF_ERROR(read_log_rules(row, where, entry));
  return entry;
}

Result<Snapshot> read_snapshot(const Statement& row) {
  PackedSnapshot texts;
  SE_RETURN_IF_ERROR(read_state_columns(row, texts));
  Snapshot snapshot;
  snapshot.key = texts.key;
  auto value = parse_column(row, 1, "state", snapshot.key, "value");
  if (!value.ok()) return std::move(value).error();
  snapshot.value = std::move(*value);
  snapshot.version = texts.version;
  snapshot.updated_at = texts.updated_at;
  snapshot.updated_by = texts.updated_by;
  snapshot.ttl = texts.ttl;
  snapshot.expires_at = texts.expires_at;
  snapshot.seq = texts.seq;
  snapshot.mutation_id = texts.mutation_id;
  snapshot.reason = texts.reason;
  SE_RETURN_IF_ERROR(read_metadata(row, 10, "state", snapshot.key, snapshot.metadata));
  snapshot.deleted = texts.deleted;
  return snapshot;
}

Result<PackedRow> pack_snapshot(const Statement& row, SnapshotPage& page) {
  PackedSnapshot snapshot;
  SE_RETURN_IF_ERROR(read_state_columns(row, snapshot));
  PackedRow packed{snapshot.key, snapshot.expires_at};
  if (snapshot.deleted) packed.expires_at.reset();
  if (!SnapshotPage::fits(snapshot) || !is_packable(snapshot)) {
    auto whole = read_snapshot(row);
    if (!whole.ok()) return std::move(whole).error();
    page.append(std::make_shared<const Snapshot>(std::move(*whole)));
    return packed;
  }
  page.append(snapshot);
  return packed;
}

Result<OutboxRow> read_outbox_row(const Statement& row) {
  OutboxRow out;
  out.position = row.integer(0);
  out.effect.id = row.text(1);
  out.effect.rule_id = row.text(2);
  out.effect.cause_id = row.text(3);
  out.effect.cause_seq = row.integer(4);
  out.effect.type = row.text(5);
  out.effect.payload = row.text(6);
  out.effect.correlation_id = row.text(7);
  SE_RETURN_IF_ERROR(read_time_column(row, 8, "outbox", out.effect.id, out.effect.created_at));
  const auto state = parse_effect_state(row.text(9));
  if (!state.has_value()) {
    return damaged("outbox", out.effect.id, fmt::format("unknown state '{}'", row.text(9)));
  }
  out.state = *state;
  SE_RETURN_IF_ERROR(read_optional_time(row, 10, "outbox", out.effect.id, out.delivered_at));
  return out;
}

Result<RuleState> read_rule_state(const Statement& row) {
  RuleState state;
  state.rule_id = row.text(0);
  state.key = row.text(1);
  state.truth = row.integer(2) != 0;
  SE_RETURN_IF_ERROR(read_optional_time(row, 3, "rule_state", state.rule_id, state.since));
  SE_RETURN_IF_ERROR(read_optional_time(row, 4, "rule_state", state.rule_id, state.deadline));
  SE_RETURN_IF_ERROR(read_optional_time(row, 5, "rule_state", state.rule_id, state.cooldown_until));
  return state;
}

}  // namespace state_engine::sqlite
