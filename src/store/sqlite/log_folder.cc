// The state of a key is made from its last accepted entry by SQL, without a value in between.

#include "store/sqlite/log_folder.h"

#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/assert.h"
#include "store/sqlite/row_codec.h"

namespace state_engine::sqlite {

Status LogFolder::prepare(Database& database) {
  const std::pair<Statement*, std::string> statements[] = {
      {&upsert_state_,
       fmt::format("INSERT INTO folded_state({0}) SELECT {0} FROM state_of_entry WHERE seq = ?1 "
                   "ON CONFLICT(key) DO UPDATE SET value=excluded.value, version=excluded.version, "
                   "updated_at=excluded.updated_at, updated_by=excluded.updated_by, "
                   "ttl_ms=excluded.ttl_ms, expires_at=excluded.expires_at, seq=excluded.seq, "
                   "mutation_id=excluded.mutation_id, reason=excluded.reason, "
                   "metadata=excluded.metadata, deleted=excluded.deleted",
                   kStateColumns)},
      {&insert_key_, "INSERT OR IGNORE INTO log_keys(key, seq) VALUES(?1, ?2)"},
      {&update_end_, "UPDATE meta SET value=?1 WHERE key='folded_seq'"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database.prepare(sql);
    if (!prepared.ok()) return std::move(prepared).error();
    *statement = std::move(prepared).value();
  }
  return {};
}

void LogFolder::begin() {
  if (!log_.freeze()) return;
  done_ = Position{log_.frozen()->keys.begin()};
  written_ = done_;
}

int LogFolder::write_state(std::int64_t seq) {
  upsert_state_.bind_integer(1, seq);
  return upsert_state_.run();
}

int LogFolder::write_key(const std::string& key, std::int64_t seq) {
  insert_key_.bind_text(1, key);
  insert_key_.bind_integer(2, seq);
  return insert_key_.run();
}

int LogFolder::write_end(std::int64_t seq) {
  const std::string text = std::to_string(seq);
  update_end_.bind_text(1, text);
  return update_end_.run();
}

int LogFolder::write(std::size_t rows) {
  const UnfoldedLog::Layer* layer = log_.frozen();
  log_.forget(rows);
  if (layer == nullptr) return SQLITE_OK;
  written_ = done_;
  for (; rows > 0 && written_.key != layer->keys.end(); --rows) {
    const auto& [key, of_key] = *written_.key;
    int code = SQLITE_OK;
    if (!written_.state_written) {
      if (of_key.last_accepted != 0) code = write_state(of_key.last_accepted);
      written_.state_written = true;
      written_.entry = of_key.oldest;
    } else {
      code = write_key(key, layer->seq_at(written_.entry));
      written_.entry = layer->links[written_.entry].newer;
      if (written_.entry == UnfoldedLog::kNone) written_ = Position{std::next(written_.key)};
    }
    if (code != SQLITE_OK) return code;
  }
  return written_.key == layer->keys.end() ? write_end(layer->last_seq()) : SQLITE_OK;
}

void LogFolder::committed() {
  const UnfoldedLog::Layer* layer = log_.frozen();
  if (layer == nullptr) return;
  done_ = written_;
  if (done_.key == layer->keys.end()) log_.drop_frozen();
}

void LogFolder::close() {
  for (Statement* statement : {&upsert_state_, &insert_key_, &update_end_}) {
    *statement = Statement{};
  }
}

}  // namespace state_engine::sqlite
