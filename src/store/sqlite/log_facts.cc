// Plain queries: none of this is on the way of a commit.

#include "store/sqlite/log_facts.h"

#include <charconv>

#include <fmt/format.h>
#include <sqlite3.h>

#include "core/chain.h"

namespace state_engine::sqlite {

Result<std::string> read_meta(Database& database, std::string_view key) {
  auto select = database.prepare("SELECT value FROM meta WHERE key = ?1", false);
  if (!select.ok()) return std::move(select).error();
  select->bind_text(1, key);
  const int code = select->step();
  if (code == SQLITE_ROW) return std::string(select->text(0));
  if (code != SQLITE_DONE) return database.to_error(code, "read meta");
  return Error{ErrorCode::kDataLoss, fmt::format("meta has no {}", key)};
}

Result<std::int64_t> read_folded_seq(Database& database) {
  auto text = read_meta(database, "folded_seq");
  if (!text.ok()) return std::move(text).error();
  std::int64_t seq = -1;
  const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), seq);
  if (fault == std::errc{} && end == text->data() + text->size() && seq >= 0) return seq;
  return Error{ErrorCode::kDataLoss, fmt::format("meta has folded_seq '{}'", *text)};
}

std::string chain_fault(const LogEnd& before, const LogEntry& entry) {
  if (entry.seq != before.seq + 1) {
    return fmt::format("found seq {}, expected {}: entries are missing", entry.seq, before.seq + 1);
  }
  if (entry.prev_hash != before.hash) {
    return fmt::format("prev_hash is {}, expected {} (the hash of entry {})", entry.prev_hash,
                       before.hash, before.seq);
  }
  if (const std::string expected = entry_hash(entry); entry.hash != expected) {
    return fmt::format("hash is {}, but the entry hashes to {}: it was altered", entry.hash,
                       expected);
  }
  return {};
}

}  // namespace state_engine::sqlite
