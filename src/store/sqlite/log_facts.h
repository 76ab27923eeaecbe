// What several checks ask of meta and of the log.

#ifndef STATE_ENGINE_STORE_SQLITE_LOG_FACTS_H_
#define STATE_ENGINE_STORE_SQLITE_LOG_FACTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/types.h"
#include "ports/batch_check.h"
#include "store/sqlite/database.h"

namespace state_engine::sqlite {

// Errors: kDataLoss if meta has no such row.
Result<std::string> read_meta(Database& database, std::string_view key);

// Up to where the tables by key hold the log (log_folder.h). Errors: kDataLoss.
Result<std::int64_t> read_folded_seq(Database& database);

// What is wrong with `entry` by itself and as the successor of `before`; empty if nothing.
std::string chain_fault(const LogEnd& before, const LogEntry& entry);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_LOG_FACTS_H_
