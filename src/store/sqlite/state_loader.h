// Loads the whole state at start, on two connections where there is much of it.
//
// One reads from the least key up, the other from the greatest down, until they meet: each takes
// what its processor gives, however the keys lie.

#ifndef STATE_ENGINE_STORE_SQLITE_STATE_LOADER_H_
#define STATE_ENGINE_STORE_SQLITE_STATE_LOADER_H_

#include <functional>

#include "base/result.h"
#include "ports/state_store.h"
#include "store/sqlite/database.h"

namespace state_engine::sqlite {

// Reads all of `state` over `database`; for the second half of much it calls `open_another`, on a
// thread of its own. REQUIRES: nobody writes meanwhile. Blocks.
// Errors: kDataLoss for a row that this program cannot have written, kUnavailable.
Result<LoadedState> load_state(Database& database,
                               const std::function<Result<Database>()>& open_another);

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_STATE_LOADER_H_
