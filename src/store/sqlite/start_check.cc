// What was written last is what a crash can have hurt; the rest is verify's.

#include "store/sqlite/start_check.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "core/chain.h"
#include "store/sqlite/log_facts.h"
#include "store/sqlite/row_codec.h"

namespace state_engine::sqlite {
namespace {

constexpr std::int64_t kQuickCheckBytesMax = 16 * 1024 * 1024;

Error damage_at_start(std::string_view what) {
  return {ErrorCode::kDataLoss,
          fmt::format("state.db is damaged: {}. Keep a copy of the data directory, run "
                      "`state-engine verify` for the whole list, and restore a backup",
                      what)};
}

Status quick_check_if_small(Database& database) {
  auto pages = database.query_integer("PRAGMA page_count");
  if (!pages.ok()) return std::move(pages).error();
  auto page_size = database.query_integer("PRAGMA page_size");
  if (!page_size.ok()) return std::move(page_size).error();
  if (pages->value_or(0) * page_size->value_or(0) > kQuickCheckBytesMax) return {};
  auto check = database.prepare("PRAGMA quick_check(1)", false);
  if (!check.ok()) return std::move(check).error();
  if (const int code = check->step(); code != SQLITE_ROW) {
    return database.to_error(code, "run quick_check");
  }
  if (check->text(0) != "ok") return damage_at_start(check->text(0));
  return {};
}

Result<std::int64_t> last_seq(Database& database) {
  auto seq = database.query_integer("SELECT max(seq) FROM mutation_log");
  if (!seq.ok()) return std::move(seq).error();
  return seq->value_or(0);
}

Result<CheckedTail> check_tail(Database& database, std::int64_t first, std::int64_t folded_seq) {
  // One entry more than asked: its hash is where the checked ones begin.
  auto select = database.prepare(
      fmt::format("SELECT {} FROM mutation_log WHERE seq >= ?1 - 1 ORDER BY seq", kLogColumns),
      false);
  if (!select.ok()) return std::move(select).error();
  select->bind_integer(1, first);
  CheckedTail tail{{0, genesis_hash()}, {}, std::make_unique<UnfoldedLog>(folded_seq)};
  for (bool is_first = true;; is_first = false) {
    const int code = select->step();
    if (code == SQLITE_DONE) return tail;
    if (code != SQLITE_ROW) return database.to_error(code, "read the end of the log");
    auto entry = read_log_entry(*select);
    if (!entry.ok()) return damage_at_start(entry.error().message);
    if (is_first && entry->seq > 1) tail.end = {entry->seq - 1, entry->prev_hash};
    if (const std::string fault = chain_fault(tail.end, *entry); !fault.empty()) {
      return damage_at_start(fmt::format("log entry {}: {}", entry->seq, fault));
    }
    tail.end = {entry->seq, entry->hash};
    if (entry->seq > folded_seq) tail.unfolded->append({{entry->proposal.key, entry->accepted}});
    if (entry->accepted) {
      tail.written[entry->proposal.key] = {entry->seq, entry->resulting_version.value_or(0),
                                           entry->proposal.id};
    }
  }
}

}  // namespace

Result<CheckedTail> check_log_at_start(Database& database, std::size_t tail) {
  SE_RETURN_IF_ERROR(quick_check_if_small(database));
  auto last = last_seq(database);
  if (!last.ok()) return std::move(last).error();
  auto folded_seq = read_folded_seq(database);
  if (!folded_seq.ok()) return damage_at_start(folded_seq.error().message);
  if (*folded_seq > *last) {
    return damage_at_start(
        fmt::format("the log ends in entry {}, the state in entry {}", *last, *folded_seq));
  }
  const std::int64_t first = *last - static_cast<std::int64_t>(tail) + 1;
  auto checked = check_tail(database, std::min(first, *folded_seq + 1), *folded_seq);
  if (!checked.ok()) return checked;
  auto seq = read_meta(database, "head_seq");
  if (!seq.ok()) return damage_at_start(seq.error().message);
  auto hash = read_meta(database, "head_hash");
  if (!hash.ok()) return damage_at_start(hash.error().message);
  const LogEnd& end = checked->end;
  if (*seq != std::to_string(end.seq) || *hash != end.hash) {
    return damage_at_start(
        fmt::format("the log ends in entry {} with hash {}, meta expects entry {} with hash {}",
                    end.seq, end.hash, *seq, *hash));
  }
  return checked;
}

Status check_state_at_start(Database& database, const CheckedTail& tail) {
  auto select =
      database.prepare("SELECT seq, version, mutation_id FROM folded_state WHERE key = ?1", false);
  if (!select.ok()) return std::move(select).error();
  for (const auto& [key, last] : tail.written) {
    select->bind_text(1, key);
    const int code = select->step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      return database.to_error(code, "read the state");
    }
    const bool same = code == SQLITE_ROW && select->integer(0) == last.seq &&
                      select->integer(1) == last.version && select->text(2) == last.id;
    select->reset();
    if (!same) {
      return damage_at_start(
          fmt::format("the snapshot of {} is not the one that log entry {} wrote", key, last.seq));
    }
  }
  return {};
}

}  // namespace state_engine::sqlite
