// PageCursors: revisions pinned by prefix reads that have more pages, so that all pages of one read
// show one consistent revision.
//
// At most limits::kCursorsPinnedMax revisions are kept; the one used longest ago goes first. A
// pinned revision costs only what has changed since.
// Threads: any.

#ifndef STATE_ENGINE_MCP_STATE_PAGE_CURSORS_H_
#define STATE_ENGINE_MCP_STATE_PAGE_CURSORS_H_

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "engine/snapshot_index.h"

namespace state_engine::mcp {

class PageCursors {
 public:
  // Where a read goes on.
  struct Position {
    SnapshotView view;
    std::string after_key;  // exclusive
  };

  // Pins `view` and returns the cursor of the page after `last_key`. Opaque to clients.
  std::string pin(const SnapshotView& view, std::string_view last_key);

  // Returns the position, or nothing if the cursor is malformed or its revision is gone.
  std::optional<Position> resume(std::string_view cursor);

 private:
  std::mutex mutex_;                // a list of at most 64 entries; held for its walk
  std::list<SnapshotView> pinned_;  // used last first
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_STATE_PAGE_CURSORS_H_
